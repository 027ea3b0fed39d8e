"""Whether the schemes of a study translate differently: paired bootstrap by seed, and of all together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import check_integer
from admin_py.experiments.study.run import StudyRun
from admin_py.experiments.translations import Translations
from admin_py.results import Result, figure, run_metadata
from admin_py.scores.comparison import MOST_RESAMPLES, Comparison
from admin_py.scores.resampled import draws, interval, p_value, resampled_bleu

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ALL = "all"
"""Stands for all seeds together."""


@dataclass(frozen=True, eq=False, repr=False)
class SchemeBleu(Result):
    """BLEU by scheme, and how sure the differences of all pairs of schemes are. `Study.bleu` makes it.

    A resample is a draw of the held-out sentences, the same for all runs. Of one seed, BLEU is of that run's
    translations of the drawn sentences. Of all seeds together it is the mean over a scheme's seeds of that:
    a sentence is drawn with the translations of all seeds, so that several seeds do not count as more
    sentences. The schemes' seeds themselves are not drawn: what is told is how sure the difference is for
    other sentences, not for other seeds.

    Attributes
    ----------
    together : Comparison
        Of all seeds together; the first scheme is what the others are compared with.
    first, second : tuple of str
        [P] The schemes of each row of the pairs.
    seeds : tuple of str
        [P] The seed of both, or ``"all"``.
    first_bleu, second_bleu : float64
        [P] Of all sentences as they are.
    low, high : float64
        [P] Where the middle 95 % of the resamples' differences, second less first, lie.
    p_values : float64
        [P] How often a difference as large comes by chance, by the resamples.
    split : str
        Of the data.
    metadata : mapping
        Seed of the draws, threads, versions.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> result = ap.study(data, schemes=["post_ln", "admin"], layers=1, d_model=8, d_ff=16, heads=2, steps=1,
    ...                   bleu={"beam": 2}, progress=False)
    >>> result.bleu(resamples=50).to_dataframe()[["first", "second", "seed"]].values.tolist()
    [['post_ln', 'admin', '1'], ['post_ln', 'admin', 'all']]
    """

    kind: ClassVar[str] = "bleu by scheme"

    together: Comparison
    first: tuple[str, ...]
    second: tuple[str, ...]
    seeds: tuple[str, ...]
    first_bleu: NDArray[np.float64]
    second_bleu: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p_values: NDArray[np.float64]
    split: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def _check_told(self) -> None:
        for name in ("second", "seeds", "first_bleu", "second_bleu", "low", "high", "p_values"):
            if len(getattr(self, name)) != len(self.first):
                raise ValueError(f"{name} must be as many as first, {len(self.first)}")

    @property
    def stacks(self) -> tuple[str, ...]:
        """Stacks of the models."""
        return ("encoder", "decoder")

    def to_dataframe(self) -> pd.DataFrame:
        """A row a pair of schemes and seed: first, second, seed, their BLEU, the difference, low, high, p."""
        import pandas as pd

        return pd.DataFrame(
            {
                "first": self.first,
                "second": self.second,
                "seed": self.seeds,
                "first_bleu": self.first_bleu,
                "second_bleu": self.second_bleu,
                "difference": self.second_bleu - self.first_bleu,
                "low": self.low,
                "high": self.high,
                "p_value": self.p_values,
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar a scheme, the mean over its seeds, with its interval, see `admin_py.plots.plot_scores`."""
        return figure("plot_scores")(self.together, ax)

    def _summary(self) -> str:
        told = zip(self.together.systems, self.together.scores, strict=True)
        found = ", ".join(f"{name} {score:.2f}" for name, score in told)
        return f"{self.together.num_sentences:,} sentences of {self.split}: {found}"


class _Row(NamedTuple):
    """A pair of schemes, of one seed or of all."""

    first: str
    second: str
    seed: str
    first_bleu: float
    second_bleu: float
    low: float
    high: float
    p_value: float


class _Side(NamedTuple):
    """A scheme, of one seed or of all."""

    bleu: float
    resampled: NDArray[np.float64]
    texts: tuple[tuple[str, ...], ...]
    """Of each seed."""

    @classmethod
    def mean(cls, sides: Sequence[_Side]) -> _Side:
        """Of all seeds together."""
        bleu = float(np.mean([one.bleu for one in sides]))
        resampled = np.mean([one.resampled for one in sides], axis=0)
        return cls(bleu, resampled, tuple(text for one in sides for text in one.texts))


def compare_schemes(runs: Sequence[StudyRun], resamples: Any, seed: Any) -> SchemeBleu:
    """Compare the translations of runs, in which nothing varies but scheme and seed.

    Raises
    ------
    ValueError
        If fewer than two schemes have translated, or not all the same sentences in one way.
    """
    resamples = check_integer("resamples", resamples, 1, MOST_RESAMPLES)
    seed = check_integer("seed", seed, 0)
    found = [(run, run.translations) for run in runs if run.translations is not None]
    sides: dict[str, dict[int, _Side]] = {run.scheme: {} for run, _ in found}
    if len(sides) < 2:
        raise ValueError(
            "a comparison is of at least two schemes with translations, for which study(..., bleu=True) "
            f"asks; here are {len(sides)}"
        )
    like = _of_one_kind([one for _, one in found])
    drawn = draws(len(like.references), resamples, seed)
    for run, one in found:
        scores = resampled_bleu(one.hypotheses, one.references, one.score.convention, drawn)
        sides[run.scheme][run.seed] = _Side(run.bleu, scores, (one.hypotheses,))
    means = {scheme: _Side.mean(list(by_seed.values())) for scheme, by_seed in sides.items()}
    rows = list(_rows(sides, means))
    metadata = run_metadata(seed=seed)
    return SchemeBleu(
        together=_together(like, means, resamples=resamples, metadata=metadata),
        first=tuple(row.first for row in rows),
        second=tuple(row.second for row in rows),
        seeds=tuple(row.seed for row in rows),
        first_bleu=np.array([row.first_bleu for row in rows]),
        second_bleu=np.array([row.second_bleu for row in rows]),
        low=np.array([row.low for row in rows]),
        high=np.array([row.high for row in rows]),
        p_values=np.array([row.p_value for row in rows]),
        split=like.split,
        metadata=metadata,
    )


def _of_one_kind(found: Sequence[Translations]) -> Translations:
    """The first, if all are of the same sentences, made and scored in one way."""
    first = found[0]
    for one in found[1:]:
        if one.options != first.options or one.references != first.references:
            raise ValueError(
                "translations must be of the same sentences, made and scored in one way, but there are some "
                f"of {first.options} and some of {one.options}"
            )
    return first


def _rows(sides: Mapping[str, Mapping[int, _Side]], means: Mapping[str, _Side]) -> Iterator[_Row]:
    """All pairs of schemes, each by the seeds that both have, and of all seeds together."""
    for first, second in combinations(sides, 2):
        for seed in sides[first]:
            if seed in sides[second]:
                yield _row((first, second, str(seed)), sides[first][seed], sides[second][seed])
        yield _row((first, second, ALL), means[first], means[second])


def _row(names: tuple[str, str, str], first: _Side, second: _Side) -> _Row:
    between = interval(second.resampled - first.resampled)
    p = _chance(first, second)
    return _Row(*names, first.bleu, second.bleu, between.low, between.high, p)


def _chance(first: _Side, second: _Side) -> float:
    difference, alike = second.bleu - first.bleu, first.texts == second.texts
    return p_value(first.resampled, second.resampled, difference, alike=alike)


def _together(
    like: Translations, means: Mapping[str, _Side], *, resamples: int, metadata: Mapping[str, Any]
) -> Comparison:
    """All seeds together, each scheme against the first."""
    first, *others = means.values()
    intervals = [interval(one.resampled) for one in means.values()]
    return Comparison(
        metric="bleu",
        signature=like.score.signature.replace("|", f"|bs:{resamples}|seed:{metadata['seed']}|", 1),
        convention=like.score.convention,
        systems=tuple(means),
        scores=np.array([one.bleu for one in means.values()]),
        means=np.array([one.resampled.mean() for one in means.values()]),
        half_widths=np.array([(one.high - one.low) / 2 for one in intervals]),
        p_values=np.array([np.nan, *(_chance(first, one) for one in others)]),
        num_sentences=len(like.references),
        resamples=resamples,
        seed=int(metadata["seed"]),
        metadata=metadata,
    )
