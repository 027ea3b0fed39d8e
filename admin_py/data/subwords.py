"""Byte-level subwords (BPE), learned with Hugging Face's `tokenizers`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from threading import Event
from typing import Any

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from admin_py.base.arguments import door
from admin_py.base.checks import attribute_of, shown
from admin_py.base.interruptible import interruptible
from admin_py.base.printable import shown_bytes
from admin_py.data.library_errors import library_errors
from admin_py.data.sequences import Sequences, offsets_of
from admin_py.data.tokenizer import NUM_SPECIAL, UNK, Tokenizer, check_vocab_size
from admin_py.data.tokenizer_json import added_ids, check_holes, checked_json

NUM_BYTES = 256
WORD_MOST = 1000
"""Bytes of a word from which merges are learned at once: with whole words the time grows with the square."""

# Lines that go to the tokenizer at once: bounds the memory of its intermediate objects.
_CHUNK = 10_000
# Letters from which on a call is worth a thread of its own, so that Ctrl-C is noticed.
_LONG = 100_000
# Pieces of a foreign vocabulary that are tried.
_TRIED = 64

_KEPT_BY = (
    "only what the library can write as JSON can be kept: a pre-tokenizer or normaliser of your own is run "
    "before, its text is given with pretokenized=True"
)
_UNKNOWN = "its model needs an unknown token that is in its vocabulary, or another text"


@door
class SubwordTokenizer(Tokenizer):
    """Byte-level byte-pair encoding: every text can be encoded and comes back exactly.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
        Its ids are moved up by 4, behind the special ids; a copy is kept, without padding and truncation, and
        without dropout of merges, with which the same text would be cut in another way each time.

    Raises
    ------
    TypeError, ValueError
        If it is no tokenizer of the library, cannot be written as JSON (pre-tokenizers in Python), or has ids
        that are not int32, most of them unused, or twice the same.

    Notes
    -----
    Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL 2016, over
    bytes as in GPT-2. The file written by `save` is a plain `tokenizer.json`.

    Examples
    --------
    >>> tokenizer = SubwordTokenizer.train(["the cat sat", "the cat ran"], vocab_size=270)
    >>> tokenizer.vocab_size
    270
    >>> tokenizer.decode(tokenizer.encode_lines(["the cat 猫"])[0])
    'the cat 猫'
    >>> [tokenizer.piece(i) for i in tokenizer.encode_lines(["猫"])[0]][1:]
    ['<E7>', '<8C>', '<AB>']
    """

    kind = "subwords"

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        if not callable(attribute_of(tokenizer, "to_str")):
            raise TypeError(f"tokenizer must be a tokenizers.Tokenizer, got {shown(tokenizer)}")
        with library_errors("tokenizer cannot be kept", _KEPT_BY):
            text = tokenizer.to_str()
        try:
            self._keep(json.loads(text))
        except ValueError as error:
            raise ValueError(f"tokenizer cannot be taken: {error}") from error

    def _keep(self, values: dict[str, Any]) -> None:
        """A tokenizer of the library's JSON, checked before and after the library has read it."""
        calm = checked_json(values)
        with library_errors("Hugging Face's tokenizers cannot read it"):
            own = tokenizers.Tokenizer.from_str(json.dumps(calm))
            vocabulary = own.get_vocab(with_added_tokens=True)
        for content, number in added_ids(calm).items():
            if vocabulary.get(content) != number:
                raise ValueError(
                    f"its added token {content!r:.80} has id {number}, where the library gives it "
                    f"{vocabulary.get(content)}: ids must follow the vocabulary's"
                )
        check_holes(vocabulary.values())
        self._tokenizer = own
        self._num_pieces = 1 + max(vocabulary.values(), default=-1)
        if self._num_pieces == 0:
            raise ValueError("it has an empty vocabulary")
        _try(own, vocabulary)

    @classmethod
    def train(
        cls, lines: Iterable[str], *, vocab_size: int = 8000, prefix_space: bool = True
    ) -> SubwordTokenizer:
        """Learns a vocabulary of at most vocab_size ids: 4 special ones, 256 bytes, and merges.

        Words of more than 1,000 bytes, as DNA or Chinese text have them, are learned from in pieces, in a
        time that grows with the text and no faster.

        Parameters
        ----------
        lines : iterable of str
            The text to learn from.
        vocab_size : int
            At least 260. A small text may have fewer merges than asked for.
        prefix_space : bool
            Read a line as if it began with a space, so that its first word is cut like any other.
        """
        vocab_size = check_vocab_size(vocab_size, NUM_SPECIAL + NUM_BYTES)
        kept = list(lines)
        tokenizer = tokenizers.Tokenizer(models.BPE())
        words = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.pre_tokenizer = words
        tokenizer.decoder = decoders.ByteLevel()
        if prefix_space:
            tokenizer.normalizer = normalizers.Prepend(" ")
            tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
        sizes = [len(line.encode("utf-8")) for line in kept]
        if max(sizes, default=0) >= WORD_MOST:
            pieces = tokenizers.Regex(rf"[\s\S]{{1,{WORD_MOST}}}")
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [words, pre_tokenizers.Split(pieces, "isolated")]
            )
        # A merge takes at least one of the text's bytes away; the trainer makes room for as many as it may.
        most = NUM_BYTES + sum(sizes) + len(kept)
        trainer = trainers.BpeTrainer(
            vocab_size=min(vocab_size - NUM_SPECIAL, most),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        interruptible(lambda stop: tokenizer.train_from_iterator(_until(stop, kept), trainer))
        tokenizer.pre_tokenizer = words
        return cls(tokenizer)

    @property
    def num_pieces(self) -> int:
        return self._num_pieces

    def encode_lines(self, lines: Sequence[str]) -> Sequences:
        if sum(map(len, lines)) < _LONG:
            return self._encode(Event(), lines)
        return interruptible(lambda stop: self._encode(stop, lines))

    def _encode(self, stop: Event, lines: Sequence[str]) -> Sequences:
        parts = []
        for start in range(0, len(lines), _CHUNK):
            if stop.is_set():
                break  # nobody waits for the rest
            chunk = list(lines[start : start + _CHUNK])
            ids = self._encoded(chunk)
            offsets = offsets_of([len(line) for line in ids])
            tokens = np.fromiter((i for line in ids for i in line), np.int32, count=int(offsets[-1]))
            parts.append(Sequences(tokens + np.int32(NUM_SPECIAL), offsets))
        return Sequences.concatenate(parts)

    def _encoded(self, lines: list[str]) -> list[list[int]]:
        try:
            with library_errors("no line"):
                return [e.ids for e in self._tokenizer.encode_batch(lines, add_special_tokens=False)]
        except ValueError:
            return [self._encoded_line(line) for line in lines]  # which finds the line

    def _encoded_line(self, line: str) -> list[int]:
        with library_errors(f"lines: the tokenizer cannot encode {line!r:.80}", _UNKNOWN):
            return self._tokenizer.encode(line, add_special_tokens=False).ids

    def _join(self, ids: list[int]) -> str:
        # Unknown is no piece: what stands between two of them is decoded by itself.
        runs: list[list[int]] = [[]]
        for i in ids:
            if i == UNK:
                runs.append([])
            else:
                runs[-1].append(i - NUM_SPECIAL)
        with library_errors("tokenizer cannot decode these ids"):
            return "\ufffd".join(self._tokenizer.decode(run, skip_special_tokens=False) for run in runs)

    def _piece(self, i: int) -> str:
        text = self._join([i])
        return text if text and "\ufffd" not in text else _with_bytes(self._written(i), text)

    def _written(self, i: int) -> str:
        """A piece as the vocabulary writes it; nothing for an id without one."""
        return self._tokenizer.id_to_token(i - NUM_SPECIAL) or ""

    def _all_pieces(self) -> list[str]:
        return [self._written(NUM_SPECIAL + i) for i in range(self._num_pieces)]

    def _to_dict(self) -> dict[str, Any]:
        return json.loads(self._tokenizer.to_str())

    def _to_json(self) -> str:
        return self._tokenizer.to_str(pretty=True)

    def _to_file(self) -> bytes:
        return self._to_json().encode("utf-8")  # its library takes no further entries

    @classmethod
    def _from_dict(cls, values: dict[str, Any]) -> SubwordTokenizer:
        made = cls.__new__(cls)
        made._keep(values)
        return made


def _until(stop: Event, lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if stop.is_set():
            raise InterruptedError("stopped")
        yield line


def _try(tokenizer: tokenizers.Tokenizer, vocabulary: dict[str, int]) -> None:
    """ValueError unless some of its own pieces are cut alike twice, into ids that it has, and decoded."""
    size = 1 + max(vocabulary.values())
    tried = sorted(vocabulary, key=vocabulary.__getitem__)[:: max(1, len(vocabulary) // _TRIED)]
    lines = [*tried, " ".join(tried)]
    found = []
    for line in [*lines, *lines]:
        try:
            with library_errors("no line"):
                found.append(tokenizer.encode(line, add_special_tokens=False).ids)
        except ValueError:
            found.append([])  # a line that is no text of its kind; one that is will be named
    if found[: len(lines)] != found[len(lines) :]:
        raise ValueError("it is random: it cuts the same text in another way each time")
    wrong = [i for line in found for i in line if i >= size]
    if wrong:
        raise ValueError(f"it gives id {wrong[0]}, but its vocabulary ends at {size - 1}")
    with library_errors("it cannot decode its own pieces"):
        tokenizer.decode([vocabulary[piece] for piece in tried], skip_special_tokens=False)


def _byte_letters() -> dict[str, int]:
    """The letters by which GPT-2's byte-level vocabularies write bytes: visible ones are themselves."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(NUM_BYTES) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(NUM_BYTES + i): byte for i, byte in enumerate(others)}


_BYTE_LETTERS = _byte_letters()
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _with_bytes(written: str, text: str) -> str:
    """A piece that is no whole letters: its letters, and the bytes that are none; `text` if it has none."""
    fallback = _BYTE_PIECE.fullmatch(written)
    if fallback:
        return shown_bytes(bytes.fromhex(fallback[1]))
    if not written or not all(one in _BYTE_LETTERS for one in written):
        return written or text
    left, shown = bytes(_BYTE_LETTERS[one] for one in written), ""
    while left:
        try:
            return shown + left.decode("utf-8").replace("\ufffd", shown_bytes("\ufffd".encode()))
        except UnicodeDecodeError as error:
            shown += left[: error.start].decode("utf-8") + shown_bytes(left[error.start : error.end])
            left = left[error.end :]
    return shown
