"""How far a small change of the weights moves the output, against depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.analysis.output_change import OutputChange
from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import pick_stack, several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import legend_below
from admin_py.plots.room import set_title
from admin_py.plots.style import legend_text, muted, scheme_style
from admin_py.plots.ticks import counted_axis, log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from admin_py.analysis.theory import Fit

LABEL = r"$E\,|\hat{x}_i(W) - \hat{x}_i(W + \delta)|^2$ per token"

THEORY: Mapping[str, Any] = {"linestyle": (0.0, (1.0, 1.6)), "linewidth": 1.5}
FIT: Mapping[str, Any] = {"linestyle": "solid", "linewidth": 0.7}


def height_for(schemes: int) -> float:
    """Inches of a figure of so many schemes, each of which has a line of the legend or half of one.

    Examples
    --------
    >>> height_for(3)
    3.74
    """
    return round(3.2 + 0.18 * schemes, 2)


@door_of_values
@drawing
def plot_output_change(
    results: OutputChange | Iterable[OutputChange],
    ax: Axes | None = None,
    *,
    stack: str | None = None,
    log: bool = False,
    fits: bool = True,
    theory: bool = True,
) -> Axes:
    """Change of the output against the number of sub-layers: mean and spread over repeats, fit and theory.

    Parameters
    ----------
    results : OutputChange or iterable of OutputChange
        A line for each, coloured by scheme, with a band of one standard deviation over repeats.
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.
    stack : {"encoder", "decoder"}, optional
        By default the first that the first result has.
    log : bool
        A logarithmic ordinate, for schemes that are far apart.
    fits : bool
        Draw, for each, the better of a line in the number of sub-layers N and one in ln N, and name it with
        its R^2 in the legend.
    theory : bool
        Draw C sum_{j <= i} beta_jj^2 of the measured `OutputChange.own`, dotted.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no result, or one has no such stack.

    Notes
    -----
    The paper's figure of output changes (arXiv 2004.08249, section 4.2): Post-LN grows like N, Pre-LN and
    Admin like ln N.
    """
    found = several("results", results, OutputChange)
    stack = pick_stack(found[0].stacks, stack)
    ax = new_axes(height=height_for(len({one.scheme for one in found}))) if ax is None else ax
    for one in found:
        _draw_one(ax, one, stack, log=log, fits=fits, theory=theory)
    depth = max(len(one.sublayers[stack]) for one in found)
    margin = 0.02 * depth + 0.3
    ax.set_xlim(1 - margin, depth + margin)
    counted_axis(ax, "x", [np.arange(1.0, depth + 1.0)])
    if log:
        log_axis(ax)
    else:
        ax.set_ylim(bottom=0.0)
    ax.set_xlabel(f"number of sub-layers, {stack}")
    ax.set_ylabel(LABEL)
    set_title(ax, "Output change")
    _legends(ax, found, stack, fits=fits, theory=theory)
    return ax


def _draw_one(ax: Axes, one: OutputChange, stack: str, *, log: bool, fits: bool, theory: bool) -> None:
    style = scheme_style(one.scheme)
    mean, spread = one.mean(stack), one.spread(stack)
    depth = np.arange(1, len(mean) + 1)
    low, high = mean - spread, mean + spread
    if log:  # a band that reaches 0 ends at the smallest value drawn
        low = np.maximum(low, mean[mean > 0].min(initial=np.inf) * 0.5) if (mean > 0).any() else mean
    ax.fill_between(depth, low, high, color=style.color, alpha=0.18, linewidth=0.0, zorder=2.0)
    marker = "o" if len(mean) == 1 else "none"
    ax.plot(
        depth,
        mean,
        color=style.color,
        linestyle=style.dashes,
        marker=marker,
        label=_name(one, stack, fits),
        zorder=3.0,
    )
    if fits and len(mean) > 1:
        line = _fit(one, stack)(depth)
        ax.plot(
            depth, np.where(line > 0, line, np.nan), color=style.color, label="_nolegend_", zorder=3.2, **FIT
        )
    if theory:
        ax.plot(depth, one.theory(stack), color=style.color, label="_nolegend_", zorder=3.4, **THEORY)


def _fit(one: OutputChange, stack: str) -> Fit:
    fit: Fit = getattr(one.fit(stack), one.better(stack))
    return fit


def _name(one: OutputChange, stack: str, fits: bool) -> str:
    """Of a scheme in the legend, with what fits it."""
    label = legend_text(scheme_style(one.scheme).label)
    if not fits or len(one.sublayers[stack]) < 2:
        return label
    r2 = _fit(one, stack).r2
    form = "ln N" if one.better(stack) == "logarithmic" else "N"
    return f"{label}: {form}, $R^2$ {r2:.3f}" if np.isfinite(r2) else label


def _legends(ax: Axes, found: list[OutputChange], stack: str, *, fits: bool, theory: bool) -> None:
    """Schemes once each, then what thin and dotted lines are."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    schemes, _ = ax.get_legend_handles_labels()
    keys: list[Any] = []
    if any(len(one.change[stack]) > 1 for one in found):
        keys.append(Patch(facecolor=muted(), alpha=0.3, linewidth=0.0, label="mean ± 1 std"))
    if fits and any(len(one.sublayers[stack]) > 1 for one in found):
        keys.append(Line2D([], [], color=muted(), label="fit", **FIT))
    if theory:
        keys.append(Line2D([], [], color=muted(), label=r"theory: $C\,\Sigma\,\beta_{jj}^2$", **THEORY))
    legend_below(ax, schemes, keys)
