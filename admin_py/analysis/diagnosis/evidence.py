"""What real trainings showed about diagnoses: thresholds, and how often they were right.

Every number here is computed by ``python -m benchmarks.diagnosis_check`` from ``benchmarks/results/
diagnosis_check.json``; a test compares them. The trainings: numbers in words, English to German (the embedded
task), D 64, F 128, H 4, Adam (.9, .98), label smoothing .1, dropout .1, 512 tokens a batch, warm-up of 100
steps to a learning rate of 1e-3 or 2e-3, one seed, 20 schemes and hybrids, 3, 6, 12 and 18 layers a stack. A
model is said to have trained if within 300 steps its validation loss falls below 75 % of the data's unigram
entropy and it reads its source, see `admin_py.analysis.source_use`.

What to know of these numbers: there are two ways to fail. From an amplification of 10 up most models hardly
learn; all of these have Post-LN in a stack. Of the others, only some whose branches add little at first
failed (DeepNorm of 12 and 18 layers, LayerScale, ReZero with Post-LN, B2T): within 300 steps they learnt the
target language, but next to nothing from their source. No model that was trained has an amplification between
6.8 and 10. At the threshold, 12 layers at 1e-3, two of four got there in 300 steps; which ones is luck: with
sums rounded otherwise, in an earlier round, it was three, one of them the same. A Post-LN encoder with a
Pre-LN decoder learns the target language first; with 18 layers (amplification 10.5) it had begun to read its
source after 300 steps at 1e-3, but not at 2e-3. In the paper's larger experiment its training fails.
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


STABLE_UP_TO, UNSTABLE_FROM = 6.8, 10.0
"""Amplification, chosen on 3 and 12 layers: the largest that trained below the smallest that failed, of those
that failed not for want of time (from `SLOW_BELOW` up)."""

CHOSEN = Counts(right=74, false_alarms=2, misses=4, borderline=0)
"""On 3 and 12 layers, on which the thresholds were chosen."""

HELD_OUT = Counts(right=75, false_alarms=1, misses=4, borderline=0)
"""On 6 and 18 layers."""

LEARNT_BETWEEN = (86, 86)
"""How many trainings learnt of those from `SLOW_BELOW` to `STABLE_UP_TO`, at any depth."""

FAILED_ABOVE = (15, 18)
"""How many trainings failed of those from `UNSTABLE_FROM` up, at any depth."""

POST_LN_FAILED = MappingProxyType({3: (0, 2), 6: (0, 2), 12: (1, 2), 18: (2, 2)})
"""Layers of either stack -> how many trainings of Post-LN failed, of how many."""

SLOW_BELOW = 0.5
"""Amplification below which branches add little at first."""

SLOW = (46, 56)
"""How many trainings below it had not trained after 100 steps, of how many."""

SLOW_FAILED = 8
"""How many of these had not after 300; all had learnt, but did not read their source."""

SLOW_MISSES = 4
"""How many of these are misses on the depths held out."""

LATE_FROM = 6.7
"""Amplification of the encoder, chosen on 3 and 12 layers, from which on the source comes late."""

LATE = (4, 4)
"""How many trainings from it up had learnt after 100 steps without reading their source, of how many whose
decoder is not unstable; all are of a Post-LN encoder with a Pre-LN decoder, of 12 and 18 layers."""

LATE_FAILED = 1
"""How many of these had not trained after 300."""

LATE_BELOW = (1, 84)
"""The same as `LATE` of those below it, models whose branches add little at first left out."""
