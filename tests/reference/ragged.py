"""Packed ragged sequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """Packed token ids of a batch; the target only of an encoder-decoder."""

    source_tokens: np.ndarray  # int32 [M]
    source_offsets: np.ndarray  # int64 [B + 1]
    target_tokens: np.ndarray | None = None  # int32 [M_target]
    target_offsets: np.ndarray | None = None  # int64 [B + 1]


def offsets_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Offsets [B + 1] of sequences that follow one another, from their lengths [B]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def slices(offsets: np.ndarray) -> Iterator[slice]:
    """The rows of each sequence in turn."""
    for b in range(len(offsets) - 1):
        yield slice(int(offsets[b]), int(offsets[b + 1]))


def positions(offsets: np.ndarray) -> np.ndarray:
    """Position of every token in its own sequence, from 0: [M]."""
    return np.concatenate([np.arange(rows.stop - rows.start) for rows in slices(offsets)])


def shift(tokens: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a decoder reads and predicts: every sequence without its last, and without its first token.

    Returns
    -------
    inputs, labels : int32 [M - B]
    offsets : int64 [B + 1]
    """
    inputs = np.concatenate([tokens[rows][:-1] for rows in slices(offsets)])
    labels = np.concatenate([tokens[rows][1:] for rows in slices(offsets)])
    return inputs, labels, offsets_of(np.diff(offsets) - 1)
