"""Many sequences of token ids in two arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import MAX_COUNT, check_array, check_instance, check_integer, check_listed, shown


@door
@dataclass(frozen=True, eq=False, repr=False)
class Sequences:
    """Sequences of token ids, packed: sequence b is ``tokens[offsets[b] : offsets[b + 1]]``.

    Parameters
    ----------
    tokens : int32 [M]
        The ids of all sequences, one sequence after the other.
    offsets : int64 [B + 1]
        Where each sequence begins, and at last M.

    Examples
    --------
    >>> sequences = Sequences.from_lists([[5, 6, 7], [8]])
    >>> sequences[0], sequences.lengths
    (array([5, 6, 7], dtype=int32), array([3, 1]))
    >>> sequences.affixed(first=1, last=2)[1]
    array([1, 8, 2], dtype=int32)
    """

    tokens: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        tokens = np.ascontiguousarray(_integers("tokens", self.tokens, 2**31), dtype=np.int32)
        offsets = np.ascontiguousarray(_integers("offsets", self.offsets, 2**63), dtype=np.int64)
        if tokens.ndim != 1 or offsets.ndim != 1 or offsets.size == 0:
            raise ValueError("tokens [M] and offsets [B + 1] must be one-dimensional, offsets not empty")
        if offsets[0] != 0 or offsets[-1] != tokens.size or np.any(np.diff(offsets) < 0):
            raise ValueError(f"offsets must rise from 0 to the number of tokens, {tokens.size}")
        for name, array in (("tokens", tokens), ("offsets", offsets)):
            view = array.view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)

    @classmethod
    def from_lists(cls, sequences: Iterable[ArrayLike]) -> Sequences:
        """Packs sequences of ids, each anything that makes a one-dimensional array."""
        listed = check_listed("sequences", sequences, "sequences of ids")
        arrays = [_integers("sequences", one, 2**31).astype(np.int32).reshape(-1) for one in listed]
        tokens = np.concatenate(arrays) if arrays else np.empty(0, np.int32)
        return cls(tokens, offsets_of([array.size for array in arrays]))

    @classmethod
    def concatenate(cls, parts: Iterable[Sequences]) -> Sequences:
        """All sequences of the first part, then those of the second, and so on."""
        kept = [check_instance("parts", one, Sequences) for one in check_listed("parts", parts, "Sequences")]
        if not kept:
            return cls.from_lists([])
        lengths = np.concatenate([part.lengths for part in kept])
        return cls(np.concatenate([part.tokens for part in kept]), offsets_of(lengths))

    def __reduce__(self) -> tuple[Any, ...]:
        return Sequences, (self.tokens, self.offsets)  # checked, and read-only again

    def __len__(self) -> int:
        return self.offsets.size - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        b = index % len(self)
        return self.tokens[self.offsets[b] : self.offsets[b + 1]]

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[b] for b in range(len(self)))

    def __repr__(self) -> str:
        return f"Sequences({len(self):,} sequences, {self.tokens.size:,} tokens)"

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sequence, int64 [B]."""
        return np.diff(self.offsets)

    def take(self, indices: NDArray[np.integer]) -> Sequences:
        """The sequences of these numbers, in their order."""
        indices = _integers("indices", indices, 2**63)
        if indices.ndim != 1 or (indices.size and not 0 <= indices.min() <= indices.max() < len(self)):
            raise ValueError(f"indices must be [n], from 0 to {len(self) - 1}, got {shown(indices)}")
        lengths = self.lengths[indices]
        offsets = offsets_of(lengths)
        shift = np.repeat(self.offsets[indices] - offsets[:-1], lengths)
        return Sequences(self.tokens[shift + np.arange(offsets[-1])], offsets)

    def affixed(self, *, first: int | None = None, last: int | None = None) -> Sequences:
        """Each sequence with one id put before it and one after it, where given."""
        for name, given in (("first", first), ("last", last)):
            if given is not None:
                check_integer(name, given, 0, MAX_COUNT)
        extra = (first is not None) + (last is not None)
        offsets = self.offsets + extra * np.arange(len(self) + 1)
        tokens = np.empty(offsets[-1], np.int32)
        inside = np.ones(tokens.size, bool)
        if first is not None:
            tokens[offsets[:-1]] = first
            inside[offsets[:-1]] = False
        if last is not None:
            tokens[offsets[1:] - 1] = last
            inside[offsets[1:] - 1] = False
        tokens[inside] = self.tokens
        return Sequences(tokens, offsets)


def offsets_of(lengths: ArrayLike) -> NDArray[np.int64]:
    """Offsets int64 [B + 1] of packed sequences with these lengths [B]."""
    counts = np.asarray(lengths, dtype=np.int64)
    offsets = np.zeros(counts.size + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def _integers(name: str, given: Any, limit: int) -> NDArray[Any]:
    """An array of integers that lie within the limit on either side; no elements may be of any type."""
    array = check_array(name, given)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        raise TypeError(f"{name} must be integers, got an array of {array.dtype}")
    low, high = int(array.min()), int(array.max())
    if not -limit <= low <= high < limit:
        raise ValueError(f"{name} must be from {-limit} to {limit - 1}, got {low} to {high}")
    return array
