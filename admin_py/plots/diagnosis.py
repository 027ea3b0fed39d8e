"""A diagnosis: measured amplification beside that of known schemes, and the gradient by depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.analysis.diagnosis.results import Diagnosis
from admin_py.base.arguments import door_of_values
from admin_py.plots.arguments import one
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.room import set_title
from admin_py.plots.style import DOTTED, SHORT, legend_text, muted, scheme_style
from admin_py.plots.sublayers import Series, draw_lines, positions, scheme_legend
from admin_py.plots.ticks import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


HEIGHT = 2.9
"""Of a panel, inches."""


@door_of_values
@drawing
def plot_diagnosis(diagnosis: Diagnosis, axes: Sequence[Axes] | None = None) -> np.ndarray:
    """Amplification over depth beside Post-LN's, Pre-LN's and Admin's; below it the gradient norms.

    Parameters
    ----------
    diagnosis : Diagnosis
    axes : sequence of matplotlib.axes.Axes, optional
        To draw into: two, or one for an encoder, which has no gradients; a new figure otherwise.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        The panels.

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there are not as many axes as panels.
    """
    diagnosis = one("diagnosis", diagnosis, Diagnosis)
    count = 2 if diagnosis.gradients else 1
    given = new_axes(count, height=HEIGHT) if axes is None else axes
    panels = np.atleast_1d(np.asarray(given, dtype=object)).ravel()
    if len(panels) != count:
        raise ValueError(f"axes: expected {count}, one a panel, got {len(panels)}")
    _amplification(diagnosis, panels[0])
    if diagnosis.gradients:
        _gradients(diagnosis, panels[1])
    return panels


def _amplification(diagnosis: Diagnosis, ax: Axes) -> None:
    from matplotlib.lines import Line2D

    kinds = {stack: diagnosis.kinds(stack) for stack in diagnosis.stacks}
    curves = {stack: diagnosis.amplification(stack) for stack in diagnosis.stacks}
    draw_lines(ax, [Series(diagnosis.scheme, curves, kinds)])
    places = positions({stack: len(names) for stack, names in diagnosis.sublayers.items()})
    own = scheme_style(diagnosis.scheme)
    handles = [Line2D([], [], color=own.color, marker="o", label=legend_text(f"this model ({own.label})"))]
    for name, values in diagnosis.references.items():
        style = scheme_style(name)
        look: dict[str, Any] = {"color": style.color, "linestyle": style.dashes, "linewidth": 1.3}
        for stack, x in places.items():
            ax.plot(x, np.cumsum(values[stack]), **look, zorder=2.6)
        handles.append(Line2D([], [], **look, label=legend_text(style.label)))
    handles += _thresholds(ax, diagnosis)
    ax.set_ylim(bottom=0.0)
    ax.set_ylabel(r"$\sum_{j \leq i} \beta_{jj}^2$")
    set_title(ax, f"Amplification: {diagnosis.level}")
    scheme_legend(ax, handles)


THRESHOLD: Mapping[str, Any] = {"linewidth": 0.9}
"""Look of a level; they are named in the legend, where nothing is printed over them."""


def _thresholds(ax: Axes, diagnosis: Diagnosis) -> list[Any]:
    """Where the verdict changes, as far as it is in sight; what names that in the legend."""
    from matplotlib.lines import Line2D

    top = ax.get_ylim()[1]
    levels = {
        "borderline above": (diagnosis.stable_up_to, DOTTED),
        "unstable from": (diagnosis.unstable_from, SHORT),
    }
    named = []
    for word, (value, dashes) in levels.items():
        if value < 1.15 * top:
            look: dict[str, Any] = {"color": muted(), "linestyle": dashes, **THRESHOLD}
            ax.axhline(value, zorder=1.5, **look)
            named.append(Line2D([], [], label=f"{word} {value:g}", **look))
    return named


def _gradients(diagnosis: Diagnosis, ax: Axes) -> None:
    kinds = {stack: diagnosis.kinds(stack) for stack in diagnosis.stacks}
    norms = {stack: diagnosis.gradients[stack][1:] for stack in diagnosis.stacks}
    draw_lines(ax, [Series(diagnosis.scheme, norms, kinds)])
    shown = np.concatenate(list(norms.values()))
    if (shown[np.isfinite(shown)] > 0).any():
        log_axis(ax)
    ax.set_ylabel(r"$\|\partial L/\partial x_i\|$")
    set_title(ax, "Gradient before training")
