"""A batch: sequences of token ids, packed, as models read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.builds import DTYPES, MODULES
from admin_py.base.checks import LARGEST, check_array, check_choice, check_integer, check_listed, shown
from admin_py.data.sequences import Sequences, offsets_of

MAX_ID = 2**31 - 1
"""Ids are int32."""


@door
class Batch:
    """Sequences of token ids, one side or two, packed without padding. Never changes once it is made.

    For an encoder-decoder the target is given whole: the decoder reads all but its last token and predicts
    all but its first. A language model reads and predicts the source in the same way.

    Parameters
    ----------
    source, target : list of sequences, ndarray [B, T], pair (tokens, offsets) or Sequences
        Sequences of integers from 0 to 2^31 - 1, as

        - a list of one-dimensional integer sequences;
        - a padded array [B, T], with ``pad_id``: padding before or after a sequence is taken off;
        - packed, a tuple of ``tokens`` [M] and ``offsets`` [B + 1].
    pad_id : int, optional
        The id that pads arrays; only with padded arrays.

    Attributes
    ----------
    source, target : Sequences
        ``.tokens`` int32 [M] and ``.offsets`` int64 [B + 1], read-only. The target is None if there is none.

    Raises
    ------
    TypeError
        If ids are not integers.
    ValueError
        If a sequence or the batch is empty, an id is out of range, offsets do not fit, there is padding
        inside a sequence, or source and target are not equally many.

    Examples
    --------
    >>> batch = Batch([[5, 6, 7], [8]], [[1, 9, 2], [1, 4, 4, 2]])
    >>> batch
    Batch(2 pairs of sequences, 4 + 7 tokens)
    >>> batch.source.tokens, batch.source.offsets
    (array([5, 6, 7, 8], dtype=int32), array([0, 3, 4]))
    >>> padded = np.array([[5, 6, 7], [8, 0, 0]])
    >>> Batch(padded, pad_id=0).source.lengths
    array([3, 1])
    """

    __slots__ = ("__weakref__", "_cores", "source", "target")

    source: Sequences
    target: Sequences | None

    def __init__(self, source: Any, target: Any = None, *, pad_id: int | None = None) -> None:
        if pad_id is not None:
            pad_id = check_integer("pad_id", pad_id, -LARGEST - 1, LARGEST)
            if not any(_is_padded(side) for side in (source, target)):
                raise ValueError(f"pad_id={pad_id} is for padded arrays [B, T], and none was given")
        packed = _pack("source", source, pad_id)
        other = None if target is None else _pack("target", target, pad_id)
        if other is not None and len(other) != len(packed):
            raise ValueError(
                f"target must have as many sequences as source, got {len(other)} and {len(packed)}"
            )
        object.__setattr__(self, "source", packed)
        object.__setattr__(self, "target", other)
        object.__setattr__(self, "_cores", {})

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Batch does not change: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Batch does not change: {name} cannot be deleted")

    @property
    def num_sequences(self) -> int:
        """B, pairs count once."""
        return len(self.source)

    @property
    def num_tokens(self) -> int:
        """Tokens of source and target together."""
        return self.source.tokens.size + (0 if self.target is None else self.target.tokens.size)

    def __len__(self) -> int:
        return self.num_sequences

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Batch):
            return NotImplemented
        return _same(self.source, other.source) and _same(self.target, other.target)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        tokens = f"{self.source.tokens.size:,}"
        if self.target is None:
            return f"Batch({self.num_sequences:,} sequences, {tokens} tokens)"
        return (
            f"Batch({self.num_sequences:,} pairs of sequences, {tokens} + {self.target.tokens.size:,} tokens)"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        sides = (self.source, self.target)
        return Batch, tuple(None if side is None else (side.tokens, side.offsets) for side in sides)

    def core(self, dtype: str) -> Any:
        """The core's batch for models of a dtype, made at the first call."""
        if check_choice("dtype", dtype, DTYPES) not in self._cores:
            module = MODULES[dtype]
            sides = [self.source] if self.target is None else [self.source, self.target]
            self._cores[dtype] = module.Batch(
                *(part for side in sides for part in (side.tokens, side.offsets))
            )
        return self._cores[dtype]

    _cores: dict[str, Any]


def _same(a: Sequences | None, b: Sequences | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a.tokens, b.tokens) and np.array_equal(a.offsets, b.offsets)


def _is_padded(side: Any) -> bool:
    return isinstance(side, np.ndarray) and side.ndim == 2


def _pack(name: str, given: Any, pad_id: int | None) -> Sequences:
    """One side in any of its forms, checked and copied."""
    if isinstance(given, Sequences):
        packed = _from_packed(name, given.tokens, given.offsets)
    elif isinstance(given, tuple) and len(given) == 2:
        packed = _from_packed(name, *given)
    elif _is_padded(given):
        packed = _from_padded(name, given, pad_id)
    elif isinstance(given, Iterable) and not isinstance(given, (str, bytes, dict)):
        packed = _from_sequences(name, check_listed(name, given, "sequences"))
    else:
        raise TypeError(
            f"{name} must be a list of sequences, a padded array [B, T] or a tuple (tokens, offsets), got an "
            f"object of type {type(given).__name__}"
        )
    if len(packed) == 0:
        raise ValueError(f"{name} must hold at least one sequence, got none")
    empty = np.flatnonzero(packed.lengths == 0)
    if empty.size:
        raise ValueError(f"{name}: sequence {empty[0]} is empty, every sequence needs a token")
    return packed


def _ids(what: str, values: Any, ndim: int = 1) -> NDArray[np.int32]:
    """Token ids as a new int32 array."""
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{what} must be a {ndim}-dimensional array of integers: {error}") from None
    except Exception:  # of any class: the value's own code has raised it
        raise TypeError(f"{what} must be integers, got {shown(values)}") from None
    if array.ndim != ndim:
        raise ValueError(f"{what} must have {ndim} dimension{'s' * (ndim > 1)}, got {array.ndim}")
    if array.size == 0:
        return np.empty(array.shape, np.int32)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, got {array.dtype}")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > MAX_ID:
        raise ValueError(f"{what} must be ids from 0 to {MAX_ID}, got {low if low < 0 else high}")
    return np.array(array, dtype=np.int32)


def _from_packed(name: str, tokens: Any, offsets: Any) -> Sequences:
    ids = _ids(f"tokens of {name}", tokens)
    ends = check_array(f"offsets of {name}", offsets, "iufbcOSUVmM")
    if ends.ndim != 1 or (ends.size and ends.dtype.kind not in "iu"):
        raise TypeError(
            f"offsets of {name} must be a one-dimensional array of integers, got {ends.dtype} of shape "
            f"{ends.shape} (a tuple of two is taken as (tokens, offsets); give sequences as a list)"
        )
    ends = np.array(ends, dtype=np.int64)
    if ends.size == 0 or ends[0] != 0 or ends[-1] != ids.size or np.any(ends[1:] < ends[:-1]):
        raise ValueError(
            f"offsets of {name} must rise from 0 to the number of tokens, {ids.size}, got "
            f"{np.array2string(ends, threshold=8)}"
        )
    return Sequences(ids, ends)


def _from_sequences(name: str, given: list[Any]) -> Sequences:
    arrays = [_ids(f"sequence {b} of {name}", sequence) for b, sequence in enumerate(given)]
    if not arrays:
        return Sequences(np.empty(0, np.int32), np.zeros(1, np.int64))
    return Sequences(np.concatenate(arrays), offsets_of([array.size for array in arrays]))


def _from_padded(name: str, given: NDArray[Any], pad_id: int | None) -> Sequences:
    if pad_id is None:
        raise ValueError(f"{name} is an array [B, T]: give pad_id, the id that pads it")
    if given.size and given.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {given.dtype}")
    kept = given != pad_id
    lengths = kept.sum(axis=1)
    first = kept.argmax(axis=1) if kept.size else np.zeros(len(given), np.int64)
    last = kept.shape[1] - kept[:, ::-1].argmax(axis=1) if kept.size else first
    inside = np.flatnonzero((lengths > 0) & (last - first != lengths))
    if inside.size:
        raise ValueError(f"{name}: sequence {inside[0]} has padding (pad_id={pad_id}) inside it")
    return Sequences(_ids(f"tokens of {name}", given[kept]), offsets_of(lengths))
