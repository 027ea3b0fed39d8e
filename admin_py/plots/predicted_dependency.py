"""The dependency of each sub-layer's output on its own branch, as a profile predicts it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from admin_py.base.arguments import door_of_values
from admin_py.model.profile import VarianceProfile
from admin_py.plots.arguments import several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.room import set_title
from admin_py.plots.sublayers import draw_lines, legends
from admin_py.plots.tables import profile_series
from admin_py.plots.ticks import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@door_of_values
@drawing
def plot_predicted_dependency(
    profiles: VarianceProfile | Iterable[VarianceProfile], ax: Axes | None = None
) -> Axes:
    """beta_ii^2 = Var(a_i) / (omega_i^2 Var(x_{i-1}) + Var(a_i)), on a log axis.

    Parameters
    ----------
    profiles : VarianceProfile or iterable of VarianceProfile
        Several of one scheme are several seeds.
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
        If there is no profile.
    """
    shown = several("profiles", profiles, VarianceProfile)
    ax = new_axes() if ax is None else ax
    series = [profile_series(profile, "beta2") for profile in shown]
    draw_lines(ax, series, by_kind=True)
    log_axis(ax)
    ax.set_ylabel(r"$\beta_{ii}^2$")
    set_title(ax, "Predicted dependency on the own branch")
    legends(ax, series)
    return ax
