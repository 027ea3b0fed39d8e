"""Gradient norm per sub-layer, relative to the network's largest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from admin_py.analysis.gradients import GradientNorms
from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import one, several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.room import set_title
from admin_py.plots.style import legend_text, scheme_style
from admin_py.plots.sublayers import draw_bars, draw_lines, legends, shade_legend
from admin_py.plots.tables import gradient_series
from admin_py.plots.ticks import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LABEL = r"$\|\partial L/\partial x_i\|$, largest = 1"


@door_of_values
@drawing
def plot_gradients(gradients: GradientNorms, ax: Axes | None = None) -> Axes:
    """One model: log bars, shaded by kind of sub-layer, as in the paper's figure.

    Parameters
    ----------
    gradients : GradientNorms
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    """
    gradients = one("gradients", gradients, GradientNorms, many="plot_gradient_lines")
    ax = new_axes() if ax is None else ax
    style = scheme_style(gradients.scheme)
    series = gradient_series(gradients)
    shown = np.concatenate([values[values > 0] for values in series.values.values()] or [np.ones(1)])
    floor = 10.0 ** np.floor(np.log10(shown.min(initial=1.0)) - 1e-9)
    draw_bars(ax, series, color=style.color, baseline=floor)
    ax.set_ylim(floor, 1.5)
    log_axis(ax)
    ax.set_ylabel(LABEL)
    set_title(ax, legend_text(style.label))
    shade_legend(ax, series, style.color)
    return ax


@door_of_values
@drawing
def plot_gradient_lines(gradients: GradientNorms | Iterable[GradientNorms], ax: Axes | None = None) -> Axes:
    """Several models in one picture: a line for each, coloured by scheme, marked by kind of sub-layer.

    Parameters
    ----------
    gradients : GradientNorms or iterable of GradientNorms
        Several of one scheme are several seeds.
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there are none.
    """
    found = several("gradients", gradients, GradientNorms)
    ax = new_axes() if ax is None else ax
    series = [gradient_series(norms) for norms in found]
    draw_lines(ax, series)
    log_axis(ax)
    ax.set_ylabel(LABEL)
    set_title(ax, "Gradient at initialisation")
    legends(ax, series)
    return ax
