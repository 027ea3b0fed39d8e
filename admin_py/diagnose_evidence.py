"""What real trainings showed about diagnoses: thresholds, and how often they were right.

Every number here is computed by ``python -m benchmarks.diagnosis_check`` from ``benchmarks/results/
diagnosis_check.json``; a test compares them. The trainings: numbers in words, English to German (the embedded
task), D 64, F 128, H 4, Adam (.9, .98), label smoothing .1, dropout .1, 512 tokens a batch, warm-up of 100
steps to a learning rate of 1e-3 or 2e-3, one seed, 20 schemes and hybrids, 3, 6, 12 and 18 layers a stack. A
model is said to have trained if its validation loss falls below 75 % of the data's unigram entropy within 300
steps.

What to know of these numbers: all models that failed have a Post-LN decoder. A Post-LN encoder with a Pre-LN
decoder trained at 18 layers too (amplification 10.5), unlike in the paper's larger experiment. No model that
was trained has an amplification between 6.8 and 10. At 12 layers what happens is a matter of the learning
rate: at 1e-3 two of the three models above the threshold got there in 300 steps, at 2e-3 none.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class Counts(NamedTuple):
    """Verdicts against real trainings.

    Examples
    --------
    >>> Counts(right=10, false_alarms=1, misses=0, borderline=2).decided
    11
    """

    right: int
    false_alarms: int
    """"unstable", but trained."""
    misses: int
    """"stable", but did not train."""
    borderline: int
    """No verdict."""

    @property
    def decided(self) -> int:
        """Trainings with a verdict."""
        return self.right + self.false_alarms + self.misses


STABLE_UP_TO, UNSTABLE_FROM = 10.1, 11.3
"""Amplification, chosen on 3 and 12 layers: the largest that trained below the smallest that failed."""

CHOSEN = Counts(right=78, false_alarms=2, misses=0, borderline=0)
"""On 3 and 12 layers, on which the thresholds were chosen."""

HELD_OUT = Counts(right=78, false_alarms=0, misses=0, borderline=2)
"""On 6 and 18 layers."""

FAILED_ABOVE = (12, 14)
"""How many trainings failed of those from `UNSTABLE_FROM` up, at any depth."""

POST_LN_FAILED = MappingProxyType({3: (0, 2), 6: (0, 2), 12: (2, 2), 18: (2, 2)})
"""Layers of either stack -> how many trainings of Post-LN failed, of how many."""

SLOW_BELOW = 0.5
"""Amplification below which branches add little at first."""

SLOW = (37, 56)
"""How many trainings below it had not trained after 100 steps, of how many."""

SLOW_FAILED = 0
"""How many of these had not after 300."""
