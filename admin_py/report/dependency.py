"""Layer dependency: pictures and words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py import plots
from admin_py.analysis import Dependency
from admin_py.base.words import listing, number, spread
from admin_py.plots.panels import panels
from admin_py.report.paper import cited
from admin_py.report.picture import (
    AFTER,
    BEFORE,
    Absent,
    Picture,
    Run,
    Shown,
    absent,
    by_run,
    missing_of,
    moment,
    reasons,
    results_of,
    runs_of,
    single,
    table_of,
)
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NEAR = 4
"""Branches just below an output, its own included, whose share in it is told."""


def _told_heatmap(
    shown: Sequence[Dependency], stack: str, when: str, missing: Mapping[str, str]
) -> tuple[str, str]:
    """On the heatmaps of one stack: the share of the nearest branches in the last output."""
    read = (
        f"Row i tells what the output of sub-layer i is made of{when}: its dependency on the input "
        "of the stack (column 0) and on each branch below; dark cells at the diagonal mean that an output is "
        "mostly its latest branches."
    )
    first = shown[0].stacks[0]
    if stack != first:
        read = f"To be read as that of the {first} above."
    parts = []
    for one in shown:
        last = one.beta(stack)[-1] ** 2
        near = float(last[max(1, len(last) - NEAR) :].sum())
        parts.append(f"{label(one.scheme)} {100 * near:.0f} %")
    count = min(NEAR, len(shown[0].sublayers[stack]))
    found = f"Share of the last {count} branches in the last output: {'; '.join(parts)}"
    return read, f"{'; '.join([found, *reasons(missing)])}."


def _told_own(runs: Sequence[Run]) -> tuple[str, str]:
    """On the measured and predicted beta_ii^2."""
    read = (
        "β² here is measured: the variance of a sub-layer's own branch over that of the sum it is added to, "
        "as in the diagnosis; rings are what the variances of skip and branch predict."
    )
    parts = []
    for scheme in dict.fromkeys(run.scheme for run in runs):
        those = [run.dependency_before for run in runs if run.scheme == scheme]
        differences = [
            np.abs(one.own(stack) - one.predicted[stack]).max()
            for one in those
            if one is not None
            for stack in one.variances
        ]
        totals = {
            stack: np.array([one.amplification(stack)[-1] for one in those if one is not None])
            for stack in next(one for one in those if one is not None).variances
        }
        told = listing(f"{spread(total)} ({stack})" for stack, total in totals.items())
        parts.append(
            f"{label(scheme)} {told}, at most {number(float(np.max(differences)))} from the prediction"
        )
    return read, f"Measured totals over a stack: {'; '.join(parts)}."


PANELS = 3
"""Heatmaps in a row."""


ROW = 2.7
"""Inches of a row of heatmaps."""


def dependency_before(study: Shown) -> Iterator[Picture | Absent]:
    """Heatmaps at initialisation, and the measured share of each own branch beside the predicted one."""
    yield from _heatmaps(study, "dependency_before", BEFORE, "before", moment(study))
    runs = [run for run in runs_of(study) if run.dependency_before is not None]
    if runs:
        shown = results_of(study, "dependency_before", Dependency)
        yield Picture(
            "own-dependency",
            BEFORE,
            "Dependency on the own branch, measured and predicted",
            3.5,
            single(lambda ax: plots.plot_own_dependency(shown, ax)),
            *_told_own(runs),
            cited(
                "The theorem, which bounds the output change by the sum of these squares",
                [run.scheme for run in runs],
                {
                    "post_ln": "near 1/2 throughout, as in Post-LN, they make it grow like the depth",
                    "pre_ln": "falling like 1/i, as in Pre-LN, they make it grow like the logarithm",
                },
            ),
            lambda: by_run(runs, _own_table),
        )


def dependency_after(study: Shown) -> Iterator[Picture | Absent]:
    """Heatmaps after training."""
    yield from _heatmaps(study, "dependency_after", AFTER, "after", " after training")


def _heatmaps(study: Shown, name: str, part: str, place: str, when: str) -> Iterator[Picture | Absent]:
    shown = results_of(study, name, Dependency)
    if not shown:
        yield absent(study, name, f"dependency-{place}", part, f"Layer dependency{when}")
        return
    rows = -(-len(shown) // PANELS)
    for stack in shown[0].variances:

        def draw(figure: Figure, stack: str = stack) -> None:
            plots.plot_dependency_panels(shown, panels(figure, len(shown), PANELS), stack=stack)

        yield Picture(
            f"dependency-{stack}-{place}",
            part,
            f"Layer dependency, {stack}{when and f',{when}'}",
            0.3 + ROW * rows,
            draw,
            *_told_heatmap(shown, stack, when, missing_of(study, name)),
            cited(
                "The figure of layer dependencies, before and after training",
                [one.scheme for one in shown],
                {
                    "post_ln": "outputs of Post-LN depend mostly on the branches just below them",
                    "pre_ln": "those of Pre-LN on all branches",
                },
            ),
            lambda: by_run(
                [run for run in runs_of(study) if getattr(run, name) is not None],
                lambda run: table_of(getattr(run, name)),
            ),
        )


def _own_table(run: Run) -> Any:
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
