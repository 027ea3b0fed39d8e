"""Omega of every sub-layer while it is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from admin_py.analysis.updates import UpdateNorms
from admin_py.base.arguments import door_of_values
from admin_py.base.checks import shown
from admin_py.plots.arguments import one, pick_stack, scheme_title, several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import color_bar
from admin_py.plots.panels import given_axes
from admin_py.plots.room import set_title
from admin_py.plots.style import SEQUENTIAL
from admin_py.plots.ticks import log_axis, step_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LABELS = {
    "omega": r"$\omega_i$, mean over features",
    "var_branch": r"Var$[a_i]$",
    "var_input": r"Var$[x_{i-1}]$",
}


@door_of_values
@drawing
def plot_omega_drift(
    updates: UpdateNorms,
    ax: Axes | None = None,
    *,
    stack: str | None = None,
    quantity: str = "omega",
) -> Axes:
    """A number of every sub-layer over the steps, coloured by depth: how far omega leaves its profile.

    Parameters
    ----------
    updates : UpdateNorms
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.
    stack : {"encoder", "decoder"}, optional
        By default the first.
    quantity : {"omega", "var_branch", "var_input"}
        The variances are drawn on a log axis.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no such stack or quantity, or nothing was observed.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    updates = one("updates", updates, UpdateNorms, many="plot_omega_panels")
    if quantity not in LABELS:
        raise ValueError(f"quantity must be one of {', '.join(map(repr, LABELS))}, got {shown(quantity)}")
    if not updates.omega:
        raise ValueError("updates: no stack was observed")
    stack = pick_stack(updates.omega, stack)
    values = np.asarray(getattr(updates, quantity)[stack])
    ax = new_axes(height=3.2) if ax is None else ax
    count = values.shape[1]
    shades = colormaps[SEQUENTIAL]
    first, last = 0.15, 0.75  # without the ends, which a light or a dark ground would swallow
    scale = Normalize(1, max(count, 2))
    for index in range(count):
        ax.plot(
            updates.steps,
            values[:, index],
            color=shades(first + (last - first) * scale(index + 1)),
            linewidth=0.9,
            marker="o" if len(updates.steps) == 1 else "none",
            markersize=3.0,
        )
    if quantity != "omega":
        log_axis(ax)
    step_axis(ax)
    ax.set_ylabel(LABELS[quantity])
    set_title(ax, scheme_title(updates.scheme, tuple(updates.omega), stack))
    drawn = colormaps[SEQUENTIAL](np.linspace(first, last, 256))
    from matplotlib.colors import ListedColormap

    image = ScalarMappable(scale, ListedColormap(drawn))
    color_bar(ax, image, "sub-layer i", whole=True)  # type: ignore[arg-type]  # a colour bar needs no more of an image
    return ax


@door_of_values
@drawing
def plot_omega_panels(
    updates: UpdateNorms | Iterable[UpdateNorms],
    axes: Iterable[Axes] | None = None,
    *,
    quantity: str = "omega",
) -> np.ndarray:
    """`plot_omega_drift` of several trainings, a panel a stack.

    Parameters
    ----------
    updates : UpdateNorms or iterable of UpdateNorms
    axes : iterable of matplotlib.axes.Axes, optional
        As many as trainings and stacks, to draw into; a new figure otherwise.
    quantity : {"omega", "var_branch", "var_input"}

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        [number of trainings x stacks].

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is nothing to draw, the number of axes is another, or there is no such quantity.
    """
    found = several("updates", updates, UpdateNorms)
    shown = [(norms, stack) for norms in found for stack in norms.omega]
    panels = given_axes(axes, shown, height=2.9, columns=2)
    for ax, (norms, stack) in zip(panels, shown, strict=True):
        plot_omega_drift(norms, ax, stack=stack, quantity=quantity)
    return np.array(panels, dtype=object)
