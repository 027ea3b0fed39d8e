"""A map of attention probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.plots.legends import color_bar
from admin_py.plots.style import SEQUENTIAL, context, legend_text, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_LABELS = 32
"""Tokens on an axis beyond which numbers take their place."""

MAX_LETTERS = 12
"""Of a token that are shown."""

TYPE, HIGH = 9.0, 165.0
"""Points of the type of tokens, and of what the types of all tokens of an axis add up to at most."""


@context()
def plot_attention(
    probabilities: Any,
    ax: Axes | None = None,
    *,
    tokens: Sequence[str] | tuple[Sequence[str], Sequence[str]] | None = None,
    title: str = "",
) -> Axes:
    """Probabilities of one head, or of the mean over heads: a row a query, a column a key.

    Parameters
    ----------
    probabilities : ndarray
        [T_q, T_k].
    ax : matplotlib.axes.Axes, optional
        To draw into, with a colour bar beside it; a new figure otherwise.
    tokens : sequence of str, or pair of these
        Of both axes, or of queries and keys.
    title : str

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are not two axes, or not as many tokens as places.
    """
    from matplotlib import colormaps

    values = np.asarray(probabilities)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"probabilities must be [T_q, T_k], got an array of shape {list(values.shape)}")
    ax = new_axes(width=5.8, height=4.4) if ax is None else ax
    image = ax.imshow(values, cmap=colormaps[SEQUENTIAL], vmin=0.0, interpolation="nearest")
    ax.grid(False)
    if tokens is not None:
        pair = tokens if isinstance(tokens, tuple) else (tokens, tokens)
        for axis, labels, count in zip((ax.yaxis, ax.xaxis), pair, values.shape, strict=True):
            if len(labels) != count:
                raise ValueError(f"tokens: expected {count} of them, got {len(labels)}")
            if count <= MAX_LABELS:
                shown = [legend_text(_shorten(str(label))) for label in labels]
                axis.set_ticks(range(count), shown, fontsize=min(TYPE, HIGH / count))
        ax.tick_params(axis="x", labelrotation=90.0)
    ax.set_xlabel("key")
    ax.set_ylabel("query")
    ax.set_title(legend_text(title))
    color_bar(ax, image, "probability")
    return ax


def _shorten(token: str) -> str:
    return token if len(token) <= MAX_LETTERS else token[: MAX_LETTERS - 1] + "…"
