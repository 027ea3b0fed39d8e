"""Whether models read their source: the loss with the right sources beside that with others'."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.analysis.source_use import SourceUse
from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import legend_below
from admin_py.plots.room import set_title
from admin_py.plots.style import legend_text, muted, scheme_style
from admin_py.plots.ticks import name_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW, MARGIN = 0.55, 1.3
"""Inches of the two bars of a model, and of what is above and below."""

BAR = 0.38
"""Thickness of a bar; the bars of two models are 1 apart."""

PALE = 0.4
"""Opacity of the bars of others' sources."""


@door_of_values
@drawing
def plot_source_use(uses: SourceUse | Iterable[SourceUse], ax: Axes | None = None) -> Axes:
    """Loss with the right sources and, paler, with those of other examples: two bars a model.

    Parameters
    ----------
    uses : SourceUse or iterable of SourceUse
        From top to bottom, each named by its scheme; of those whose bars are alike the model does not read
        its source.
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is none.
    """
    from matplotlib.patches import Patch

    found = several("uses", uses, SourceUse)
    ax = new_axes(height=MARGIN + ROW * len(found)) if ax is None else ax
    places = np.arange(len(found), dtype=float)
    colors = [scheme_style(use.scheme).color for use in found]
    look: dict[str, Any] = {"height": BAR, "color": colors, "linewidth": 0.0, "zorder": 3.0}
    ax.barh(places - BAR / 2, [use.nll for use in found], **look)
    ax.barh(places + BAR / 2, [use.other_nll for use in found], alpha=PALE, **look)
    name_axis(ax, "y", [legend_text(scheme_style(use.scheme).label) for use in found])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.grid(False, axis="y")
    ax.grid(True, axis="x")
    ax.set_xlabel("nll per token, nats")
    ax.set_ylabel("scheme")
    set_title(ax, "Use of the source")
    keys = [Patch(facecolor=muted(), label="right sources")]
    legend_below(ax, [*keys, Patch(facecolor=muted(), alpha=PALE, label="sources of other examples")])
    return ax
