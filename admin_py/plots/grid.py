"""Grids of trainings as heatmaps: the final loss over two axes, and what came of those that do not train."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import one, several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import color_bar, legend_below
from admin_py.plots.room import fitting, measured, set_title, size_of
from admin_py.plots.style import FAINT, INK, MUTED, PAPER, SCHEMES, legend_text
from admin_py.plots.tables import LARGER_IS_BETTER, GridTable
from admin_py.plots.ticks import name_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.text import Text

COLORS, COLORS_OF_SCORES = "viridis_r", "viridis"
"""From yellow, a small loss or a large score, to dark blue; even steps of lightness, so that it survives
grey print."""

DIVERGED, BLOWN, STUCK, BLIND = "xxx", "++", "///", "..."
"""Hatches: a seed diverged; blew up; does not train within the budget; learns without reading its source."""

ROOM = 2.0
"""Colours reach so many times the largest mean of what trains or the median of the rest, not further.

What blew up counts only where nothing else is.
"""

DARK_BELOW = 0.5
"""Relative luminance of a ground on which text is light."""

ROW_HEIGHT, MARGIN, LEAST = 0.52, 1.3, 2.9
"""Inches of a row of places, of what is above and below them, and of a figure with a named bar of colours."""

LABELS = {
    "scheme": "scheme",
    "encoder": "encoder's scheme",
    "decoder": "decoder's scheme",
    "layers": "layers of a stack",
    "lr": "largest learning rate",
    "beta2": r"$\beta_2$",
    "warmup": "warm-up, steps",
    "optimizer": "optimiser",
    "seed": "seed",
}


@door_of_values
@drawing
def plot_grid(table: GridTable, ax: Axes | None = None) -> Axes:
    """Heatmap of one table, each place with its number, beside a scale of colours.

    Parameters
    ----------
    table : GridTable
        Means over seeds. Places where a seed diverged are cross-hatched and have a cross, the first step at
        which one did, and how many did of how many; places where all did have no colour. Places where a seed
        blew up have crosses upright and an arrow. Places that do not train within the budget are hatched one
        way, those that do not read their source dotted.
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
    table = one("table", table, GridTable, many="plot_grid_panels")
    ax = new_axes(height=max(LEAST, MARGIN + ROW_HEIGHT * len(table.y_values))) if ax is None else ax
    scale = _scale([table])
    mesh = _draw(ax, table, scale, decimals_of([table]))
    color_bar(ax, mesh, table.label, extend=_beyond([table], scale))
    _explain(ax, [table])
    return ax


@door_of_values
@drawing
def plot_grid_panels(tables: GridTable | Iterable[GridTable], axes: Any = None) -> np.ndarray:
    """Heatmaps side by side in one scale of colours.

    Parameters
    ----------
    tables : GridTable or iterable of GridTable
        Of the same axes and quantity.
    axes : sequence of matplotlib.axes.Axes, optional
        One a table; a new figure otherwise.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        [number of tables].

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no table, or another number of axes.
    """
    tables = several("tables", tables, GridTable)
    if axes is None:
        rows = max(len(table.y_values) for table in tables)
        axes = new_axes(len(tables), 1, height=max(LEAST / len(tables), MARGIN + ROW_HEIGHT * rows))
    axes = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if len(axes) != len(tables):
        raise ValueError(f"axes: expected {len(tables)}, one a table, got {len(axes)}")
    scale = _scale(tables)
    beyond, decimals = _beyond(tables, scale), decimals_of(tables)
    for ax, table in zip(axes, tables, strict=True):
        color_bar(ax, _draw(ax, table, scale, decimals), table.label, extend=beyond)
    _explain(axes[-1], tables)
    return axes


def _scale(tables: Sequence[GridTable]) -> Normalize:
    """Colours of the finite means of the tables; one loss of 1e17 leaves the others apart."""
    from matplotlib.colors import Normalize

    means, trains, blown = _places(tables)
    if not len(means):
        return Normalize(0.0, 1.0)
    if not blown.all():
        means, trains = means[~blown], trains[~blown]
    low, high = means.min(), means.max()
    if trains.any() and not trains.all():
        high = min(high, ROOM * max(means[trains].max(), np.median(means[~trains])))
    return Normalize(float(low), float(high if high > low else low + 1.0))


def _places(tables: Sequence[GridTable]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The finite means; whether all that they stand for trains; whether any of it blew up."""
    finite = [np.isfinite(table.mean) for table in tables]
    columns = (
        [table.mean for table in tables],
        [table.stuck + table.diverged + table.blown == 0 for table in tables],
        [table.blown > 0 for table in tables],
    )
    means, trains, blown = (
        np.concatenate([values[places] for values, places in zip(column, finite, strict=True)])
        for column in columns
    )
    return means, trains, blown


def _beyond(tables: Sequence[GridTable], scale: Normalize) -> Literal["max", "neither"]:
    """Whether the bar of colours ends in an arrow."""
    means = _places(tables)[0]
    return "max" if len(means) and means.max() > scale.vmax else "neither"


def _draw(ax: Axes, table: GridTable, scale: Normalize, decimals: int) -> Any:
    from matplotlib import colormaps

    colors = colormaps[COLORS_OF_SCORES if table.value in LARGER_IS_BETTER else COLORS]
    rows, columns = table.mean.shape
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    ax.grid(False)
    mesh = ax.pcolormesh(*edges, np.ma.masked_invalid(table.mean), cmap=colors, norm=scale, zorder=1)
    mesh.set(edgecolor=PAPER, linewidth=1.0)
    texts = []
    for row in range(rows):
        for column in range(columns):
            mean = table.mean[row, column]
            ground = colors(scale(mean)) if np.isfinite(mean) else None
            texts.append(_draw_place(ax, table, (row, column), ground, decimals))
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(rows - 0.5, -0.5)  # the first value on top, as in a table
    name_axis(ax, "x", [_name(value) for value in table.x_values])
    name_axis(ax, "y", [_name(value) for value in table.y_values])
    fitting(ax).always["places"] = partial(_fit_places, texts=[text for text in texts if text is not None])
    ax.tick_params(length=0)
    ax.set_xlabel(LABELS[table.x])
    ax.set_ylabel(LABELS[table.y])
    set_title(ax, _name(table.title))
    return mesh


TYPE, LEAST_TYPE, CELL_LINE = 8.5, 4.0, 1.25
"""Points of the type in a place, at most and at least, and heights of a line; smaller, it is left out."""

FILLED = 0.9
"""Of a place, what its text may fill."""


def _fit_places(ax: Axes, texts: list[Text]) -> None:
    """All texts in the one size that fits into their places, or none of them."""
    if not texts or any(text.axes is not ax for text in texts):
        return
    size = size_of(ax)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    width, height = FILLED * size.width / abs(right - left), FILLED * size.height / abs(high - low)
    wide = max(measured(text.get_text(), 1.0, text)[0] for text in texts)
    lines = max(text.get_text().count("\n") + 1 for text in texts)
    points = min(TYPE, width / wide, height / (CELL_LINE * lines))
    for text in texts:
        text.set_visible(points >= LEAST_TYPE)
        text.set_fontsize(max(points, LEAST_TYPE))


def _draw_place(
    ax: Axes, table: GridTable, place: tuple[int, int], ground: Any, decimals: int
) -> Text | None:
    """Hatch and text of one place; gives the text."""
    from matplotlib.patches import Rectangle

    row, column = place
    runs, diverged = int(table.runs[row, column]), int(table.diverged[row, column])
    if runs == 0:
        return None
    ink, face = INK, FAINT if diverged else PAPER
    if ground is not None:
        red, green, blue = ground[:3]
        dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < DARK_BELOW
        ink, face = PAPER if dark else INK, "none"
    hatch = _hatch(table, row, column)
    line = FAINT if ink == PAPER else MUTED
    box = Rectangle((column - 0.5, row - 0.5), 1.0, 1.0, facecolor=face, edgecolor=line, hatch=hatch)
    box.set(linewidth=0.0, zorder=2)
    ax.add_patch(box)
    text = place_text(table, row, column, decimals)
    # Of its own ground, so that no hatch is under a number.
    back = None if hatch is None else {"facecolor": ground or face, "edgecolor": "none", "pad": 1.2}
    return ax.text(column, row, text, ha="center", va="center", color=ink, fontsize=TYPE, bbox=back, zorder=3)


def _hatch(table: GridTable, row: int, column: int) -> str | None:
    """The worst that any seed has met."""
    hatches = (
        (table.diverged, DIVERGED),
        (table.blown, BLOWN),
        (table.stuck, STUCK),
        (table.blind, BLIND),
    )
    return next((hatch for found, hatch in hatches if found[row, column]), None)


def decimals_of(tables: Sequence[GridTable]) -> int:
    """Of all numbers of some tables: three digits of the largest."""
    means = np.concatenate([table.mean[np.isfinite(table.mean) & (table.blown == 0)] for table in tables])
    sizes = np.abs(means[(means != 0.0) & (np.abs(means) < TOO_LARGE)])
    return int(np.clip(2 - np.floor(np.log10(sizes.max())), 0, 4)) if len(sizes) else 2


TOO_LARGE = 1e4
"""From which on a number, like that of what blew up, has three digits and no more."""


def place_text(table: GridTable, row: int, column: int, decimals: int = 2) -> str:
    """What stands in a place: the mean, or a cross and the step; and how many seeds diverged of how many.

    An arrow upwards, and how many seeds did, where one blew up.
    """
    mean, runs, diverged = table.mean[row, column], table.runs[row, column], table.diverged[row, column]
    plain = abs(mean) < TOO_LARGE and not table.blown[row, column]
    number = f"{mean:.{decimals}f}" if plain else f"{mean:.3g}"
    lines = [number] if np.isfinite(mean) else []
    blown = table.blown[row, column]
    if blown:
        lines = [f"↑ {lines[0]}"] if runs == 1 else [*lines, f"↑ {blown} of {runs}"]
    if diverged:
        of = f", {diverged} of {runs}" if runs > 1 else ""
        lines.append(f"× {table.diverged_at[row, column]}{of}")
    return "\n".join(lines)


def _explain(ax: Axes, tables: Sequence[GridTable]) -> None:
    """What the hatches mean, below, if there are any."""
    from matplotlib.patches import Patch

    entries = []
    if any(table.diverged.any() for table in tables):
        label = "diverged: × first step not finite, in how many seeds"
        entries.append(Patch(facecolor=FAINT, edgecolor=MUTED, hatch=DIVERGED, label=label))
    if any((table.blown > 0).any() for table in tables):
        label = "blew up: ↑ the loss ends above where it began"
        entries.append(Patch(facecolor=PAPER, edgecolor=MUTED, hatch=BLOWN, label=label))
    if any((table.stuck > 0).any() for table in tables):
        label = "does not train within this budget"
        entries.append(Patch(facecolor=PAPER, edgecolor=MUTED, hatch=STUCK, label=label))
    if any((table.blind > 0).any() for table in tables):
        label = "does not read its source within this budget"
        entries.append(Patch(facecolor=PAPER, edgecolor=MUTED, hatch=BLIND, label=label))
    legend_below(ax, entries, columns=2)


def _name(value: Any) -> str:
    """A value of an axis, for people."""
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, str):
        return "none" if value is None else str(value)
    parts = [SCHEMES[part].label if part in SCHEMES else part for part in value.split("/")]
    return legend_text(" / ".join(parts))
