"""Axes side by side and below each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from admin_py.plots.drawing import new_axes
from admin_py.plots.ticks import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T")


def panels(figure: Figure, count: int, columns: int = 1) -> list[Axes]:
    """So many axes of a figure, row by row; places that are left over stay empty.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> figure = Figure()
    >>> len(panels(figure, 5, columns=3)), len(figure.axes)
    (5, 6)
    """
    columns = min(columns, count)
    axes = figure.subplots(-(-count // columns), columns, squeeze=False).ravel()
    for ax in axes[count:]:
        ax.set_axis_off()
    return list(axes[:count])


def given_axes(
    axes: Iterable[Axes] | None, wanted: Sequence[T], *, height: float, columns: int = 1
) -> list[Axes]:
    """The axes given, one for each thing to draw; a new figure's where none are given.

    Parameters
    ----------
    axes : iterable of matplotlib.axes.Axes or None
    wanted : sequence
        What is drawn, one axes each.
    height : float
        Of a row of a new figure, inches.
    columns : int
        Of a new figure.

    Raises
    ------
    ValueError
        If there are not as many axes as things to draw.
    """
    count = len(wanted)
    if axes is None:
        columns = min(columns, count)
        found = np.atleast_1d(new_axes(-(-count // columns), columns, height=height)).ravel()
        for ax in found[count:]:
            ax.set_axis_off()
        return list(found[:count])
    given = list(axes)
    if len(given) != count:
        raise ValueError(f"axes: expected {count}, one a panel, got {len(given)}")
    return given


def one_scale(axes: Sequence[Axes]) -> None:
    """Gives all axes the widest ordinate of them."""
    limits = np.array([ax.get_ylim() for ax in axes])
    for ax in axes:
        ax.set_ylim(limits[:, 0].min(), limits[:, 1].max())
        if ax.get_yscale() == "log":
            log_axis(ax)
