"""What a training step holds in memory, by what it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import one
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.room import set_title
from admin_py.plots.style import ink
from admin_py.plots.ticks import name_axis
from admin_py.training.memory import MIB, MemoryPlan

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@door_of_values
@drawing
def plot_memory(plan: MemoryPlan, ax: Axes | None = None) -> Axes:
    """A bar for each part of a plan, in MiB, the total in the title.

    Parameters
    ----------
    plan : MemoryPlan
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
    plan = one("plan", plan, MemoryPlan)
    ax = new_axes() if ax is None else ax
    parts = plan.named_parts()
    places = np.arange(len(parts))
    sizes = [size / MIB for _, size in parts.values()]
    ax.barh(places, sizes, height=0.7, color=ink(), linewidth=0.0, zorder=3.0)
    name_axis(ax, "y", [text for text, _ in parts.values()])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(parts) - 0.5, -0.5)
    ax.grid(False, axis="y")
    ax.grid(True, axis="x")
    ax.set_xlabel("MiB")
    ax.set_ylabel("part")
    set_title(ax, f"Memory of a training step: {plan.total / MIB:,.1f} MiB")
    return ax
