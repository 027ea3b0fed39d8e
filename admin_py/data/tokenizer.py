"""What all tokenizers share: text to ids and back, the special ids, saving and loading."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from admin_py.base import documents
from admin_py.base.arguments import door
from admin_py.base.checks import as_integer, attribute_of, check_integer, shown
from admin_py.base.paths import is_path, path_of
from admin_py.base.whole_files import write_whole
from admin_py.data.reading import read_whole
from admin_py.data.sequences import Sequences

PAD, BOS, EOS, UNK = 0, 1, 2, 3
NUM_SPECIAL = 4

NAMES: Mapping[int, str] = {PAD: "<pad>", BOS: "<begin>", EOS: "<end>", UNK: "<unknown>"}
"""What special ids are called where ids are shown one by one."""

MAX_VOCAB = 2**31 - 1
"""Ids are int32."""

_EXPECTED = (
    "expected a tokenizer that was saved here, or a tokenizer.json of Hugging Face's tokenizers; text that "
    "other tools have cut is taken with pretokenized=True"
)
_FORMAT = "admin-py tokenizer"
_kinds: dict[str, type[Tokenizer]] = {}


@door
class Tokenizer(ABC):
    """Text to token ids and back.

    Ids 0 to 3 are padding, beginning, end and unknown; the tokenizer's own pieces follow from 4 on, so no
    text, whatever it contains, encodes to a beginning or an end.
    """

    kind: ClassVar[str]
    file_types: ClassVar[Mapping[str, Any] | None] = None
    """Name -> type of what its file holds; None where another library knows."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        _kinds[cls.kind] = cls

    @property
    @abstractmethod
    def num_pieces(self) -> int:
        """Pieces, without the special ids."""

    @property
    def vocab_size(self) -> int:
        """Ids, the special ones included."""
        return NUM_SPECIAL + self.num_pieces

    @abstractmethod
    def encode_lines(self, lines: Sequence[str]) -> Sequences:
        """Ids of every line, nothing put before or after them. A line without text gives no ids."""

    def encode_targets(self, lines: Sequence[str]) -> Sequences:
        """Ids of every line of the target side; other ones only where the sides are of two languages."""
        return self.encode_lines(lines)

    @abstractmethod
    def _join(self, ids: list[int]) -> str:
        """Text of ids that are pieces or unknown."""

    def piece(self, i: int) -> str:
        """What one id stands for, so that ids can be told apart: its text; bytes in hexadecimal digits, such
        as ``"<E5A4>"``, where it is only part of a letter; ``"<pad>"``, ``"<begin>"``, ``"<end>"`` and
        ``"<unknown>"`` for the special ids.

        Raises
        ------
        IndexError
            If the id is not one of the vocabulary's.
        """
        i = check_integer("i", i, 0)
        if i >= self.vocab_size:
            raise IndexError(f"token id {i} is not in the vocabulary of {self.vocab_size} ids")
        return NAMES[i] if i in NAMES else self._piece(i)

    def _piece(self, i: int) -> str:
        """What an id that is no special one stands for."""
        return self._join([i])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the kind and all pieces in their order: what ids mean."""
        if self._fingerprint is None:
            told = json.dumps([self.kind, self._all_pieces()])
            self._fingerprint = hashlib.sha256(told.encode()).hexdigest()
        return self._fingerprint

    _fingerprint: str | None = None

    def _all_pieces(self) -> list[str]:
        """Its own pieces as it keeps them, in the order of their ids."""
        return [self._piece(i) for i in range(NUM_SPECIAL, self.vocab_size)]

    @abstractmethod
    def _to_dict(self) -> dict[str, Any]:
        """What _from_dict needs, of JSON's types."""

    @classmethod
    @abstractmethod
    def _from_dict(cls, values: dict[str, Any]) -> Tokenizer: ...

    def decode(self, ids: ArrayLike) -> str:
        """Text of one sequence of ids: up to the first end, without beginning and padding.

        Raises
        ------
        IndexError
            If an id is not one of the vocabulary's.
        """
        try:
            array = np.asarray(ids)
        except Exception:  # sequences of sequences that differ in length, or what the ids themselves raise
            array = np.empty((0, 0))
        if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
            raise TypeError(f"ids must be a sequence of integers, got {shown(ids)}")
        if array.size and not 0 <= array.min() <= array.max() < self.vocab_size:
            wrong = array[(array < 0) | (array >= self.vocab_size)][0]
            raise IndexError(f"token id {wrong} is not in the vocabulary of {self.vocab_size} ids")
        ends = np.flatnonzero(array == EOS)
        if ends.size:
            array = array[: ends[0]]
        return self._join([int(i) for i in array if i not in (PAD, BOS)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the tokenizer as JSON, for `load_tokenizer` or the `tokenizer` argument of a dataset."""
        write_whole(path, self._to_file())

    def _to_file(self) -> bytes:
        """What a file of it holds: with a digest, where the format is ours."""
        return documents.sealed({"format": _FORMAT, "kind": self.kind, **self._to_dict()})

    def _to_json(self) -> str:
        return json.dumps({"format": _FORMAT, "kind": self.kind, **self._to_dict()}, ensure_ascii=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._to_dict())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return self.kind == other.kind and self._to_json() == other._to_json()

    def __hash__(self) -> int:
        return hash((self.kind, self.vocab_size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size})"


def _rebuild(kind: type[Tokenizer], values: dict[str, Any]) -> Tokenizer:
    """A tokenizer out of what was pickled, or as a copy, checked."""
    return kind._from_dict(values)


@door
def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Reads a tokenizer: one that was saved here, or any `tokenizer.json` of Hugging Face's `tokenizers`.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not a tokenizer.

    Examples
    --------
    >>> import os, tempfile
    >>> from admin_py.data import WordTokenizer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "words.json")
    ...     WordTokenizer(["ein", "Haus"]).save(path)
    ...     load_tokenizer(path)
    WordTokenizer(vocab_size=6)
    """
    where = str(path_of(path, "tokenizer"))
    try:
        values = documents.unsealed(read_whole(where, "tokenizer"))
    except ValueError as error:
        raise ValueError(f"tokenizer: {where!r} is not a JSON file ({error}); {_EXPECTED}") from error
    return tokenizer_of(values, where)


def tokenizer_kind(values: Any) -> str | None:
    """The kind of tokenizer that a file with this JSON holds, None if it holds none.

    Examples
    --------
    >>> tokenizer_kind({"model": {"type": "BPE"}}), tokenizer_kind({"kind": "history"})
    ('subwords', None)
    """
    if not isinstance(values, dict):
        return None
    if "model" in values and "format" not in values:  # a `tokenizer.json` of Hugging Face
        return "subwords"
    return str(values.get("kind")) if values.get("format") == _FORMAT else None


def _checked(kind: type[Tokenizer], values: dict[str, Any]) -> dict[str, Any]:
    """The values of a file, by the types of its kind; a `tokenizer.json` is its library's to check."""
    if kind.file_types is None:
        return values
    told = {name: value for name, value in values.items() if name not in ("format", "kind")}
    if told.keys() != kind.file_types.keys():
        raise ValueError(f"expected {', '.join(kind.file_types)}, got {', '.join(told)}")
    return {name: documents.convert(told[name], one, f"$.{name}") for name, one in kind.file_types.items()}


def tokenizer_of(values: Any, where: str) -> Tokenizer:
    """A tokenizer from what its file holds, parsed already; as `load_tokenizer`.

    Parameters
    ----------
    values : object
        As JSON has them.
    where : str
        The file, for errors.

    Raises
    ------
    ValueError
        If it is not a tokenizer.
    """
    kind = tokenizer_kind(values)
    if kind is None or kind not in _kinds:
        raise ValueError(f"tokenizer: {where!r} holds no tokenizer that is known here; {_EXPECTED}")
    try:
        return _kinds[kind]._from_dict(_checked(_kinds[kind], values))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else f"{error}"
        raise ValueError(f"tokenizer: {where!r} cannot be taken: {why:.300}") from error


def as_tokenizer(value: object) -> Tokenizer:
    """A tokenizer from what a user may give: ours, one of Hugging Face's, or the path of a saved one."""
    if isinstance(value, Tokenizer):
        return value
    if is_path(value):
        return load_tokenizer(path_of(value, "tokenizer"))
    if callable(attribute_of(value, "to_str")) and callable(attribute_of(value, "encode_batch")):
        return _kinds["subwords"](value)  # type: ignore[call-arg]  # the one kind that is made of another
    if attribute_of(value, "backend_tokenizer") is not None:
        raise TypeError(
            f"tokenizer is a {type(value).__name__}, as transformers has them: give what is inside, its "
            "tokenizer.backend_tokenizer"
        )
    raise TypeError(
        f"tokenizer must be a tokenizer or the path of a saved one, got {shown(value)}; {_EXPECTED}"
    )


def check_vocab_size(value: Any, minimum: int) -> int:
    """A number of ids that may be asked for, from minimum to what int32 can count.

    Examples
    --------
    >>> check_vocab_size(2**31, 260)
    Traceback (most recent call last):
    ValueError: vocab_size must be at most 2147483647, as ids are int32, got 2147483648
    """
    size = as_integer("vocab_size", value)
    if size > MAX_VOCAB:
        raise ValueError(f"vocab_size must be at most {MAX_VOCAB}, as ids are int32, got {shown(size)}")
    return check_integer("vocab_size", size, minimum)
