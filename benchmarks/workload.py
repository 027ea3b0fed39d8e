"""The work that both sides of a benchmark do: model sizes, batches of real lengths, useful FLOPs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

LENGTHS = Path(__file__).parent / "multi30k_lengths.txt"


@dataclass(frozen=True)
class Sizes:
    """A Post-LN encoder-decoder with all embeddings shared, and the batches it reads."""

    layers: int = 4
    d_model: int = 128
    d_ff: int = 256
    heads: int = 4
    vocab_size: int = 10_000
    dropout: float = 0.1
    max_tokens: int = 4096
    label_smoothing: float = 0.1


def real_lengths() -> np.ndarray:
    """Lengths (source, target) of sentence pairs of Multi30k, in subwords, [2048, 2]."""
    return np.loadtxt(LENGTHS, dtype=np.int64)


def make_batches(sizes: Sizes, count: int, seed: int = 0) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Batches of pairs of similar length, as training sees them: at most max_tokens real tokens a side."""
    rng = np.random.default_rng(seed)
    lengths = real_lengths() + np.array([1, 2])  # eos of the source; bos and eos of the target
    lengths = lengths[np.lexsort((lengths[:, 1], lengths[:, 0]))]
    ends, tokens = [0], np.zeros(2, dtype=np.int64)
    for i, pair in enumerate(lengths):
        if (tokens + pair).max() > sizes.max_tokens:
            ends.append(i)
            tokens = np.zeros(2, dtype=np.int64)
        tokens = tokens + pair
    pieces = [lengths[a:b] for a, b in pairwise(ends)]
    chosen = rng.permutation(len(pieces))[:count]
    low = 4  # below: special symbols
    return [
        tuple(
            [rng.integers(low, sizes.vocab_size, n).astype(np.int32) for n in pieces[i][:, side]]
            for side in (0, 1)
        )
        for i in chosen
    ]


def useful_flops(sizes: Sizes, batch: tuple[list[np.ndarray], list[np.ndarray]]) -> float:
    """Of one forward and backward pass: three times the forward pass's matrix products over real tokens."""
    d, f = sizes.d_model, sizes.d_ff
    s = np.array([len(x) for x in batch[0]], dtype=np.float64)
    t = np.array([len(x) - 1 for x in batch[1]], dtype=np.float64)
    source, target = s.sum(), t.sum()
    encoder = 2 * source * (4 * d * d + 2 * d * f) + 4 * d * (s * s).sum()
    decoder = 2 * target * (6 * d * d + 2 * d * f) + 2 * source * 2 * d * d
    decoder += 4 * d * ((t * t).sum() / 2 + (s * t).sum())
    return 3.0 * (sizes.layers * (encoder + decoder) + 2 * target * d * sizes.vocab_size)
