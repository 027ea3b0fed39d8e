"""The pictures of the analyses in a study's report, from gradients to attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from admin_py import findings_analyses as words
from admin_py import plots
from admin_py.analysis import AttentionMap, Dependency, GradientNorms, OutputChange, UpdateNorms, over_seeds
from admin_py.plots.attention import COLUMNS as MAPS
from admin_py.plots.attention import ROW as MAPS_ROW
from admin_py.plots.output_change import height_for
from admin_py.plots.panels import panels
from admin_py.report_tables import AFTER, BEFORE, TRAINING, Picture, by_run, single
from admin_py.results import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from admin_py.study_results import Study
    from admin_py.study_run import StudyRun

R = TypeVar("R", bound=Result)

PANELS = 3
"""Heatmaps in a row."""

ROW = 2.7
"""Inches of a row of heatmaps."""


def dependency_before(study: Study) -> Iterator[Picture]:
    """Heatmaps at initialisation, and the measured share of each own branch beside the predicted one."""
    yield from _heatmaps(study, "dependency_before", BEFORE, "before")
    runs = [run for run in study.runs if run.dependency_before is not None]
    if runs:
        shown = _results(study, "dependency_before", Dependency)
        yield Picture(
            "own-dependency",
            BEFORE,
            "Dependency on the own branch, measured and predicted",
            3.5,
            single(lambda ax: plots.plot_own_dependency(shown, ax)),
            *words.own_dependency(runs),
            "The theorem bounds the output change by the sum of these squares: near 1/2 throughout it grows "
            "like the number of sub-layers (Post-LN), falling like 1/i it grows like the logarithm.",
            lambda: by_run(runs, _own_table),
        )


def dependency_after(study: Study) -> Iterator[Picture]:
    """Heatmaps after training."""
    yield from _heatmaps(study, "dependency_after", AFTER, "after")


def output_change(study: Study) -> Iterator[Picture]:
    """Change of the output under small random moves of the weights, a picture a stack."""
    runs = [run for run in study.runs if run.output_change is not None]
    if not runs:
        return
    shown = _results(study, "output_change", OutputChange)
    for stack in shown[0].change:

        def draw(ax: Any, stack: str = stack) -> Any:
            return plots.plot_output_change(shown, ax, stack=stack, log=True)

        yield Picture(
            f"output-change-{stack}",
            BEFORE,
            f"Output change, {stack}",
            height_for(len(shown)),
            single(draw),
            *words.output_change(runs, stack),
            "The figure of output changes: on encoders of up to 200 sub-layers at width 512, Post-LN reaches "
            "about 2150, Pre-LN 165 and Admin 155; Post-LN grows like N, the others like log N.",
            lambda: by_run(runs, lambda run: table_of(run.output_change)),
        )


def gradient_bars(study: Study) -> Iterator[Picture]:
    """Gradient norms as the paper's bars, a panel a scheme."""
    shown = over_seeds(run.gradients for run in study.runs)

    yield Picture(
        "gradient-bars",
        BEFORE,
        "Gradient norms, scheme by scheme",
        0.6 + 1.9 * len(shown),
        lambda figure: plots.plot_gradient_bars(shown, panels(figure, len(shown))),
        *words.gradient_bars(study),
        "The figure of relative gradient norms of 18-layer models, by kind of sub-layer.",
        lambda: by_run(study.runs, lambda run: run.gradients.to_dataframe()),
    )


def matrix_gradients(study: Study) -> Iterator[Picture]:
    """Gradient norms of weight matrices, a panel a scheme."""
    shown = _results(study, "gradients", GradientNorms)
    yield Picture(
        "matrix-gradients",
        BEFORE,
        "Gradient norms of weight matrices",
        0.9 + 1.9 * len(shown),
        lambda figure: plots.plot_matrix_gradient_panels(shown, panels(figure, len(shown))),
        *words.matrix_gradients(shown),
        "None: the figure of relative gradient norms in section 3.1 is of the outputs of sub-layers.",
        lambda: by_run(study.runs, lambda run: run.gradients.matrices_to_dataframe()),
    )


def attention(study: Study) -> Iterator[Picture]:
    """Where the last layer looks in one held-out example, a map a scheme."""
    runs = [run for run in study.runs if run.attention is not None]
    if not runs:
        return
    shown = _results(study, "attention", AttentionMap)
    yield Picture(
        "attention",
        AFTER,
        "Attention of the last layer",
        0.2 + MAPS_ROW * -(-len(shown) // MAPS),
        lambda figure: plots.plot_attention_panels(shown, panels(figure, len(shown), MAPS)),
        *words.attention(shown, _missing(study, "attention")),
        "None.",
        lambda: by_run(runs, lambda run: table_of(run.attention)),
    )


def updates(study: Study) -> Iterator[Picture]:
    """Norms of the updates over training, by kind of matrix and as a histogram, and the drift of omega."""
    runs = [run for run in study.runs if run.updates is not None]
    if not runs:
        return
    shown = _results(study, "updates", UpdateNorms)

    def table() -> Any:
        return by_run(runs, lambda run: table_of(run.updates))

    yield Picture(
        "updates",
        TRAINING,
        "Relative updates by kind of matrix",
        0.9 + 1.9 * len(shown),
        lambda figure: plots.plot_update_panels(shown, panels(figure, len(shown))),
        *words.updates(shown),
        "The paper compares gradients and updates of the attention matrices: with Adam the updates of "
        "Post-LN are of one size although its gradients are not, so vanishing gradients do not stop it.",
        table,
    )
    yield Picture(
        "update-histogram",
        TRAINING,
        "Relative updates of all matrices",
        3.3,
        single(lambda ax: plots.plot_update_histogram(shown, ax)),
        *words.update_histogram(shown),
        "The paper's histograms of relative gradient and update norms show the same: spread gradients, "
        "updates close together.",
        table,
    )
    drifting = [one for one in shown if words.drifts(one)]
    if drifting:
        count = sum(len(one.omega) for one in drifting)
        yield Picture(
            "omega-drift",
            TRAINING,
            "ω while it is trained",
            2.9 * -(-count // 2),
            lambda figure: plots.plot_omega_panels(drifting, panels(figure, count, 2)),
            *words.omega_drift(drifting),
            "The paper sets ω once and lets it be trained; it does not show where it goes.",
            lambda: by_run(runs, _omega_table),
        )


def _results(study: Study, name: str, kind: type[R]) -> list[R]:
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


def _heatmaps(study: Study, name: str, part: str, when: str) -> Iterator[Picture]:
    shown = _results(study, name, Dependency)
    if not shown:
        return
    rows = -(-len(shown) // PANELS)
    for stack in shown[0].variances:

        def draw(figure: Figure, stack: str = stack) -> None:
            plots.plot_dependency_panels(shown, panels(figure, len(shown), PANELS), stack=stack)

        yield Picture(
            f"dependency-{stack}-{when}",
            part,
            f"Layer dependency, {stack}, {when} training",
            0.3 + ROW * rows,
            draw,
            *words.heatmap(shown, stack, when, _missing(study, name)),
            "The figure of layer dependencies: outputs of Post-LN depend mostly on the branches just below "
            "them, those of Pre-LN on all branches, before and after training.",
            lambda: by_run(
                [run for run in study.runs if getattr(run, name) is not None],
                lambda run: table_of(getattr(run, name)),
            ),
        )


def _missing(study: Study, name: str) -> dict[str, str]:
    """Scheme -> why no run of it has the result."""
    return {
        scheme: study.run(scheme).without[name]
        for scheme in study.schemes
        if all(getattr(run, name) is None for run in study.of_scheme(scheme))
    }


def _own_table(run: StudyRun) -> Any:
    import pandas as pd

    one = run.dependency_before
    assert one is not None
    tables = [
        pd.DataFrame(
            {
                "stack": stack,
                "index": range(1, len(names) + 1),
                "name": names,
                "beta2": one.own(stack),
                "predicted": one.predicted[stack],
            }
        )
        for stack, names in one.sublayers.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _omega_table(run: StudyRun) -> Any:
    import pandas as pd

    one = run.updates
    assert one is not None
    tables = []
    for stack, names in one.sublayers.items():
        table = pd.DataFrame(one.omega[stack], columns=list(names)).assign(step=one.steps)
        tables.append(table.melt("step", var_name="name", value_name="omega"))
    return pd.concat(tables, ignore_index=True)
