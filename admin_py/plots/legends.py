"""What stands beside the data and never on it: legends under the axes, bars of colour."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.legend import Legend

NARROW = 4.0
"""Inches below which axes are one of several side by side."""

LETTER, HANDLE, FILLED = 5.1, 46.0, 0.95
"""Points that a letter of a legend takes, and the handle before it; share of a width that is filled."""

BAR_GAP, BAR_WIDTH = 7.0, 11.0
"""Points between axes and a bar of colours, and of the bar."""

BAR_NUMBERS = 6
"""Steps between numbers beside a bar, at most."""

BELOW = -36.0
"""Points from the axes to a legend under the label of the abscissa."""


def legend_below(ax: Axes, *groups: Sequence[Any], columns: int = 3) -> Legend | None:
    """Legend under the axes: each group begins a row, or has a column of its own where the axes are narrow.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    *groups : sequence of artists
        With labels.
    columns : int
        Of wide axes.

    Returns
    -------
    matplotlib.legend.Legend or None
        None where there is nothing to name.
    """
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    filled = [list(group) for group in groups if group]
    if not filled:
        return None
    blank = Line2D([], [], linestyle="none", label=" ")
    narrow = is_narrow(ax)
    if narrow and len(filled) > 1:
        rows = max(map(len, filled))
        handles = [item for group in filled for item in [*group, *[blank] * (rows - len(group))]]
        columns = len(filled)
    else:
        columns = _fitting(ax, filled, min(2 if narrow else columns, max(map(len, filled))))
        padded = [item for group in filled for item in [*group, *[blank] * (-len(group) % columns)]]
        handles = [item for column in range(columns) for item in padded[column::columns]]
    lower = ScaledTranslation(0.0, BELOW / 72.0, root_of(ax).dpi_scale_trans)
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
    return legend


def _fitting(ax: Axes, groups: Sequence[Sequence[Any]], columns: int) -> int:
    """So many columns, or as many fewer as fit into the figure."""
    room = root_of(ax).get_figwidth() * 72.0 if not is_narrow(ax) else ax.get_window_extent().width
    while columns > 1:
        widths = [
            max(letters(item.get_label()) for group in groups for item in group[column::columns] or group[:1])
            for column in range(columns)
        ]
        if sum(LETTER * width + HANDLE for width in widths) < FILLED * room:
            break
        columns -= 1
    return columns


def letters(label: str) -> int:
    """How many letters of a label are seen, about: what makes formulas is left out.

    Examples
    --------
    >>> letters("Admin: ln N, $R^2$ 0.922"), letters(r"theory: $C\\,\\Sigma\\,\\beta_{jj}^2$")
    (21, 14)
    """
    return len(re.sub(r"\\[,;]|[${}^_]", "", re.sub(r"\\[A-Za-z]+", "x", label)))


def one_legend(axes: Sequence[Axes]) -> None:
    """Leaves, of axes below each other, the last one's legend."""
    for ax in axes[:-1]:
        legend = ax.get_legend()
        if legend is not None:
            legend.remove()


def is_narrow(ax: Axes) -> bool:
    """Whether axes are one of several side by side, as they stand before a layout."""
    return float(ax.get_window_extent().width) / root_of(ax).dpi < NARROW


def color_bar(ax: Axes, image: AxesImage, label: str, *, whole: bool = False) -> Axes:
    """Bar of an image's colours at the right of the axes, as high as they are; returns its axes.

    With `whole`, only whole numbers are written beside it.
    """
    from matplotlib.ticker import MaxNLocator
    from matplotlib.transforms import Bbox

    place = ax.inset_axes((1.0, 0.0, 0.1, 1.0))

    def locate(_: Any, renderer: Any) -> Bbox:
        (x, low), (_, high) = ax.transAxes.transform([(1.0, 0.0), (1.0, 1.0)])
        point = root_of(ax).dpi / 72.0
        box = Bbox.from_extents(x + BAR_GAP * point, low, x + (BAR_GAP + BAR_WIDTH) * point, high)
        return box.transformed(ax.figure.transSubfigure.inverted())

    place.set_axes_locator(locate)  # of fixed width: the layout settles at once
    bar = root_of(ax).colorbar(image, cax=place, label=label)
    bar.outline.set_visible(False)
    # As many numbers whatever its height, which the layout changes: their width must not change with it.
    bar.locator = MaxNLocator(BAR_NUMBERS, steps=[1, 2, 5, 10], integer=whole)
    bar.update_ticks()
    place.grid(False)
    return place


def root_of(ax: Axes) -> Figure:
    """The whole figure that axes are in."""
    root: Figure = ax.figure.figure  # of a sub-figure too, in every version of Matplotlib
    return root
