"""The learning rate over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import WrongArgument, described
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import clear_legends, legend_below
from admin_py.plots.room import set_title
from admin_py.plots.style import ink, legend_text
from admin_py.plots.ticks import step_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@door_of_values
@drawing
def plot_schedule(step: ArrayLike, lr: ArrayLike, *, label: str = "", ax: Axes | None = None) -> Axes:
    """Draw learning rates over their steps.

    Parameters
    ----------
    step : array_like of int
        [n], counted from 1.
    lr : array_like of float
        [n].
    label : str
        Of the line, in the legend.
    ax : matplotlib.axes.Axes, optional
        Drawn into; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else than numbers is given.
    ValueError
        If there are not as many rates as steps.
    """
    steps, rates = _numbers("step", step), _numbers("lr", lr)
    if len(steps) != len(rates):
        raise ValueError(f"lr: expected {len(steps)}, one a step, got {len(rates)}")
    ax = new_axes() if ax is None else ax
    color = None if ax.lines else ink()  # more lines take the axes' own colours
    ax.plot(steps, rates, color=color, label=legend_text(label) if label else None)
    step_axis(ax)
    ax.set_ylabel("learning rate")
    set_title(ax, "Schedule")
    ax.set_ylim(bottom=0.0)
    ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    named = [line for line in ax.lines if not str(line.get_label()).startswith("_")]
    if named:
        clear_legends(ax)
        legend_below(ax, named)
    return ax


def _numbers(name: str, given: Any) -> NDArray[Any]:
    try:
        values = np.asarray(given)
    except Exception:  # lists of lists that are no array, or what the value's own code has raised
        values = np.empty(0, object)
    if values.dtype.kind not in "iuf" or values.ndim != 1:
        raise WrongArgument(f"{name} must be an array [n] of numbers, got {described(given)}")
    return values
