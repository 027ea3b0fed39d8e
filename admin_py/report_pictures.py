"""The pictures of a study's report: what each draws, says, and holds as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admin_py import findings, plots

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from admin_py.study_results import Study, StudyRun

TRAINING, BEFORE, AFTER = "Training", "Before training", "After training"


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
    draw: Callable[[Figure], None]
    read: str
    found: str
    paper: str
    table: Callable[[], pd.DataFrame]


def pictures(study: Study) -> list[Picture]:
    """All pictures that the study's results allow, in the order of the report."""
    return [*_training(study), *_initialisation(study)]


def _training(study: Study) -> Iterator[Picture]:
    histories = [(run.scheme, run.history) for run in study.runs]

    def draw(figure: Figure) -> None:
        plots.plot_training(histories, figure.subplots(1, 2, sharey=True), entropy=study.entropy)

    yield Picture(
        "losses",
        TRAINING,
        "Loss curves",
        3.3,
        draw,
        *findings.curves(study),
        "The figure of development perplexity in section 1: on WMT'14 English-German, with 18 layers, "
        "Post-LN diverges, while Pre-LN and Admin train to 28.38 and 29.03 BLEU.",
        lambda: by_run(study.runs, lambda run: run.history.to_dataframe()),
    )


def _initialisation(study: Study) -> Iterator[Picture]:
    profiles = [run.profile for run in study.runs]
    norms = [run.gradients for run in study.runs]

    def profile_table() -> pd.DataFrame:
        return by_run(study.runs, lambda run: run.profile.to_dataframe())

    yield Picture(
        "omega",
        BEFORE,
        "Skip scale ω",
        2.9,
        single(lambda ax: plots.plot_quantity(profiles, ax)),
        *findings.omega(study),
        "Section 4.2, Admin's profiling: ω grows with the square root of the summed variances of the "
        "branches below; Post-LN and Pre-LN have 1.",
        profile_table,
    )
    yield Picture(
        "variance",
        BEFORE,
        "Branch variance Var[a]",
        2.9,
        single(lambda ax: plots.plot_quantity(profiles, ax, quantity="var_branch")),
        *findings.branch_variance(study),
        "Section 4.2: the variances from which profiling computes ω; the paper prints none of them.",
        profile_table,
    )
    yield Picture(
        "dependency",
        BEFORE,
        "Predicted dependency",
        3.1,
        single(lambda ax: plots.plot_dependency(profiles, ax)),
        *findings.dependency(study),
        "Section 4.1 and its theorem: the output changes by about C Σ β², which grows like the number of "
        "sub-layers in Post-LN and like its logarithm in Pre-LN.",
        profile_table,
    )
    yield Picture(
        "gradients",
        BEFORE,
        "Gradient norms, all schemes",
        3.1,
        single(lambda ax: plots.plot_gradient_lines(norms, ax)),
        *findings.gradients(study),
        "Section 3.1, the figure of relative gradient norms of 18-layer models: only the decoder of Post-LN "
        "vanishes towards the bottom, its encoder does not.",
        lambda: by_run(study.runs, lambda run: run.gradients.to_dataframe()),
    )


def single(draw: Callable[[Any], Any]) -> Callable[[Figure], None]:
    """A drawing on one pair of axes, as one on a figure."""

    def on_figure(figure: Figure) -> None:
        draw(figure.subplots())

    return on_figure


def by_run(runs: Iterable[StudyRun], table: Callable[[StudyRun], pd.DataFrame]) -> pd.DataFrame:
    """The tables of all runs below each other, with the columns scheme and seed before the others."""
    import pandas as pd

    tables = []
    for run in runs:
        one = table(run)
        columns = [name for name in one.columns if name not in ("scheme", "seed")]
        tables.append(one[columns].assign(scheme=run.scheme, seed=run.seed)[["scheme", "seed", *columns]])
    return pd.concat(tables, ignore_index=True)
