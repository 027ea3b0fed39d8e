"""The predicted dependency of each sub-layer's output on its own branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from admin_py.plots.style import context, new_axes
from admin_py.plots.sublayers import draw_lines, legends, log_axis
from admin_py.plots.tables import profile_series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from admin_py.model.profile import VarianceProfile


@context()
def plot_dependency(profiles: Sequence[VarianceProfile], ax: Axes | None = None) -> Axes:
    """beta_ii^2 = Var(a_i) / (omega_i^2 Var(x_{i-1}) + Var(a_i)), on a log axis.

    Parameters
    ----------
    profiles : sequence of VarianceProfile
        Several of one scheme are several seeds.
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is no profile.
    """
    if not profiles:
        raise ValueError("profiles: expected at least one, got none")
    ax = new_axes() if ax is None else ax
    series = [profile_series(profile, "beta2") for profile in profiles]
    draw_lines(ax, series, by_kind=True)
    log_axis(ax)
    ax.set_ylabel(r"$\beta_{ii}^2$")
    ax.set_title("Predicted dependency on the own branch")
    legends(ax, series)
    return ax
