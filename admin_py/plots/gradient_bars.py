"""Gradient norms as the paper's bars: a panel a scheme, seeds as error bars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from admin_py.analysis.gradients import GradientSpread
from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import several
from admin_py.plots.drawing import drawing
from admin_py.plots.gradients import LABEL
from admin_py.plots.panels import given_axes
from admin_py.plots.room import set_title
from admin_py.plots.style import ink, legend_text, scheme_style
from admin_py.plots.sublayers import Series, draw_bars, places_of, shade_legend
from admin_py.plots.ticks import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MANY = 60
"""Sub-layers of a stack from which on error bars are pale."""

CEILING = 2.0
"""Upper end of the ordinate; the largest norm is 1."""


@door_of_values
@drawing
def plot_gradient_bars(
    gradients: GradientSpread | Iterable[GradientSpread], axes: Iterable[Axes] | None = None
) -> np.ndarray:
    """Relative |dL/dx_i| by sub-layer: log bars shaded by kind, a panel a scheme on one scale.

    Parameters
    ----------
    gradients : GradientSpread or iterable of GradientSpread
        What `admin_py.analysis.pool` gives: bars are the geometric mean over seeds, error
        bars the range.
    axes : iterable of matplotlib.axes.Axes, optional
        As many as schemes, to draw into; a new figure otherwise.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        [number of schemes].

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no result, or the number of axes is another.

    Notes
    -----
    The paper's figure of relative gradient norms (arXiv 2004.08249, section 3): of 18-layer models before
    training only the decoder of Post-LN vanishes towards its bottom.
    """
    found = several("gradients", gradients, GradientSpread)
    panels = given_axes(axes, found, height=2.1)
    low = min((_smallest(one) for one in found), default=1.0)
    floor = 10.0 ** np.floor(np.log10(low) - 1e-9)
    for ax, one in zip(panels, found, strict=True):
        _draw(ax, one, floor)
    return np.array(panels, dtype=object)


def _smallest(one: GradientSpread) -> float:
    values = np.concatenate(list(one.low.values()))
    return float(values[np.isfinite(values) & (values > 0)].min(initial=1.0))


def _draw(ax: Axes, one: GradientSpread, floor: float) -> None:
    style = scheme_style(one.scheme)
    series = Series(one.scheme, one.middle, {stack: one.kinds(stack) for stack in one.stacks})
    draw_bars(ax, series, color=style.color, baseline=floor)
    if one.seeds > 1:
        alpha = 1.0 if max(map(len, one.middle.values())) <= MANY else 0.3  # or they hide the bars
        for stack, x in places_of([series]).items():
            middle = one.middle[stack]
            span = np.abs(np.array([middle - np.maximum(one.low[stack], floor), one.high[stack] - middle]))
            ax.errorbar(x, middle, span, fmt="none", ecolor=ink(), elinewidth=0.7, alpha=alpha, zorder=4.0)
    ax.set_ylim(floor, CEILING)
    log_axis(ax)
    ax.set_ylabel(LABEL)
    set_title(ax, legend_text(style.label) + (f", {one.seeds} seeds" if one.seeds > 1 else ""))
    shade_legend(ax, series, style.color)
