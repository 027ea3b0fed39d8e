"""Output change: pictures and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from admin_py import plots
from admin_py.analysis import OutputChange, pool
from admin_py.base.exact_math import geometric_mean
from admin_py.base.words import listing, number, spread
from admin_py.plots.output_change import height_for
from admin_py.report.paper import cited
from admin_py.report.picture import (
    BEFORE,
    Absent,
    Picture,
    Run,
    Shown,
    absent,
    by_run,
    missing_of,
    reasons,
    runs_of,
    single,
    table_of,
)
from admin_py.schemes.labels import label

FORMS_FROM = 100
"""Sub-layers from which a line in N and one in ln N part: at a few dozen either may fit any scheme."""


def _told(runs: Sequence[Run], stack: str) -> tuple[str, str]:
    """On the output change of one stack."""
    first = runs[0].output_change
    assert first is not None
    seeds = len({run.seed for run in runs})
    draws = len(first.change[stack])
    read = (
        f"How far the normalised output of each sub-layer moves, per token, when every weight moves by "
        f"{first.size:g} in a random direction (line and band: mean and standard deviation over {draws} draws"
        f"{f' for each of {seeds} seeds' if seeds > 1 else ''}), with the better of a linear and a "
        "logarithmic fit and the theory's C Σβ²."
    )
    if stack != first.stacks[0]:
        read = f"To be read as that of the {first.stacks[0]} above."
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
    found = f"At the last sub-layer: {'; '.join(parts)}"
    return read, f"{found}. {_borne(runs, stack)}"


def _borne(runs: Sequence[Run], stack: str) -> str:
    """How far apart the schemes are, and what a stack of this depth and so many seeds bear of it."""
    first = runs[0].output_change
    assert first is not None
    depth = len(first.sublayers[stack])
    if depth < FORMS_FROM:
        words = (
            f"{depth} sub-layers bear the distance between schemes, not the form of their growth: a line in "
            f"N and one in ln N part in stacks of {FORMS_FROM} and more"
        )
    else:
        words = f"{depth} sub-layers bear the distance between schemes and the form of their growth"
    if len({run.seed for run in runs}) == 1:
        return f"{words}; of one seed the distance can be several times too large or too small."
    told = [f"{label(other)} {ratio}" for other, ratio in _ratios(runs, stack)]
    if told:
        words += f"; that of Post-LN over others, seed by seed: {', '.join(told)}"
    return f"{words}."


def _ratios(runs: Sequence[Run], stack: str) -> Iterator[tuple[str, str]]:
    """Scheme -> Post-LN's last change over its own, geometric mean over the seeds and range."""
    ends = {
        (run.scheme, run.seed): float(run.output_change.mean(stack)[-1])
        for run in runs
        if run.output_change is not None
    }
    for scheme in dict.fromkeys(run.scheme for run in runs):
        seeds = [seed for name, seed in ends if name == scheme and ("post_ln", seed) in ends]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.array([np.float64(ends["post_ln", seed]) / ends[scheme, seed] for seed in seeds])
        if scheme != "post_ln" and len(ratios) and np.isfinite(ratios).all() and (ratios > 0).all():
            middle, low, high = float(geometric_mean(ratios)), float(ratios.min()), float(ratios.max())
            yield scheme, f"{number(middle)} ({number(low)} to {number(high)})"


def output_change(study: Shown) -> Iterator[Picture | Absent]:
    """Change of the output under small random moves of the weights, a picture a stack, all seeds in it."""
    runs = [run for run in runs_of(study) if run.output_change is not None]
    if not runs:
        yield absent(study, "output_change", "output-change", BEFORE, "Output change")
        return
    shown: list[OutputChange] = pool(run.output_change for run in runs if run.output_change is not None)
    missing = reasons(missing_of(study, "output_change"))
    for stack in shown[0].change:

        def draw(ax: Any, stack: str = stack) -> Any:
            return plots.plot_output_change(shown, ax, stack=stack, log=True)

        read, found = _told(runs, stack)
        yield Picture(
            f"output-change-{stack}",
            BEFORE,
            f"Output change, {stack}",
            height_for(len(shown)),
            single(draw),
            read,
            " ".join([found, *(f"{one}." for one in missing)]),
            cited(
                "The figure of output changes, encoders of up to 200 sub-layers at width 512",
                [one.scheme for one in shown],
                {
                    "post_ln": "Post-LN reaches about 2150 and grows like N",
                    "pre_ln": "Pre-LN reaches 165 and grows like log N",
                    "admin": "Admin reaches 155 and grows like log N",
                },
            ),
            lambda: by_run(runs, lambda run: table_of(run.output_change)),
        )
