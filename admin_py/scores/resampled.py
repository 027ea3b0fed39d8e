"""BLEU of sentences drawn again and again: what sure intervals and chance differences are told from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.scores.conventions import metric_of

TAIL = 40
"""One of so many draws is beyond each end of an interval of 95 %."""


class Interval(NamedTuple):
    """Where the middle 95 % of numbers lie."""

    low: float
    high: float


def draws(sentences: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """The sentences of each resample, int64 [R, N]: those that sacreBLEU draws from this seed."""
    chosen = np.random.default_rng(seed).choice(sentences, size=(resamples, sentences), replace=True)
    return chosen.astype(np.int64, copy=False)


def resampled_bleu(
    hypotheses: Sequence[str], references: Sequence[str], convention: str, drawn: NDArray[np.int64]
) -> NDArray[np.float64]:
    """BLEU of each resample, float64 [R].

    Parameters
    ----------
    hypotheses, references : sequence of str
        One a sentence.
    convention : {"detokenised", "published"}
    drawn : int64 [R, N]
        Of `draws`.
    """
    scorer = metric_of("bleu", convention)
    scorer.effective_order = True  # of single sentences the counts are taken, and no score
    order = scorer.max_ngram_order
    counts = np.array([_counts(scorer, *pair) for pair in zip(hypotheses, references, strict=True)])
    found = np.empty(len(drawn))
    for number, chosen in enumerate(drawn):
        sums = counts[chosen].sum(axis=0).tolist()
        correct, total, (length, of_reference) = sums[:order], sums[order : 2 * order], sums[2 * order :]
        found[number] = scorer.compute_bleu(
            correct, total, length, of_reference, smooth_method=scorer.smooth_method
        ).score
    return found


def _counts(scorer: object, hypothesis: str, reference: str) -> list[int]:
    """N-grams that a reference has, all n-grams, and both lengths."""
    one = scorer.sentence_score(hypothesis, [reference])  # type: ignore[attr-defined]
    return [*one.counts, *one.totals, one.sys_len, one.ref_len]


def interval(values: NDArray[np.float64]) -> Interval:
    """The middle 95 %, by sacreBLEU's rule.

    Examples
    --------
    >>> import numpy as np
    >>> interval(np.arange(80.0))
    Interval(low=2.0, high=77.0)
    """
    values = np.sort(values)
    beyond = len(values) // TAIL
    return Interval(float(values[beyond]), float(values[len(values) - beyond - 1]))


def p_value(
    first: NDArray[np.float64], second: NDArray[np.float64], difference: float, *, alike: bool
) -> float:
    """How often a difference as large comes by chance, by the resamples; by sacreBLEU's rule.

    Parameters
    ----------
    first, second : float64 [R]
        Scores of the resamples.
    difference : float
        Of the scores of all sentences as they are.
    alike : bool
        Whether both wrote the same, of which no draw is chance.
    """
    if alike:
        return 1.0
    apart = np.abs(second - first)
    beyond = int(np.sum(apart - apart.mean() > abs(difference)))
    return (beyond + 1) / (len(apart) + 1)
