"""Scores of systems side by side, with what resampling says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import one
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.room import set_title
from admin_py.plots.style import ink, legend_text, muted
from admin_py.plots.ticks import name_axis
from admin_py.scores.comparison import Comparison
from admin_py.scores.conventions import METRICS
from admin_py.scores.score import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW, MARGIN = 0.45, 1.2
"""Inches of a system's bar, and of what is above and below."""

PALE = 0.5
"""Opacity of the bars, on which the intervals are seen."""


@door_of_values
@drawing
def plot_scores(scores: Comparison | Score, ax: Axes | None = None) -> Axes:
    """A bar a system; over it, the interval in which 95 % of the resamples lie.

    Parameters
    ----------
    scores : Comparison or Score
        The systems of a comparison from top to bottom, the first being what the others are compared with; or
        one score, which has no interval.
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
    found: Any = one("scores", scores, Comparison, Score, also="a Score")
    names = list(found.systems) if isinstance(found, Comparison) else [found.convention]
    ax = new_axes(height=MARGIN + ROW * len(names)) if ax is None else ax
    places = np.arange(len(names), dtype=float)
    values = found.scores if isinstance(found, Comparison) else [found.score]
    ax.barh(places, values, height=0.7, color=muted(), alpha=PALE, linewidth=0.0, zorder=3.0)
    if isinstance(found, Comparison):
        look: dict[str, Any] = {
            "fmt": "none",
            "ecolor": ink(),
            "elinewidth": 1.5,
            "capsize": 3.0,
            "zorder": 4.0,
        }
        ax.errorbar(found.means, places, xerr=found.half_widths, **look)
    name_axis(ax, "y", [legend_text(name) for name in names])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(False, axis="y")
    ax.grid(True, axis="x")
    ax.set_xlabel(METRICS[found.metric])
    ax.set_ylabel("system" if isinstance(found, Comparison) else "text")
    set_title(ax, f"{METRICS[found.metric]} of {found.num_sentences:,} sentences")
    return ax
