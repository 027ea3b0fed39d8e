"""Whether systems differ: paired bootstrap resampling of their translations."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import check_choice, check_integer, check_mapping, check_unicode, shown
from admin_py.base.extras import installed_by
from admin_py.results import Result, figure, run_metadata
from admin_py.scores.conventions import CONVENTIONS, METRICS, Convention, Metric, metric_of
from admin_py.scores.score import References
from admin_py.scores.texts import check_hypotheses, check_references, warn_of_texts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SEED = 12345
"""sacreBLEU's own."""

RESAMPLES, MOST_RESAMPLES = 1000, 100_000

_SEED_VARIABLE = "SACREBLEU_SEED"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Scores of several systems on the same sentences, how sure they are, and whether they differ from the
    first. `paired_bootstrap` makes them; printed, a table.
    """

    kind: ClassVar[str] = "comparison"
    drawn_by: ClassVar[str] = "plot_scores"

    metric: str
    """``"bleu"``, ``"chrf"`` or ``"ter"``."""
    signature: str
    """sacreBLEU's, with the resamples and their seed."""
    convention: str
    """``"detokenised"`` or ``"published"``."""
    systems: tuple[str, ...]
    """Names; the others are compared with the first."""
    scores: NDArray[np.float64]
    """[S] Of the sentences as they are."""
    means: NDArray[np.float64]
    """[S] Over the resamples."""
    half_widths: NDArray[np.float64]
    """[S] Of the interval around the mean in which 95 % of the resamples lie."""
    p_values: NDArray[np.float64]
    """[S] How often a difference as large comes by chance, by the resamples; NaN of the first, 1 of one that
    writes the same."""
    num_sentences: int
    resamples: int
    seed: int
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def _check_told(self) -> None:
        check_choice("metric", self.metric, tuple(METRICS))
        check_choice("convention", self.convention, CONVENTIONS)
        for name in ("scores", "means", "half_widths", "p_values"):
            if getattr(self, name).shape != (len(self.systems),):
                raise ValueError(f"{name} must be [{len(self.systems)}], one a system")

    @property
    def stacks(self) -> tuple[str, ...]:
        """None: scores are of texts."""
        return ()

    def to_dataframe(self) -> pd.DataFrame:
        """A row a system: system, metric, score, mean, low, high, p_value."""
        import pandas as pd

        return pd.DataFrame(
            {
                "system": self.systems,
                "metric": self.metric,
                "score": self.scores,
                "mean": self.means,
                "low": self.means - self.half_widths,
                "high": self.means + self.half_widths,
                "p_value": self.p_values,
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar a system with its interval, see `admin_py.plots.plot_scores`."""
        return figure(self.drawn_by)(self, ax)

    def _lines(self) -> Iterator[str]:
        yield (
            f"{METRICS[self.metric]} of {self.num_sentences:,} sentences, {self.convention}; "
            f"{self.resamples:,} resamples, seed {self.seed}"
        )
        width = max(len("system"), *map(len, self.systems))
        yield f"{'system':{width}}  {'score':>6}  95 % interval   p against the first"
        for name, score, mean, half, p in zip(
            self.systems, self.scores, self.means, self.half_widths, self.p_values, strict=True
        ):
            told = "" if np.isnan(p) else f"   {p:.4f}"
            yield f"{name:{width}}  {score:6.2f}  {mean:6.2f} ± {half:4.2f}{told}"
        yield self.signature

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _summary(self) -> str:
        return next(self._lines())


@door
def paired_bootstrap(
    systems: Mapping[str, Sequence[str]],
    references: References,
    *,
    metric: Metric = "bleu",
    convention: Convention = "detokenised",
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Compare systems with the first of them, by scores of sentences drawn again and again.

    Parameters
    ----------
    systems : mapping of str to list of str
        Name -> translations, one a sentence; the first is what the others are compared with.
    references : list of str, or list of lists of str
        As for `bleu`.
    metric : {"bleu", "chrf", "ter"}
    convention : {"detokenised", "published"}
        As for `bleu`.
    resamples : int
        How often as many sentences are drawn as there are, from 1 to 100,000.
    seed : int
        Of the draws; all systems have the same.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError, ValueError, ModuleNotFoundError
        As `bleu`; ValueError if there are fewer than two systems.

    Warns
    -----
    ConventionWarning
        As `bleu`.

    Notes
    -----
    Koehn, "Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004, by sacreBLEU. The
    resamples are held at once: about 50 bytes a sentence and resample.

    Examples
    --------
    >>> import admin_py as ap
    >>> references = [f"the cat number {i} sat on the mat ." for i in range(50)]
    >>> worse = [line.replace("sat on", "sits at") for line in references]
    >>> found = ap.scores.paired_bootstrap({"worse": worse, "better": references}, references,
    ...                                    convention="published", resamples=200)
    >>> found.systems, found.scores.round(1), bool(found.p_values[1] < 0.05)
    (('worse', 'better'), array([ 43.2, 100. ]), True)
    """
    check_choice("metric", metric, tuple(METRICS))
    check_choice("convention", convention, CONVENTIONS)
    resamples = check_integer("resamples", resamples, 1, MOST_RESAMPLES)
    seed = check_integer("seed", seed, 0)
    texts = _systems(systems)
    counts = {name: len(lines) for name, lines in texts.items()}
    first = next(iter(counts))
    for name, count in counts.items():
        if count != counts[first]:
            raise ValueError(
                f"systems must be of the same sentences, but {first!r} has {counts[first]} and {name!r} has "
                f"{count}"
            )
    streams = check_references(references, counts[first])
    scorer = metric_of(metric, convention)
    warn_of_texts(texts, streams, metric, convention, stacklevel=_LEVELS)
    found, signature = _resampled(texts, streams, scorer, resamples, seed)
    return Comparison(
        metric=metric,
        signature=signature,
        convention=convention,
        systems=tuple(texts),
        scores=_array(one.score for one in found),
        means=_array(one.mean for one in found),
        half_widths=_array(one.ci for one in found),
        p_values=_p_values(texts, found),
        num_sentences=counts[first],
        resamples=resamples,
        seed=seed,
        metadata=run_metadata(seed=seed),
    )


_LEVELS = 3
"""Calls up from `paired_bootstrap` to those of users: itself, its door, the user's."""


def _systems(given: Any) -> dict[str, list[str]]:
    found = {}
    for name, lines in check_mapping("systems", given).items():
        if not isinstance(name, str):
            raise TypeError(f"systems must have names that are strings, got {shown(name)}")
        found[check_unicode("systems: a name", name)] = check_hypotheses(f"systems: {name!r:.40}", lines)
    if len(found) < 2:
        raise ValueError(f"systems must be at least two, got {len(found)}")
    return found


def _p_values(texts: Mapping[str, list[str]], found: Sequence[Any]) -> NDArray[np.float64]:
    """sacreBLEU's, but for a system that writes what the first does: it takes no draw for chance there."""
    first, *others = texts.values()
    told = [1.0 if lines == first else one.p_value for lines, one in zip(others, found[1:], strict=True)]
    return _array([np.nan, *told])


def _array(numbers: Any) -> NDArray[np.float64]:
    return np.array(list(numbers), np.float64)


def _resampled(
    texts: Mapping[str, list[str]], streams: Any, scorer: Any, resamples: int, seed: int
) -> tuple[list[Any], str]:
    """sacreBLEU's results of all systems, and its signature."""
    with installed_by("translation"):
        from sacrebleu.significance import PairedTest
    with _seeded(seed):
        made = PairedTest(
            list(texts.items()), {"metric": scorer}, streams, test_type="bs", n_samples=resamples
        )
        signatures, scores = made()
    ((_, found),) = ((name, value) for name, value in scores.items() if name != "System")
    ((_, signature),) = signatures.items()
    return found, str(signature)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """sacreBLEU takes its seed from the environment alone."""
    before = os.environ.get(_SEED_VARIABLE)
    os.environ[_SEED_VARIABLE] = str(seed)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SEED_VARIABLE]
        else:
            os.environ[_SEED_VARIABLE] = before
