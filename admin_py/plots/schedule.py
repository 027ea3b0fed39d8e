"""The learning rate over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from admin_py.plots.style import INK, context, new_axes
from admin_py.plots.sublayers import step_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@context()
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
    """
    ax = new_axes() if ax is None else ax
    color = None if ax.lines else INK  # more lines take the axes' own colours
    ax.plot(step, lr, color=color, label=label or None)
    step_axis(ax)
    ax.set_ylabel("learning rate")
    ax.set_title("Schedule")
    ax.set_ylim(bottom=0.0)
    ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    if label:
        ax.legend()
    return ax
