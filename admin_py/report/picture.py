"""What pictures of a report are made of: the record of one, its parts of the report, its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from admin_py.base.words import listing
from admin_py.report.models import ModelRun, Models
from admin_py.results import Result
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from admin_py.experiments.study.results import Study
    from admin_py.experiments.study.run import StudyRun

TRAINING, BEFORE, AFTER = "Training", "Before training", "After training"

Shown: TypeAlias = "Study | Models"
"""What pictures are drawn of."""
Run: TypeAlias = "StudyRun | ModelRun"
"""One of them."""


def moment(shown: Shown) -> str:
    """When analyses were made, as a sentence goes on: a study's before its trainings.

    Examples
    --------
    >>> moment(Models(()))
    ''
    """
    return "" if isinstance(shown, Models) else " before training"


@dataclass(frozen=True)
class Picture:
    """One picture of the report.

    Attributes
    ----------
    name : str
        Its anchor in the page, and its file ``data/<name>.csv``.
    part : str
        Of the report.
    heading : str
    height : float
        Inches.
    draw : callable
        Draws into the `Figure` it is given.
    read, found : str
        How to read it, and what is to be seen in it here, from the measured numbers.
    paper : str
        Its counterpart in the paper.
    table : callable
        Gives the numbers that are drawn.
    """

    name: str
    part: str
    heading: str
    height: float
    draw: Callable[[Figure], Any]
    read: str
    found: str
    paper: str
    table: Callable[[], pd.DataFrame]


def runs_of(shown: Shown) -> Sequence[Run]:
    """Its runs, or models."""
    return shown.runs


def several_seeds(study: Shown) -> bool:
    """Whether schemes were trained from more than one."""
    return len(study.seeds) > 1


@dataclass(frozen=True)
class Absent:
    """What no run has, where its picture would be.

    Attributes
    ----------
    name, part, heading : str
        As of a `Picture`.
    why : str
        The reason, a sentence.
    """

    name: str
    part: str
    heading: str
    why: str


def single(draw: Callable[[Any], Any]) -> Callable[[Figure], None]:
    """A drawing on one pair of axes, as one on a figure."""

    def on_figure(figure: Figure) -> None:
        draw(figure.subplots())

    return on_figure


def by_run(runs: Iterable[Any], table: Callable[[Any], pd.DataFrame]) -> pd.DataFrame:
    """The tables of all runs below each other, with the columns scheme and seed before the others."""
    import pandas as pd

    tables = []
    for run in runs:
        one = table(run)
        columns = [name for name in one.columns if name not in ("scheme", "seed")]
        tables.append(one[columns].assign(scheme=run.scheme, seed=run.seed)[["scheme", "seed", *columns]])
    return pd.concat(tables, ignore_index=True)


R = TypeVar("R", bound=Result)


def results_of(study: Shown, name: str, kind: type[R]) -> list[R]:
    """That result of the first run of each scheme that has it."""
    found: dict[str, R] = {}
    for run in study.runs:
        result = getattr(run, name)
        if isinstance(result, kind):
            found.setdefault(run.scheme, result)
    return list(found.values())


def table_of(result: Result | None) -> pd.DataFrame:
    """The table of a result that is there."""
    assert result is not None
    return result.to_dataframe()


def missing_of(study: Shown, name: str) -> dict[str, str]:
    """Scheme -> why no run of it has the result, for those schemes of which no run has it."""
    return {
        scheme: study.run(scheme).without[name]
        for scheme in study.schemes
        if all(getattr(run, name) is None for run in study.of_scheme(scheme))
    }


def reasons(missing: Mapping[str, str]) -> list[str]:
    """Who has no result and why, schemes with one reason together.

    Examples
    --------
    >>> reasons({"post_ln": "it diverged", "admin": "it was stopped", "pre_ln": "it diverged"})
    ['Post-LN and Pre-LN have none (it diverged)', 'Admin has none (it was stopped)']
    """
    schemes: dict[str, list[str]] = {}
    for scheme, why in missing.items():
        schemes.setdefault(why, []).append(label(scheme))
    return [
        f"{listing(names)} {'has' if len(names) == 1 else 'have'} none ({why})"
        for why, names in schemes.items()
    ]


def absent(study: Shown, result: str, name: str, part: str, heading: str) -> Absent:
    """What stands in a picture's place when no run has its result."""
    whys = list(dict.fromkeys(missing_of(study, result).values()))
    return Absent(name, part, heading, f"Not measured: {'; '.join(whys)}.")
