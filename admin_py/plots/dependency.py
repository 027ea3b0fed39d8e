"""Which sub-layer's output depends on which branch: heatmaps, one or two on one scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.analysis.dependency import Dependency
from admin_py.base.arguments import door_of_values
from admin_py.base.checks import check_listed, check_text
from admin_py.plots.arguments import one, pick_stack, scheme_title, several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import color_bar, legend_below
from admin_py.plots.panels import given_axes
from admin_py.plots.room import fitting, room_of, set_title, title_of
from admin_py.plots.style import MUTED, SEQUENTIAL, legend_text
from admin_py.plots.ticks import counted_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage


COLUMNS = 3
"""Heatmaps in a row of a new figure."""

LABELS = {
    "row": r"$\beta_{ij}$, squares of a row add up to 1",
    "std": r"$\beta_{ij}$, in standard deviations of $y_i$",
}
"""Scale -> label of the colour bar."""


@door_of_values
@drawing
def plot_dependency(
    dependency: Dependency,
    ax: Axes | None = None,
    *,
    stack: str | None = None,
    scale: str = "row",
    largest: float | None = None,
) -> Axes:
    """beta_ij as a heatmap: a row for each output x_1..x_R, a column for the input and each branch a_1..a_R.

    Parameters
    ----------
    dependency : Dependency
    ax : matplotlib.axes.Axes, optional
        To draw into, with a colour bar beside it; a new figure otherwise.
    stack : {"encoder", "decoder"}, optional
        By default the first that the model has.
    scale : {"row", "std"}
        See `Dependency.beta`.
    largest : float, optional
        Upper end of the colour scale, which begins at 0; by default the largest beta. Give the same to
        heatmaps that are compared.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If the model has no such stack or there is no such scale.

    Notes
    -----
    The paper's figure of dependencies (arXiv 2004.08249, section 4.1): Post-LN near the diagonal, Pre-LN
    spread over the columns.
    """
    dependency = one("dependency", dependency, Dependency, many="plot_dependency_panels")
    ax = new_axes(width=5.2, height=4.4) if ax is None else ax
    image = _draw(ax, dependency, stack, scale, largest)
    color_bar(ax, image, LABELS[scale])
    return ax


@door_of_values
@drawing
def plot_dependency_pair(
    before: Dependency,
    after: Dependency,
    axes: Sequence[Axes] | None = None,
    *,
    stack: str | None = None,
    scale: str = "row",
    titles: tuple[str, str] | None = None,
) -> np.ndarray:
    """Two heatmaps side by side on one colour scale: before and after training, or two schemes.

    Parameters
    ----------
    before, after : Dependency
    axes : sequence of two matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.
    stack, scale
        As for `plot_dependency`.
    titles : tuple of two str, optional
        By default the names of the schemes, with "before" and "after training" where they are the same.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        [2].

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If the models have no such stack, there is no such scale, or there are not two axes.
    """
    before, after = one("before", before, Dependency), one("after", after, Dependency)
    axes = new_axes(1, 2, height=3.3) if axes is None else axes
    if len(axes) != 2:
        raise ValueError(f"axes: expected two, got {len(axes)}")
    pair = (before, after)
    top = max(_largest(shown, stack, scale) for shown in pair)
    images = [_draw(ax, shown, stack, scale, top) for ax, shown in zip(axes, pair, strict=True)]
    if titles is not None:
        given = check_listed("titles", titles, "two strings")
        if len(given) != 2:
            raise ValueError(f"titles: expected two, got {len(given)}")
        for ax, title in zip(axes, given, strict=True):
            set_title(ax, legend_text(check_text("titles", title)))
    elif before.scheme == after.scheme:
        for ax, when in zip(axes, ("before training", "after training"), strict=True):
            set_title(ax, f"{title_of(ax)}, {when}")
    axes[1].set_ylabel("")
    color_bar(axes[1], images[1], LABELS[scale])
    return np.array(list(axes), dtype=object)


@door_of_values
@drawing
def plot_dependency_panels(
    dependencies: Dependency | Iterable[Dependency],
    axes: Iterable[Axes] | None = None,
    *,
    stack: str | None = None,
    scale: str = "row",
) -> np.ndarray:
    """Heatmaps of several schemes side by side on one colour scale.

    Parameters
    ----------
    dependencies : Dependency or iterable of Dependency
    axes : iterable of matplotlib.axes.Axes, optional
        As many, to draw into; a new figure otherwise.
    stack, scale
        As for `plot_dependency`.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        [number of dependencies].

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no dependency, a model has no such stack, there is no such scale, or too few axes.
    """
    found = several("dependencies", dependencies, Dependency)
    panels = given_axes(axes, found, height=2.7, columns=COLUMNS)
    top = max(_largest(shown, stack, scale) for shown in found)
    images = [_draw(ax, shown, stack, scale, top) for ax, shown in zip(panels, found, strict=True)]
    for ax in panels:
        place = ax.get_subplotspec()
        if place is None or not place.is_first_col():
            ax.set_ylabel("")
    for ax in panels:
        ax.set_xlabel("branch $j$")
    first_row = [ax for ax in panels if (place := ax.get_subplotspec()) is None or place.is_first_row()]
    color_bar(first_row[-1] if first_row else panels[-1], images[-1], r"$\beta_{ij}$")
    return np.array(panels, dtype=object)


def _largest(dependency: Dependency, stack: str | None, scale: str) -> float:
    beta = dependency.beta(pick_stack(dependency.stacks, stack), scale=scale)
    return float(_finite(beta).max(initial=0.0))


def _draw(
    ax: Axes, dependency: Dependency, stack: str | None, scale: str, largest: float | None
) -> AxesImage:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    stack = pick_stack(dependency.stacks, stack)
    beta = dependency.beta(stack, scale=scale)
    rows = len(beta)
    upper = ~np.tri(rows, rows + 1, 1, dtype=bool)
    lost = ~(np.isfinite(beta) | upper)
    top = _finite(beta).max(initial=0.0) if largest is None else largest
    place = (-0.5, rows + 0.5, rows + 0.5, 0.5)
    image = ax.imshow(
        np.ma.masked_array(beta, upper | lost),
        cmap=colormaps[SEQUENTIAL],
        vmin=0.0,
        vmax=top if top > 0 else 1.0,
        extent=place,
        interpolation="nearest",
    )
    if lost.any():
        ax.imshow(np.ma.masked_array(lost, ~lost), cmap=ListedColormap([MUTED]), extent=place)
        legend_below(ax, [Patch(facecolor=MUTED, label="not finite")])
    fitting(ax).resized["aspect"] = _choose_aspect
    count = np.arange(1.0, rows + 1.0)
    counted_axis(ax, "x", [count], zero=True)
    counted_axis(ax, "y", [count])
    ax.grid(False)
    ax.set_xlabel(r"column $j$: branch $a_j$ (0: the stack's input)")
    ax.set_ylabel(r"row $i$: output of sub-layer $i$")
    set_title(ax, scheme_title(dependency.scheme, dependency.stacks, stack))
    return image


ROOMY = 200.0
"""Points of room from which on a place is a square; smaller, a map fills what it has."""


def _choose_aspect(ax: Axes) -> None:
    ax.set_aspect("equal" if min(room_of(ax)) >= ROOMY else "auto")


def _finite(values: np.ndarray) -> Any:
    return values[np.isfinite(values)]
