"""The variances of one observed pass by sub-layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.base.arguments import door_of_values
from admin_py.model.observation import Observation
from admin_py.plots.arguments import one
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.room import set_title
from admin_py.plots.style import MUTED
from admin_py.plots.sublayers import Series, draw_lines, legends, places_of
from admin_py.plots.ticks import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INPUT: dict[str, Any] = {"color": MUTED, "linewidth": 1.2, "linestyle": (0.0, (1.4, 1.2))}
"""Look of the variance of what a sub-layer reads."""


@door_of_values
@drawing
def plot_observation(observation: Observation, ax: Axes | None = None) -> Axes:
    """Var(a_i) of every branch, a line a kind of sub-layer, and dotted Var(x_{i-1}) of what goes in.

    Parameters
    ----------
    observation : Observation
    ax : matplotlib.axes.Axes, optional
        To draw into, on a log axis; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    """
    from matplotlib.lines import Line2D

    observation = one("observation", observation, Observation)
    ax = new_axes() if ax is None else ax
    kinds = {stack: observation.kinds(stack) for stack in observation.stacks}
    scheme = str(observation.metadata.get("scheme", "model"))
    branches = Series(scheme, observation.var_branch, kinds)
    for stack, x in places_of([branches]).items():
        ax.plot(x, observation.var_input[stack], label="_nolegend_", zorder=2.8, **INPUT)
    draw_lines(ax, [branches], by_kind=True)
    shown = np.concatenate([*observation.var_branch.values(), *observation.var_input.values()])
    if (shown[np.isfinite(shown)] > 0).any():
        log_axis(ax)
    ax.set_ylabel(r"$\mathrm{Var}[a_i]$, $\mathrm{Var}[x_{i-1}]$")
    set_title(ax, "Variances of one pass")
    legends(ax, [branches], more=[Line2D([], [], label="input", **INPUT)])
    return ax
