"""What the analyses of a study say, in words: two sentences a picture, each made from what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py import plots
from admin_py.analysis import UpdateNorms
from admin_py.analysis.updates import drift, drifts
from admin_py.base.words import listing, number
from admin_py.plots.panels import panels
from admin_py.report.paper import cited
from admin_py.report.picture import TRAINING, Picture, by_run, results_of, several_seeds, single, table_of
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    from admin_py.experiments.study.results import Study
    from admin_py.experiments.study.run import StudyRun


def _told_updates(shown: Sequence[UpdateNorms]) -> tuple[str, str]:
    """On the norms of updates by kind."""
    read = (
        "Norm of each step's change of the weights divided by the norm of the weights, root of the mean "
        "square over the matrices of a kind: Q, K, V, O of attention, 1 and 2 of the feed-forward."
    )
    parts = []
    for one in shown:
        largest = {kind: float(np.nanmax(values)) for kind, values in one.by_kind("relative").items()}
        kind = max(largest, key=lambda name: largest[name])
        parts.append(f"{label(one.scheme)} {number(largest[kind])} ({kind})")
    return read, f"The largest seen: {'; '.join(parts)}."


def _told_histogram(study: Study, shown: Sequence[UpdateNorms]) -> tuple[str, str]:
    """On the histogram of relative updates beside that of gradients."""
    first = " of the first seed" if several_seeds(study) else ""
    read = (
        f"All weight matrices at all observed steps{first}, by the size of their relative update; "
        "a narrow hump means that the optimiser moves all matrices alike."
    )
    parts = []
    for one in shown:
        widths = []
        for values in (one.grad_norm, one.relative()):
            finite = values[np.isfinite(values) & (values > 0)]
            low, high = np.percentile(finite, [5, 95]) if len(finite) else (np.nan, np.nan)
            widths.append(number(float(high / low)))
        parts.append(f"{label(one.scheme)} gradients {widths[0]}, updates {widths[1]}")
    return read, f"Ratio of the 95th to the 5th percentile of the norms: {'; '.join(parts)}."


def _told_drift(shown: Sequence[UpdateNorms]) -> tuple[str, str]:
    """On the way of omega."""
    read = "The skip scale of each sub-layer, mean over its features, from its profile on, coloured by depth."
    parts = []
    for one in shown:
        moved = [f"{100 * drift(values):.2g} % ({stack})" for stack, values in one.omega.items()]
        parts.append(f"{label(one.scheme)} {listing(moved)}")
    return read, f"Largest change against the first observed step: {'; '.join(parts)}."


def updates(study: Study) -> Iterator[Picture]:
    """Norms of the updates over training, by kind of matrix and as a histogram, and the drift of omega."""
    runs = [run for run in study.runs if run.updates is not None]
    if not runs:
        return
    shown = results_of(study, "updates", UpdateNorms)

    def table() -> Any:
        return by_run(runs, lambda run: table_of(run.updates))

    yield Picture(
        "updates",
        TRAINING,
        "Relative updates by kind of matrix",
        0.9 + 1.9 * len(shown),
        lambda figure: plots.plot_update_panels(shown, panels(figure, len(shown))),
        *_told_updates(shown),
        cited(
            "The comparison of gradients and updates of the attention matrices",
            study.schemes,
            {
                "post_ln": "with Adam the updates of Post-LN are of one size although its gradients are "
                "not, so vanishing gradients do not stop it"
            },
        ),
        table,
    )
    yield Picture(
        "update-histogram",
        TRAINING,
        "Relative updates of all matrices",
        3.3,
        single(lambda ax: plots.plot_update_histogram(shown, ax)),
        *_told_histogram(study, shown),
        "The histograms of relative gradient and update norms: spread gradients, updates close together.",
        table,
    )
    drifting = [one for one in shown if drifts(one)]
    if drifting:
        count = sum(len(one.omega) for one in drifting)
        yield Picture(
            "omega-drift",
            TRAINING,
            "ω while it is trained",
            2.9 * -(-count // 2),
            lambda figure: plots.plot_omega_panels(drifting, panels(figure, count, 2)),
            *_told_drift(drifting),
            cited(
                "Section 4.2",
                [one.scheme for one in drifting],
                {"admin": "ω is set once and trained with the rest; where it goes is not shown"},
            ),
            lambda: by_run(runs, _omega_table),
        )


def _omega_table(run: StudyRun) -> Any:
    import pandas as pd

    one = run.updates
    assert one is not None
    tables = []
    for stack, names in one.sublayers.items():
        table = pd.DataFrame(one.omega[stack], columns=list(names)).assign(step=one.steps)
        tables.append(table.melt("step", var_name="name", value_name="omega"))
    return pd.concat(tables, ignore_index=True)
