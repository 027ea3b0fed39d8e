"""The pictures of a study's report: what each draws, says, and holds as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from admin_py import findings, plots
from admin_py import report_analyses as analyses
from admin_py.report_tables import BEFORE, TRAINING, Picture, by_run, single

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from admin_py.study_results import Study


def pictures(study: Study) -> list[Picture]:
    """All pictures that the study's results allow, in the order of the report."""
    return [
        *_training(study),
        *analyses.updates(study),
        *_initialisation(study),
        *analyses.gradient_bars(study),
        *analyses.matrix_gradients(study),
        *analyses.dependency_before(study),
        *analyses.output_change(study),
        *analyses.dependency_after(study),
        *analyses.attention(study),
    ]


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
        3.1,
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
        3.1,
        single(lambda ax: plots.plot_quantity(profiles, ax, quantity="var_branch")),
        *findings.branch_variance(study),
        "Section 4.2: the variances from which profiling computes ω; the paper prints none of them.",
        profile_table,
    )
    yield Picture(
        "dependency",
        BEFORE,
        "Predicted dependency",
        3.3,
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
        3.3,
        single(lambda ax: plots.plot_gradient_lines(norms, ax)),
        *findings.gradients(study),
        "Section 3.1, the figure of relative gradient norms of 18-layer models: only the decoder of Post-LN "
        "vanishes towards the bottom, its encoder does not.",
        lambda: by_run(study.runs, lambda run: run.gradients.to_dataframe()),
    )
