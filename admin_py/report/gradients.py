"""Gradient norms: pictures and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from admin_py import plots
from admin_py.analysis import GradientNorms, pool
from admin_py.analysis.gradients import VANISHING
from admin_py.base.exact_math import geometric_mean
from admin_py.base.words import listing, number
from admin_py.model.names import place_of
from admin_py.plots.panels import panels
from admin_py.report.paper import cited
from admin_py.report.picture import (
    BEFORE,
    Picture,
    Shown,
    by_run,
    moment,
    results_of,
    runs_of,
    several_seeds,
    single,
)
from admin_py.schemes.labels import label


def _told_norms(study: Shown) -> tuple[str, str]:
    """Two sentences on the gradient norms."""
    read = (
        f"Norm of the loss's gradient with respect to each sub-layer's output{moment(study)}, divided by the "
        "largest of the network; a line that falls towards the left means that the lower sub-layers get "
        "little signal."
    )
    parts = []
    for scheme in study.schemes:
        ratios = {}
        for stack in study.run(scheme).gradients.outputs:
            with np.errstate(divide="ignore", invalid="ignore"):
                found = [
                    run.gradients.outputs[stack][-1] / run.gradients.outputs[stack][1]
                    for run in study.of_scheme(scheme)
                ]
            ratios[stack] = float(geometric_mean(np.array(found)))
        words = listing(f"{number(ratio)} ({stack})" for stack, ratio in ratios.items())
        gone = [stack for stack, ratio in ratios.items() if ratio > VANISHING]
        parts.append(
            f"{label(scheme)} {words}"
            + (f", vanishing towards the bottom of the {listing(gone)}" if gone else "")
        )
    return read, f"Top over bottom of each stack, here: {'; '.join(parts)}."


def _told_bars(study: Shown) -> tuple[str, str]:
    """On the bars of gradient norms."""
    whiskers = "; whiskers are the range over seeds" if several_seeds(study) else ""
    read = f"The same norms as bars, a panel a scheme, shaded by kind of sub-layer{whiskers}."
    parts = []
    for scheme in study.schemes:
        smallest: dict[str, list[float]] = {}
        for run in study.of_scheme(scheme):
            for stack in run.gradients.outputs:
                smallest.setdefault(stack, []).append(float(run.gradients.relative(stack)[1:].min()))
        told = listing(f"{number(min(values))} ({stack})" for stack, values in smallest.items())
        parts.append(f"{label(scheme)} {told}")
    return read, f"Smallest relative norm of each stack: {'; '.join(parts)}."


def _told_matrices(study: Shown, shown: Sequence[GradientNorms]) -> tuple[str, str]:
    """On the gradient norms of weight matrices: how far apart those of a stack are."""
    first = " (first seed)" if several_seeds(study) else ""
    read = (
        f"Norm of the loss's gradient with respect to each weight matrix{moment(study)}, by "
        f"layer{first}: Q, K, V, O of attention, 1 and 2 of the feed-forward."
    )
    parts = []
    for one in shown:
        ratios = []
        for stack in one.outputs:
            places = ((place_of(name), norm) for name, norm in one.matrices.items())
            norms = np.array([norm for place, norm in places if place.stack == stack and place.layer >= 0])
            positive = norms[np.isfinite(norms) & (norms > 0)]
            if len(positive):
                ratios.append(f"{number(float(positive.max() / positive.min()))} ({stack})")
        parts.append(f"{label(one.scheme)} {listing(ratios) if ratios else 'none'}")
    return read, f"Largest over smallest norm within a stack: {'; '.join(parts)}."


def gradient_bars(study: Shown) -> Iterator[Picture]:
    """Gradient norms as the paper's bars, a panel a scheme."""
    shown = pool(run.gradients for run in runs_of(study))

    yield Picture(
        "gradient-bars",
        BEFORE,
        "Gradient norms, scheme by scheme",
        0.6 + 1.9 * len(shown),
        lambda figure: plots.plot_gradient_bars(shown, panels(figure, len(shown))),
        *_told_bars(study),
        "The figure of relative gradient norms of 18-layer models, by kind of sub-layer.",
        lambda: by_run(runs_of(study), lambda run: run.gradients.to_dataframe()),
    )


def matrix_gradients(study: Shown) -> Iterator[Picture]:
    """Gradient norms of weight matrices, a panel a scheme."""
    shown = results_of(study, "gradients", GradientNorms)
    yield Picture(
        "matrix-gradients",
        BEFORE,
        "Gradient norms of weight matrices",
        0.9 + 1.9 * len(shown),
        lambda figure: plots.plot_matrix_gradient_panels(shown, panels(figure, len(shown))),
        *_told_matrices(study, shown),
        "None: the figure of relative gradient norms in section 3.1 is of the outputs of sub-layers.",
        lambda: by_run(runs_of(study), lambda run: run.gradients.matrices_to_dataframe()),
    )


def gradient_lines(study: Shown) -> Iterator[Picture]:
    """Gradient norms by sub-layer, a line a scheme."""
    norms = [run.gradients for run in runs_of(study)]
    yield Picture(
        "gradients",
        BEFORE,
        "Gradient norms, all schemes",
        3.3,
        single(lambda ax: plots.plot_gradient_lines(norms, ax)),
        *_told_norms(study),
        cited(
            "Section 3.1, the figure of relative gradient norms of 18-layer models",
            study.schemes,
            {
                "post_ln": "only the decoder of Post-LN vanishes towards the bottom, its encoder does not",
                "post_ln/pre_ln": "a Post-LN encoder with a Pre-LN decoder does not vanish, and does "
                "not train all the same",
            },
        ),
        lambda: by_run(runs_of(study), lambda run: run.gradients.to_dataframe()),
    )
