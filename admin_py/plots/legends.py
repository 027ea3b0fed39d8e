"""What stands beside the data and never on it: legends under the axes, bars of colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

NARROW = 4.0
"""Inches below which axes are one of several side by side."""

BELOW = -36.0
"""Points from the axes to a legend under the label of the abscissa."""


def legend_below(ax: Axes, *groups: Sequence[Any], columns: int = 3) -> None:
    """Legend under the axes: each group begins a row, or has a column of its own where the axes are narrow.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    *groups : sequence of artists
        With labels.
    columns : int
        Of wide axes.
    """
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    filled = [list(group) for group in groups if group]
    if not filled:
        return
    blank = Line2D([], [], linestyle="none", label=" ")
    narrow = is_narrow(ax)
    if narrow and len(filled) > 1:
        rows = max(map(len, filled))
        handles = [item for group in filled for item in [*group, *[blank] * (rows - len(group))]]
        columns = len(filled)
    else:
        columns = min(2 if narrow else columns, max(map(len, filled)))
        padded = [item for group in filled for item in [*group, *[blank] * (-len(group) % columns)]]
        handles = [item for column in range(columns) for item in padded[column::columns]]
    lower = ScaledTranslation(0.0, BELOW / 72.0, _root(ax).dpi_scale_trans)
    legend = ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=ax.transAxes + lower,
        ncols=columns,
        columnspacing=1.2 if narrow else 2.0,
        handlelength=1.6 if narrow else 2.0,
        fontsize=8.0 if narrow else None,
        borderaxespad=0.0,
        labelspacing=0.3,
    )
    legend.set_zorder(1.0)


def one_legend(axes: Sequence[Axes]) -> None:
    """Leaves, of axes below each other, the last one's legend."""
    for ax in axes[:-1]:
        legend = ax.get_legend()
        if legend is not None:
            legend.remove()


def is_narrow(ax: Axes) -> bool:
    """Whether axes are one of several side by side, as they stand before a layout."""
    return float(ax.get_window_extent().width) / _root(ax).dpi < NARROW


def color_bar(ax: Axes, image: AxesImage, label: str) -> Axes:
    """Bar of an image's colours at the right of the axes, as high as they are; returns its axes."""
    place = ax.inset_axes((1.03, 0.0, 0.05, 1.0))
    bar = _root(ax).colorbar(image, cax=place, label=label)
    bar.outline.set_visible(False)
    place.grid(False)
    return place


def _root(ax: Axes) -> Figure:
    root: Figure = ax.figure.figure  # of a sub-figure too, in every version of Matplotlib
    return root
