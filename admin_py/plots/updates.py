"""What training does to the weight matrices: norms of updates over the steps, and their histogram."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.analysis.updates import UpdateNorms
from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import one, several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import legend_below, one_legend
from admin_py.plots.marks import thin_out
from admin_py.plots.panels import given_axes, one_scale
from admin_py.plots.room import set_title
from admin_py.plots.style import legend_text, scheme_style
from admin_py.plots.sublayers import BAND, SEED, band_key
from admin_py.plots.ticks import log_axis, step_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


PAPER_NAMES: Mapping[str, str] = {
    "q": "Q",
    "k": "K",
    "v": "V",
    "out": "O",
    "fc1": "1",
    "gate": "gate",
    "fc2": "2",
    "embedding": "embedding",
}
"""Kind of matrix -> its name in the paper's figures."""

MARKS: Mapping[str, tuple[str, str]] = {
    "q": ("#340495", "o"),
    "k": ("#A806F9", "s"),
    "v": ("#7AC76B", "^"),
    "out": ("#946638", "D"),
    "fc1": ("#573F0F", "v"),
    "gate": ("#3E7F9B", "<"),
    "fc2": ("#AD1F96", "P"),
    "embedding": ("#5B6470", "x"),
}
"""Kind of matrix -> colour, which no scheme has, and marker, apart without colour too."""

LABELS: Mapping[str, str] = {
    "update_norm": r"$\|W_{t+1} - W_t\|$",
    "relative": r"$\|W_{t+1} - W_t\| \,/\, \|W_t\|$",
    "grad_norm": r"$\|\partial L/\partial W\|$",
    "norm": r"$\|W\|$",
}


@door_of_values
@drawing
def plot_updates(
    updates: UpdateNorms,
    ax: Axes | None = None,
    *,
    quantity: str = "update_norm",
    stack: str | None = None,
) -> Axes:
    """A norm over the steps of a training, a line for each kind of matrix, on a log axis.

    Parameters
    ----------
    updates : UpdateNorms
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.
    quantity : {"update_norm", "relative", "grad_norm", "norm"}
        Root of its mean square over the matrices of each kind.
    stack : {"encoder", "decoder", "shared"}, optional
        Whose matrices; by default all.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no such quantity or stack.
    """
    updates = one("updates", updates, UpdateNorms, many="plot_update_panels")
    kinds = updates.by_kind(quantity, stack=stack)
    ax = new_axes(height=3.4) if ax is None else ax
    for kind, values in kinds.items():
        color, marker = MARKS[kind]
        shown = np.where(np.isfinite(values) & (values > 0), values, np.nan)
        drawn = ax.plot(
            updates.steps,
            shown,
            color=color,
            marker=marker,
            markersize=3.5,
            linewidth=1.0,
            label=PAPER_NAMES[kind],
        )
        thin_out(ax, drawn)
    log_axis(ax)
    step_axis(ax, log=len(updates.steps) > 2 and bool(updates.steps[-1] >= 20 * updates.steps[0]))
    ax.set_ylabel(LABELS[quantity])
    name = legend_text(scheme_style(updates.scheme).label)
    set_title(ax, name if stack is None else f"{name}, {stack}")
    handles, _ = ax.get_legend_handles_labels()
    legend_below(ax, handles, columns=7)
    return ax


@door_of_values
@drawing
def plot_update_panels(
    updates: UpdateNorms | Iterable[UpdateNorms],
    axes: Iterable[Axes] | None = None,
    *,
    quantity: str = "relative",
    stack: str | None = None,
) -> np.ndarray:
    """`plot_updates` of several trainings below each other on one scale.

    Parameters
    ----------
    updates : UpdateNorms or iterable of UpdateNorms
        Such as one a scheme.
    axes : iterable of matplotlib.axes.Axes, optional
        As many, to draw into; a new figure otherwise.
    quantity, stack
        As for `plot_updates`.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        [number of trainings].

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no result, the number of axes is another, or there is no such quantity or stack.
    """
    found = several("updates", updates, UpdateNorms)
    panels = given_axes(axes, found, height=2.2)
    for ax, norms in zip(panels, found, strict=True):
        plot_updates(norms, ax, quantity=quantity, stack=stack)
    one_scale(panels)
    _one_range(panels, np.concatenate([norms.steps for norms in found]))
    one_legend(panels)
    for ax in panels[:-1]:
        ax.set_xlabel("")
    return np.array(panels, dtype=object)


def _one_range(axes: list[Axes], steps: np.ndarray) -> None:
    """Gives all axes the steps of all trainings, one that diverged has fewer, and room at both ends."""
    if not len(steps):
        return
    first, last = float(steps.min()), float(steps.max())
    log = any(ax.get_xscale() == "log" for ax in axes)
    room = (last / first) ** 0.05 if log else 0.05 * max(last - first, 1.0)
    for ax in axes:
        step_axis(ax, log=log)
        ax.set_xlim((first / room, last * room) if log else (first - room, last + room))


@door_of_values
@drawing
def plot_update_histogram(
    updates: UpdateNorms | Iterable[UpdateNorms],
    ax: Axes | None = None,
    *,
    quantity: str = "relative",
    stack: str | None = None,
    bins: int = 30,
) -> Axes:
    """Distribution of a norm over all matrices and observed steps, on a log axis, a line for each scheme.

    Parameters
    ----------
    updates : UpdateNorms or iterable of UpdateNorms
        Several of one scheme are several seeds.
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.
    quantity : {"relative", "update_norm", "grad_norm", "norm"}
    stack : {"encoder", "decoder", "shared"}, optional
        Whose matrices; by default all.
    bins : int
        The same for all results, from the smallest value to the largest.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is nothing to draw, or no such quantity or stack.

    Notes
    -----
    The ordinate is the share of matrices a decade. Of several seeds the mean is drawn with a band from the
    smallest to the largest, each seed thin.
    """
    found = several("updates", updates, UpdateNorms)
    ax = new_axes(height=3.2) if ax is None else ax
    ends = _ends([norms.histogram(quantity, bins=1, stack=stack) for norms in found])
    groups: dict[str, list[np.ndarray]] = {}
    for norms in found:
        edges, counts = norms.histogram(quantity, bins=bins, stack=stack, ends=ends)
        share = counts.sum(axis=0) / (max(counts.sum(), 1) * np.diff(np.log10(edges)))
        groups.setdefault(norms.scheme, []).append(share)
    for scheme, shares in groups.items():
        style = scheme_style(scheme)
        if len(shares) > 1:
            low, high = np.min(shares, axis=0), np.max(shares, axis=0)
            ax.stairs(high, edges, baseline=low, fill=True, color=style.color, **BAND)
            for share in shares:
                ax.stairs(share, edges, color=style.color, **SEED)
        look: dict[str, Any] = {"color": style.color, "linestyle": style.dashes, "linewidth": 1.4}
        ax.stairs(np.mean(shares, axis=0), edges, label=legend_text(style.label), **look)
    log_axis(ax, "x")
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(LABELS[quantity])
    ax.set_ylabel("share of matrices a decade")
    set_title(ax, "All matrices and observed steps" if stack is None else f"Matrices of the {stack}")
    handles, _ = ax.get_legend_handles_labels()
    bands = [band_key()] if any(len(shares) > 1 for shares in groups.values()) else []
    legend_below(ax, [*handles, *bands])
    return ax


def _ends(whole: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Of bins that hold the values of all results, given the edges and counts of one bin each."""
    edges = np.array([edges for edges, counts in whole if counts.sum()] or [edges for edges, _ in whole])
    rounding = 1.0 + 1e-12  # of the logarithms of the ends
    return float(edges.min()) / rounding, float(edges.max()) * rounding
