"""A map of attention probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from admin_py.analysis.attention import AttentionMap
from admin_py.base.arguments import door_of_values
from admin_py.base.checks import check_array, check_listed
from admin_py.base.printable import printable
from admin_py.plots.arguments import one, several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import color_bar
from admin_py.plots.panels import given_axes
from admin_py.plots.room import set_title
from admin_py.plots.style import SEQUENTIAL, legend_text, scheme_style
from admin_py.plots.ticks import tokens_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage


MAX_LETTERS = 12
"""Of a token that are shown."""

TYPE, LEAST = 9.0, 4.5
"""Points of the type of tokens, at most and at least; where there is no room, numbers take their place."""

ROW, COLUMNS = 3.0, 2
"""Inches of a row of maps, and maps in a row."""


def _label(largest: float) -> str:
    """Of the bar of colours, with the end of its scale: attention of many tokens is far from 1."""
    return f"probability, 0 to {largest:.2g}"


@door_of_values
@drawing
def plot_attention(
    probabilities: AttentionMap | ArrayLike,
    ax: Axes | None = None,
    *,
    tokens: Sequence[str] | tuple[Sequence[str], Sequence[str]] | None = None,
    title: str | None = None,
) -> Axes:
    """Probabilities of one head, or of the mean over heads: a row a query, a column a key.

    Parameters
    ----------
    probabilities : AttentionMap or array_like
        An array is [T_q, T_k].
    ax : matplotlib.axes.Axes, optional
        To draw into, with a colour bar beside it; a new figure otherwise.
    tokens : sequence of str, or pair of these
        Of both axes, or of queries and keys; by default those of the map.
    title : str, optional
        By default the sub-layer of the map.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there are not two axes, or not as many tokens as places.
    """
    values = _probabilities(probabilities)
    if isinstance(values, AttentionMap):
        tokens = (values.queries, values.keys) if tokens is None else tokens
        title = f"{values.sublayer}, mean over heads" if title is None else title
        values = values.probabilities
    ax = new_axes(width=5.8, height=4.4) if ax is None else ax
    image = _draw(ax, values, tokens, None)
    set_title(ax, legend_text(title or ""))
    color_bar(ax, image, _label(float(np.nanmax(np.asarray(values), initial=0.0))))
    return ax


@door_of_values
@drawing
def plot_attention_panels(
    maps: AttentionMap | Iterable[AttentionMap], axes: Iterable[Axes] | None = None
) -> np.ndarray:
    """Attention of several models side by side on one scale of colours.

    Parameters
    ----------
    maps : AttentionMap or iterable of AttentionMap
        Such as one a scheme, of the same example.
    axes : iterable of matplotlib.axes.Axes, optional
        As many, to draw into; a new figure otherwise.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        [number of maps].

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no map, or the number of axes is another.
    """
    found = several("maps", maps, AttentionMap)
    panels = given_axes(axes, found, height=ROW, columns=COLUMNS)
    largest = max(float(np.nanmax(shown.probabilities, initial=0.0)) for shown in found)
    for ax, shown in zip(panels, found, strict=True):
        image = _draw(ax, shown.probabilities, (shown.queries, shown.keys), largest)
        set_title(ax, legend_text(scheme_style(shown.scheme).label))
        place = ax.get_subplotspec()
        if place is None or place.is_last_col() or ax is panels[-1]:
            color_bar(ax, image, _label(largest))
    return np.array(panels, dtype=object)


def _probabilities(given: Any) -> AttentionMap | NDArray[Any]:
    """The map, or the array of numbers that was given."""
    try:
        values = check_array("probabilities", given)
        if values.ndim:
            return values
    except TypeError:
        pass
    others: dict[str, str] = {"many": "plot_attention_panels", "also": "an array [T_q, T_k]"}
    return one("probabilities", given, AttentionMap, **others)


def _draw(
    ax: Axes,
    probabilities: Any,
    tokens: Sequence[str] | tuple[Sequence[str], Sequence[str]] | None,
    largest: float | None,
) -> AxesImage:
    from matplotlib import colormaps

    values = np.asarray(probabilities)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"probabilities must be [T_q, T_k], got an array of shape {list(values.shape)}")
    look: dict[str, Any] = {"cmap": colormaps[SEQUENTIAL], "interpolation": "nearest", "aspect": "auto"}
    image = ax.imshow(values, vmin=0.0, vmax=largest, **look)
    ax.grid(False)
    if tokens is not None:
        pair = tokens if isinstance(tokens, tuple) else (tokens, tokens)
        if len(pair) != 2:
            raise ValueError(f"tokens: expected one list of labels, or two in a tuple, got {len(pair)}")
        sides: tuple[Literal["y", "x"], ...] = ("y", "x")
        for which, given, count in zip(sides, pair, values.shape, strict=True):
            labels = check_listed("tokens", given, "labels")
            if len(labels) != count:
                raise ValueError(f"tokens: expected {count} of them, got {len(labels)}")
            shown = [legend_text(_shorten(str(label))) for label in labels]
            tokens_axis(ax, which, shown, size=TYPE, least=LEAST)
    ax.set_xlabel("key")
    ax.set_ylabel("query")
    return image


def _shorten(token: str) -> str:
    token = printable(token)  # tokens of one's own may be anything
    return token if len(token) <= MAX_LETTERS else token[: MAX_LETTERS - 1] + "…"
