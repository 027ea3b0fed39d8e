"""What both sides of the benchmark of decoding do: models, sources and searches. Knows neither side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.workload import NUM_SPECIAL, WORKLOADS, Workload, real_lengths

BOS, EOS = 1, 2
TOKENS = 15
"""That every hypothesis gets, the end included: weights are random, and would end nowhere or at once."""

MODELS = {name: WORKLOADS[name] for name in ("tiny", "small")}


@dataclass(frozen=True)
class Case:
    """One search: a model, hypotheses that are open at once, and sentences that are searched at once."""

    model: str
    beam: int
    batch: int
    goal: float
    """CTranslate2's seconds over ours, at least."""
    count: int
    """Sentences of a sample."""

    @property
    def name(self) -> str:
        """Of the entry in a file of results."""
        return f"{self.model}, {'greedy' if self.beam == 1 else f'beam {self.beam}'}, {self.batch} at once"

    @property
    def workload(self) -> Workload:
        """Sizes of the model."""
        return MODELS[self.model]


COUNTS = {("tiny", 32): 128, ("tiny", 1): 16, ("small", 32): 32, ("small", 1): 4}

CASES = {
    case.name: case
    for case in (
        Case(model, beam, batch, goal, COUNTS[model, batch])
        for model, goal in (("tiny", 1.5), ("small", 1.0))
        for beam in (1, 5)
        for batch in (32, 1)
    )
}

OLD_WAY = CASES["tiny, greedy, 32 at once"]
"""The case that is also decoded by a whole pass for every token; the goal is ten times its seconds."""


def make_sources(count: int, vocab_size: int) -> list[list[int]]:
    """Random ids with the lengths of real sentences, each with its end."""
    rng = np.random.default_rng(1)
    lengths = real_lengths()[:count, 0]
    return [[*rng.integers(NUM_SPECIAL, vocab_size, n).tolist(), EOS] for n in lengths]
