"""Omega and branch variance per sub-layer, as profiled at initialisation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from admin_py.base.arguments import door_of_values
from admin_py.base.checks import shown
from admin_py.model.profile import VarianceProfile
from admin_py.plots.arguments import one, several
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.room import set_title
from admin_py.plots.style import muted
from admin_py.plots.sublayers import draw_bars, draw_lines, legends
from admin_py.plots.tables import profile_series
from admin_py.plots.ticks import log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


QUANTITIES = {
    "omega": ("Skip scale", r"$\omega_i$"),
    "var_branch": ("Branch variance", r"$\mathrm{Var}[a_i]$"),
    "var_input": ("Input variance", r"$\mathrm{Var}[x_{i-1}]$"),
}
"""Column of a profile -> title and label of its figure."""


@door_of_values
@drawing
def plot_profile(profile: VarianceProfile, ax: Axes | None = None, *, scheme: str | None = None) -> Axes:
    """One profile: omega as a line, marked by kind of sub-layer, over bars of Var(a).

    Both are pure numbers, so they share the axis.

    Parameters
    ----------
    profile : VarianceProfile
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.
    scheme : str, optional
        Whose colour and name to use instead of the profile's own.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    """
    profile = one("profile", profile, VarianceProfile, many="plot_quantity")
    ax = new_axes() if ax is None else ax
    omega = profile_series(profile, "omega")
    omega = omega if scheme is None else omega._replace(scheme=scheme)
    draw_bars(ax, profile_series(profile, "var_branch"), color=muted(), baseline=0.0, framed=False)
    draw_lines(ax, [omega])
    ax.set_ylim(bottom=0.0)
    ax.set_ylabel(r"$\omega_i$ (line), $\mathrm{Var}[a_i]$ (bars)")
    set_title(ax, "Skip scale and branch variance")
    legends(ax, [omega])
    return ax


@door_of_values
@drawing
def plot_quantity(
    profiles: VarianceProfile | Iterable[VarianceProfile], ax: Axes | None = None, *, quantity: str = "omega"
) -> Axes:
    """One quantity of several profiles, a line for each, coloured by scheme.

    Parameters
    ----------
    profiles : VarianceProfile or iterable of VarianceProfile
        Several of one scheme are several seeds.
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.
    quantity : {"omega", "var_branch", "var_input"}

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no such quantity or no profile.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"quantity: expected one of {', '.join(QUANTITIES)}, got {shown(quantity)}")
    drawn = several("profiles", profiles, VarianceProfile)
    ax = new_axes() if ax is None else ax
    series = [profile_series(profile, quantity) for profile in drawn]
    draw_lines(ax, series, by_kind=quantity != "omega")
    if quantity == "omega":
        ax.set_ylim(bottom=0.0)
    else:
        log_axis(ax)
    title, label = QUANTITIES[quantity]
    ax.set_ylabel(label)
    set_title(ax, title)
    legends(ax, series)
    return ax
