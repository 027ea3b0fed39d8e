"""How much each sub-layer's output depends on its own branch: measured, and as the variances predict it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.analysis.dependency import Dependency
from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.marks import thin_out
from admin_py.plots.room import set_title
from admin_py.plots.style import muted, scheme_style
from admin_py.plots.sublayers import Series, draw_lines, legends, places_of
from admin_py.plots.ticks import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


MANY = 100
"""Sub-layers of a figure from which on a prediction is a line and no longer a ring round each point."""

RING = 5.0
"""Points across."""


@door_of_values
@drawing
def plot_own_dependency(dependencies: Dependency | Iterable[Dependency], ax: Axes | None = None) -> Axes:
    """beta_ii^2 by sub-layer on a log axis: `Dependency.own` (lines), and as variances predict it (rings).

    Parameters
    ----------
    dependencies : Dependency or iterable of Dependency
        Several of one scheme are several seeds, or before and after training; the first has the rings.
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
        If there is none.
    """
    from matplotlib.lines import Line2D

    found = several("dependencies", dependencies, Dependency)
    ax = new_axes() if ax is None else ax
    measured = [_series(one, "own") for one in found]
    first = {one.scheme: one for one in reversed(found)}
    predicted = [_series(one, "predicted") for one in first.values()]
    draw_lines(ax, measured, by_kind=True)
    places = places_of(measured)
    many = max(x[-1] for x in places.values()) > MANY
    looks: dict[str, Any] = {"linestyle": "none", "marker": "o", "fillstyle": "none"}
    if many:
        looks = {"linewidth": 0.7, "linestyle": (0.0, (1.0, 1.0))}
    for one in predicted:
        for stack, values in one.values.items():
            drawn = ax.plot(
                places[stack],
                values,
                color=scheme_style(one.scheme).color,
                markersize=RING,
                markeredgewidth=0.7,
                label="_nolegend_",
                zorder=3.5,
                **looks,
            )
            if not many:
                thin_out(ax, drawn)
    log_axis(ax)
    ax.set_ylabel(r"$\beta_{ii}^2$")
    set_title(ax, "Dependency on the own branch")
    ring = Line2D([], [], color=muted(), markersize=RING, markeredgewidth=0.7, label="predicted", **looks)
    legends(ax, measured, more=[ring])
    return ax


def _series(dependency: Dependency, which: str) -> Series:
    values = {
        stack: np.asarray(dependency.own(stack) if which == "own" else dependency.predicted[stack])
        for stack in dependency.stacks
    }
    return Series(dependency.scheme, values, {stack: dependency.kinds(stack) for stack in values})
