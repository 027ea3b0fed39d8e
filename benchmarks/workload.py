"""The work that both sides of a benchmark do: models, batches, and the speed that is aimed at.

A workload is data; `WORKLOADS` is the table of all of them. Nothing here knows admin-py or PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

LENGTHS = Path(__file__).parent / "multi30k_lengths.txt"
NUM_SPECIAL = 4
"""Ids below are special symbols, such as padding, which is 0."""


class Goal(NamedTuple):
    """What a workload aims at, two threads."""

    ratio: float
    """PyTorch's seconds over ours, at least."""
    mfu: float
    """Useful FLOP/s over the machine's peak, at least."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A Transformer with all embeddings shared, the batches it reads, and what trains it.

    Without encoder layers it is a language model. `length` is that of every sequence the model reads; without
    it lengths are those of real pairs of sentences.
    """

    name: str
    what: str
    encoder_layers: int = 4
    decoder_layers: int = 4
    d_model: int = 128
    d_ff: int = 256
    heads: int = 4
    vocab_size: int = 10_000
    dropout: float = 0.1
    label_smoothing: float = 0.1
    scheme: str = "post_ln"
    activation: str = "relu"
    positions: str = "sinusoidal"
    optimizer: str = "adam"
    max_tokens: int = 4096
    length: int | None = 32
    goal: Goal | None = None

    @property
    def ragged(self) -> bool:
        """Whether sequences differ in length."""
        return self.length is None


_SMALL = {"encoder_layers": 6, "decoder_layers": 6, "d_model": 512, "d_ff": 1024}
_DEEP = {"encoder_layers": 18, "decoder_layers": 18}

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(name="tiny", what="4-4, D 128, F 256, dropout .1", goal=Goal(2.7, 0.82)),
        Workload(name="tiny-plain", what="4-4, D 128, no dropout", dropout=0.0, goal=Goal(1.9, 0.82)),
        Workload(name="deep", what="18-18, D 128, F 256, dropout .1", **_DEEP, goal=Goal(2.1, 0.75)),
        Workload(name="small", what="6-6, D 512, F 1024, dropout .1", **_SMALL, goal=Goal(1.5, 0.85)),
        Workload(
            name="small-plain", what="6-6, D 512, no dropout", **_SMALL, dropout=0.0, goal=Goal(1.15, 0.85)
        ),
        Workload(name="ragged", what="tiny on Multi30k's lengths", length=None, goal=Goal(2.4, 0.82)),
        Workload(
            name="characters",
            what="nanoGPT's CPU recipe, 12 x 64",
            encoder_layers=0,
            d_ff=512,
            vocab_size=65,
            dropout=0.0,
            label_smoothing=0.0,
            scheme="pre_ln",
            activation="gelu",
            positions="learned",
            optimizer="adamw",
            max_tokens=12 * 64,
            length=64,
            goal=Goal(1.35, 0.75),
        ),
        Workload(
            name="gpt2-124m",
            what="GPT-2 124M, 4 x 64",
            encoder_layers=0,
            decoder_layers=12,
            d_model=768,
            d_ff=3072,
            heads=12,
            vocab_size=50_257,
            dropout=0.0,
            label_smoothing=0.0,
            scheme="pre_ln",
            activation="gelu",
            positions="learned",
            optimizer="adamw",
            max_tokens=4 * 64,
            length=64,
            goal=Goal(1.35, 0.80),
        ),
    )
}


class Pairs(NamedTuple):
    """A batch of sequences of ids. Of a target the last is not read and the first is not predicted."""

    source: list[np.ndarray]
    """Empty for a language model."""
    target: list[np.ndarray]

    @property
    def source_lengths(self) -> np.ndarray:
        """Tokens that the encoder reads, [B]."""
        return np.array([len(x) for x in self.source], dtype=np.int64)

    @property
    def target_lengths(self) -> np.ndarray:
        """Tokens that the decoder reads, [B]."""
        return np.array([len(x) - 1 for x in self.target], dtype=np.int64)

    @property
    def num_tokens(self) -> int:
        """Tokens that the model reads."""
        return int(self.source_lengths.sum() + self.target_lengths.sum())


def real_lengths() -> np.ndarray:
    """Lengths (source, target) of sentence pairs of Multi30k, in subwords, [2048, 2]."""
    return np.loadtxt(LENGTHS, dtype=np.int64)


def make_batches(workload: Workload, count: int = 4, seed: int = 0) -> list[Pairs]:
    """Random ids in batches of the workload's lengths, at most `max_tokens` a side."""
    rng = np.random.default_rng(seed)
    if workload.length is None:
        pieces = _by_length(real_lengths() + np.array([1, 2]), workload.max_tokens)  # eos; bos and eos
        lengths = [pieces[i] for i in rng.permutation(len(pieces))[:count]]
    else:
        rows = workload.max_tokens // workload.length
        lengths = [np.tile([workload.length, workload.length + 1], (rows, 1))] * count

    def ids(n: int) -> np.ndarray:
        return rng.integers(NUM_SPECIAL, workload.vocab_size, n).astype(np.int32)

    return [
        Pairs(
            [ids(n) for n in piece[:, 0]] if workload.encoder_layers else [],
            [ids(n) for n in piece[:, 1]],
        )
        for piece in lengths
    ]


def _by_length(lengths: np.ndarray, max_tokens: int) -> list[np.ndarray]:
    """Pairs of similar length together, as training batches them: at most max_tokens real tokens a side."""
    lengths = lengths[np.lexsort((lengths[:, 1], lengths[:, 0]))]
    ends, tokens = [0], np.zeros(2, dtype=np.int64)
    for i, pair in enumerate(lengths):
        if (tokens + pair).max() > max_tokens:
            ends.append(i)
            tokens = np.zeros(2, dtype=np.int64)
        tokens = tokens + pair
    return [lengths[a:b] for a, b in pairwise(ends)]
