"""A dataset: tokenised splits, from which batches are made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from admin_py.base import defaults
from admin_py.base.arguments import door
from admin_py.base.checks import check_instance, check_integer, shown
from admin_py.base.exact_math import logs
from admin_py.data.batch import Batch
from admin_py.data.batching import plan_batches
from admin_py.data.sequences import Sequences
from admin_py.data.summary import DatasetSummary, Lengths, SplitSummary
from admin_py.data.tokenizer import BOS, EOS, PAD, UNK, Tokenizer
from admin_py.data.vocabulary import Vocabulary

Kind = Literal["translation", "language_model"]
Side = Literal["source", "target"]


@door
@dataclass(frozen=True, eq=False)
class Split:
    """One part of a dataset.

    Parameters
    ----------
    source : Sequences
        What the encoder reads (with an end), or the sequences of a language model.
    target : Sequences, optional
        What the decoder reads and predicts, from beginning to end.
    lines : pair of lists of str, optional
        The text of source and target.
    blank, too_long : int
        Pairs that were left out, or texts.
    texts : list of str, optional
        Of a language model: what was cut into the sequences.
    """

    source: Sequences
    target: Sequences | None = None
    lines: tuple[list[str], list[str]] | None = None
    blank: int = 0
    too_long: int = 0
    texts: list[str] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Split, tuple(getattr(self, field.name) for field in fields(self))

    @property
    def predicted(self) -> Sequences:
        """The sequences whose tokens, from the second on, a model predicts."""
        return self.source if self.target is None else self.target

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sequence on each side, int64 [B, 1 or 2]."""
        sides = [self.source] if self.target is None else [self.source, self.target]
        return np.stack([side.lengths for side in sides], axis=1)


@door
class Dataset:
    """Tokenised text, cut into batches on demand. The functions of `admin_py.data` make it.

    Parameters
    ----------
    name : str
        For people.
    kind : {"translation", "language_model"}
        With or without a target side.
    tokenizer : Tokenizer
        Of both sides.
    splits : mapping of str to Split
        "train", usually "valid" to look at during a training, and "test" where one was asked for.
    asked : int, optional
        Ids that the vocabulary was to have, for people: a text may not have so many.

    Attributes
    ----------
    pad, bos, eos, unk : int
        The special ids, 0 to 3.
    """

    pad, bos, eos, unk = PAD, BOS, EOS, UNK

    def __init__(
        self,
        name: str,
        kind: Kind,
        tokenizer: Tokenizer,
        splits: Mapping[str, Split],
        asked: int | None = None,
    ) -> None:
        if not isinstance(kind, str) or kind not in ("translation", "language_model"):
            raise ValueError(f"kind must be 'translation' or 'language_model', got {shown(kind)}")
        for key, one in splits.items():
            check_instance(f"splits[{key!r}]", one, Split)
        for key, split in splits.items():
            if (split.target is None) != (kind == "language_model"):
                raise ValueError(f"split {key!r} does not fit kind {kind!r}")
            if len(split.source) == 0:
                raise ValueError(f"split {key!r} has no sequences")
            if split.target is not None and len(split.target) != len(split.source):
                raise ValueError(
                    f"split {key!r} has {len(split.source)} sources, {len(split.target)} targets"
                )
        if "train" not in splits:
            raise ValueError("splits must have 'train'")
        self.name = name
        self.kind: Kind = kind
        self.tokenizer = tokenizer
        self._splits = dict(splits)
        self._asked = asked

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.kind, self.tokenizer, dict(self._splits), self._asked)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{key} {len(split.source):,}" for key, split in self._splits.items())
        return f"Dataset({self.name!r}, {self.kind}, vocab_size={self.vocab_size}, {sizes})"

    @property
    def vocab_size(self) -> int:
        """Ids, the four special ones included."""
        return self.tokenizer.vocab_size

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self._splits)

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence of any split and side: a model's max_length need be no larger."""
        return max(int(split.lengths.max()) for split in self._splits.values())

    def split(self, name: str) -> Split:
        """The sequences of a split; ValueError if there is none of that name."""
        try:
            return self._splits[name]
        except (KeyError, TypeError):
            names = ", ".join(map(repr, self._splits))
            raise ValueError(f"split must be one of {names}, got {shown(name)}") from None

    def num_sequences(self, split: str = "train") -> int:
        """Sequences, or pairs of them, of a split."""
        return len(self.split(split).source)

    def pairs(self, split: str = "valid") -> list[tuple[str, str]]:
        """The lines of a split, (source, target), in the order of its sequences.

        Raises
        ------
        ValueError
            If the dataset is of texts and not of pairs of lines; `texts` has those.
        """
        lines = self.split(split).lines
        if lines is None:
            why = "is of texts" if self.kind == "language_model" else "was made of ids"
            raise ValueError(f"{self.name} {why}: it has no pairs of lines")
        return list(zip(*lines, strict=True))

    def texts(self, split: str = "valid") -> list[str]:
        """The texts of a split of a language model, in their order: each was cut into sequences by itself.

        Raises
        ------
        ValueError
            If the dataset is of pairs of lines; `pairs` has those.
        """
        texts = self.split(split).texts
        if texts is None:
            why = "was made of ids" if self.kind == "language_model" else "is of pairs of lines"
            raise ValueError(f"{self.name} {why}: it has no texts")
        return list(texts)

    @overload
    def encode(  # type: ignore[overload-overlap]  # a str is one line, though also a Sequence[str]
        self, lines: str, *, side: Side = ...
    ) -> NDArray[np.int32]: ...
    @overload
    def encode(self, lines: Sequence[str], *, side: Side = ...) -> list[NDArray[np.int32]]: ...
    def encode(
        self, lines: str | Sequence[str], *, side: Side = "source"
    ) -> NDArray[np.int32] | list[NDArray[np.int32]]:
        """Token ids of text.

        Parameters
        ----------
        lines : str or sequence of str
            One line, or several.
        side : {"source", "target"}
            Of a translation: a source ends with `eos`, a target is put between `bos` and `eos`. The ids of a
            language model stand alone, to be continued.

        Returns
        -------
        int32 array, or a list of them, one a line
        """
        several = [lines] if isinstance(lines, str) else lines
        sequences = encode_lines(self.tokenizer, several, kind=self.kind, side=side)
        return sequences[0] if isinstance(lines, str) else list(sequences)

    @overload
    def decode(self, ids: NDArray[np.integer] | Sequence[int]) -> str: ...
    @overload
    def decode(self, ids: Sequence[NDArray[np.integer] | Sequence[int]]) -> list[str]: ...
    def decode(self, ids: Any) -> str | list[str]:
        """Text of token ids, up to the first `eos`, without `bos` and `pad`.

        Parameters
        ----------
        ids : sequence of int, or a list of such sequences

        Returns
        -------
        str, or a list of str, one a sequence

        Raises
        ------
        IndexError
            If an id is not one of the vocabulary's.
        """
        if isinstance(ids, (list, tuple)) and ids and all(map(_is_flat, ids)):
            return [self.tokenizer.decode(one) for one in ids]
        return self.tokenizer.decode(ids)

    def batches(
        self,
        *,
        max_tokens: int = defaults.MAX_TOKENS,
        seed: int = 0,
        split: str = "train",
        shuffle: bool = True,
        start: int = 0,
    ) -> Iterator[Batch]:
        """One pass over a split, in batches.

        Parameters
        ----------
        max_tokens : int
            A batch holds at most so many tokens on either side (special ones counted, there is no padding).
        seed : int
            Of the order; the same seed means the same batches on any machine.
        split : str
            "train", "valid" or "test".
        shuffle : bool
            True: sequences of like length together, in random order, and the batches in random order. False:
            the order of the split.
        start : int
            Begin with this batch, as if those before it had been taken.

        Returns
        -------
        iterator of Batch

        Raises
        ------
        ValueError
            If a sequence alone has more than max_tokens tokens; if there is no such split.

        Examples
        --------
        >>> from admin_py.data import copy_task
        >>> data = copy_task(train=100, valid=10)
        >>> sum(batch.num_sequences for batch in data.batches(max_tokens=200, seed=1))
        100
        """
        plan = self.plan(max_tokens=max_tokens, seed=seed, split=split, shuffle=shuffle)
        start = check_integer("start", start, 0)
        return self._make_batches(self.split(split), islice(plan, start, None))

    @staticmethod
    def _make_batches(split: Split, plan: Iterator[NDArray[np.int64]]) -> Iterator[Batch]:
        for indices in plan:
            target = None if split.target is None else split.target.take(indices)
            yield Batch(split.source.take(indices), target)

    def plan(
        self,
        *,
        max_tokens: int = defaults.MAX_TOKENS,
        seed: int = 0,
        split: str = "train",
        shuffle: bool = True,
    ) -> list[NDArray[np.int64]]:
        """The numbers of the sequences in each batch of `batches`, a list of int64 arrays."""
        return plan_batches(self.split(split).lengths, max_tokens, seed=seed, shuffle=shuffle)

    def num_batches(
        self,
        *,
        max_tokens: int = defaults.MAX_TOKENS,
        seed: int = 0,
        split: str = "train",
        shuffle: bool = True,
    ) -> int:
        """How many batches `batches` makes of the same arguments."""
        return len(self.plan(max_tokens=max_tokens, seed=seed, split=split, shuffle=shuffle))

    def unigram_entropy(self, split: str = "train") -> float:
        """Entropy of the tokens to predict, nats: the best loss of a model that knows only frequencies."""
        sequences = self.split(split).predicted
        first = np.zeros(sequences.tokens.size, bool)
        first[sequences.offsets[:-1]] = True
        counts = np.bincount(sequences.tokens[~first])
        p = counts[counts > 0] / counts.sum()
        return float(-(p * logs(p)).sum()) + 0.0

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary's size and all ids: two datasets with one fingerprint train alike."""
        digest = hashlib.sha256(f"{self.kind} {self.vocab_size}".encode())
        for name, split in self._splits.items():
            digest.update(f"\n{name} {len(split.source)}\n".encode())
            for side in (split.source, split.target):
                if side is not None:
                    digest.update(side.offsets.astype("<i8").tobytes())
                    digest.update(side.tokens.astype("<i4").tobytes())
        return digest.hexdigest()

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What its ids mean: a model that was trained on it keeps this."""
        return Vocabulary(self.kind, self.vocab_size, self.tokenizer.fingerprint, self.name)

    def describe(self) -> DatasetSummary:
        """What the dataset holds: counts, lengths, vocabulary, what was left out."""
        splits = tuple(
            SplitSummary(
                name=name,
                sequences=len(split.source),
                source=Lengths.of(split.source),
                target=None if split.target is None else Lengths.of(split.target),
                blank=split.blank,
                too_long=split.too_long,
            )
            for name, split in self._splits.items()
        )
        return DatasetSummary(
            name=self.name,
            kind=self.kind,
            vocab_size=self.vocab_size,
            tokenizer=self.tokenizer.kind,
            unigram_entropy=self.unigram_entropy(),
            splits=splits,
            fingerprint=self.fingerprint,
            asked=self._asked,
        )


def encode_lines(
    tokenizer: Tokenizer, lines: Sequence[str], *, kind: Kind, side: Side = "source"
) -> Sequences:
    """Ids of lines, which are checked, as a model of data of this kind reads them, see `Dataset.encode`."""
    if not isinstance(side, str) or side not in ("source", "target"):
        raise ValueError(f"side must be 'source' or 'target', got {shown(side)}")
    encode = tokenizer.encode_targets if side == "target" else tokenizer.encode_lines
    sequences = encode(lines)
    if kind == "translation":
        sequences = sequences.affixed(first=BOS if side == "target" else None, last=EOS)
    return sequences


def _is_flat(value: Any) -> bool:
    """Whether it makes an array of one dimension."""
    try:
        return np.ndim(value) == 1
    except Exception:  # of any class: lists of lists, or what the value's own code has raised
        return False
