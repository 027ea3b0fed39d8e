"""Output change: pictures and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py import plots
from admin_py.analysis import OutputChange
from admin_py.base.words import listing, spread
from admin_py.plots.output_change import height_for
from admin_py.report.picture import BEFORE, Picture, by_run, results_of, single, table_of
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    from admin_py.experiments.study.results import Study
    from admin_py.experiments.study.run import StudyRun


def _told(runs: Sequence[StudyRun], stack: str) -> tuple[str, str]:
    """On the output change of one stack."""
    first = runs[0].output_change
    assert first is not None
    read = (
        f"How far the normalised output of each sub-layer moves, per token, when every weight moves by "
        f"{first.size:g} in a random direction ({len(first.change[stack])} draws; line and band of the first "
        "seed), with the better of a linear and a logarithmic fit and the theory's C Σβ²."
    )
    parts = []
    for scheme in dict.fromkeys(run.scheme for run in runs):
        those = [run.output_change for run in runs if run.scheme == scheme]
        ends = np.array([one.mean(stack)[-1] for one in those if one is not None])
        kinds = [one.better(stack) for one in those if one is not None]
        counts = listing(
            f"{kind} ({kinds.count(kind)} of {len(kinds)} seeds)" if len(set(kinds)) > 1 else kind
            for kind in dict.fromkeys(kinds)
        )
        parts.append(f"{label(scheme)} {spread(ends)}, fits better: {counts}")
    return read, f"At the last sub-layer: {'; '.join(parts)}."


def output_change(study: Study) -> Iterator[Picture]:
    """Change of the output under small random moves of the weights, a picture a stack."""
    runs = [run for run in study.runs if run.output_change is not None]
    if not runs:
        return
    shown = results_of(study, "output_change", OutputChange)
    for stack in shown[0].change:

        def draw(ax: Any, stack: str = stack) -> Any:
            return plots.plot_output_change(shown, ax, stack=stack, log=True)

        yield Picture(
            f"output-change-{stack}",
            BEFORE,
            f"Output change, {stack}",
            height_for(len(shown)),
            single(draw),
            *_told(runs, stack),
            "The figure of output changes: on encoders of up to 200 sub-layers at width 512, Post-LN reaches "
            "about 2150, Pre-LN 165 and Admin 155; Post-LN grows like N, the others like log N.",
            lambda: by_run(runs, lambda run: table_of(run.output_change)),
        )
