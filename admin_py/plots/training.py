"""Loss curves: one run, or all schemes and seeds of a study with training and validation side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.base.arguments import door_of_values
from admin_py.base.checks import check_number, shown
from admin_py.plots.arguments import WrongArgument, described, items_of, one
from admin_py.plots.drawing import drawing, new_axes
from admin_py.plots.legends import legend_below
from admin_py.plots.marks import thin_out
from admin_py.plots.room import set_title
from admin_py.plots.style import SchemeStyle, ink, legend_text, muted, scheme_style
from admin_py.plots.sublayers import BAND, SEED, band_key
from admin_py.plots.tables import Curve, training_curve, validation_curve
from admin_py.plots.ticks import step_axis
from admin_py.training.history import History
from admin_py.training.recorder import Recorder

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LABEL = "nll per token, nats"

KINDS: tuple[type[History | Recorder], ...] = (History, Recorder)
"""What one run is drawn of, finished or going on."""

UNNAMED = "training"
"""Name of a history whose metadata have no scheme."""


@door_of_values
@drawing
def plot_history(history: History | Recorder, ax: Axes | None = None, *, scheme: str | None = None) -> Axes:
    """One run: loss of every training batch (thin), validation loss (marked), both without label smoothing.

    Parameters
    ----------
    history : History or Recorder
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.
    scheme : str, optional
        Whose colour and name to use; by default that of the history's metadata.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    """
    history = one("history", history, *KINDS, many="plot_curves")
    ax = new_axes() if ax is None else ax
    scheme = history.metadata.get("scheme") if scheme is None else scheme
    style = scheme_style(scheme) if scheme is not None else SchemeStyle("", str(ink()), (0.0, ()))
    train, valid = training_curve(history), validation_curve(history)
    ax.plot(train.steps, train.nll, color=style.color, linewidth=0.7, alpha=0.55, label="training")
    if len(valid.steps):
        thin_out(ax, ax.plot(valid.steps, valid.nll, "o-", color=style.color, label="validation"))
    _mark_divergence(ax, train, style.color)
    _frame(ax, [train, valid])
    set_title(ax, legend_text(style.label) or "Loss")
    handles, _ = ax.get_legend_handles_labels()
    legend_below(ax, handles, above=True)
    return ax


@door_of_values
@drawing
def plot_curves(
    histories: History | Iterable[tuple[str, History] | History],
    ax: Axes | None = None,
    *,
    split: str = "valid",
    entropy: float | None = None,
) -> Axes:
    """Loss of several runs, a line for each, coloured by scheme.

    Parameters
    ----------
    histories : iterable of (scheme, History), or of History
        Several of one scheme are several seeds: their mean, a band from the smallest to the largest, each
        thin. A history alone has the scheme of its metadata.
    ax : matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.
    split : {"train", "valid"}
    entropy : float, optional
        Of the data's unigrams, nats per token; drawn as a level that a model reaches which has learnt the
        frequencies of the tokens and no more.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no run or no such split.
    """
    if split not in ("train", "valid"):
        raise ValueError(f"split: expected 'train' or 'valid', got {shown(split)}")
    runs, entropy = _runs(histories), _entropy(entropy)
    ax = new_axes() if ax is None else ax
    _draw_curves(ax, runs, split, entropy)
    _name(ax, runs, entropy)
    return ax


def _entropy(given: float | None) -> float | None:
    return None if given is None else check_number("entropy", given)


def _runs(given: Any) -> list[tuple[str, History]]:
    """Scheme and history of everything that is drawn."""
    wanted = "histories must be a History, or several of (scheme, History)"
    if isinstance(given, History):
        given = [given]
    several = items_of(given)
    if several is None:
        raise WrongArgument(f"{wanted}, got {described(given, History)}")
    runs = []
    for one_run in several:
        if isinstance(one_run, History):
            runs.append((str(one_run.metadata.get("scheme", UNNAMED)), one_run))
        elif _is_run(one_run):
            runs.append(one_run)
        else:
            raise WrongArgument(f"{wanted}, got {described(one_run, History)} among them")
    if not runs:
        raise ValueError("histories: expected at least one, got none")
    return runs


def _is_run(given: Any) -> bool:
    pair = isinstance(given, tuple | list) and len(given) == 2
    return pair and isinstance(given[0], str) and isinstance(given[1], History)


def _draw_curves(
    ax: Axes, histories: Sequence[tuple[str, History]], split: str, entropy: float | None
) -> None:
    groups: dict[str, list[Curve]] = {}
    for scheme, history in histories:
        curve = training_curve(history) if split == "train" else validation_curve(history)
        groups.setdefault(scheme, []).append(curve)
    for scheme, curves in groups.items():
        style = scheme_style(scheme)
        shown = curves[0]
        if len(curves) > 1:
            shown = _draw_seeds(ax, curves, style.color)
        marked = ax.plot(
            shown.steps,
            shown.nll,
            color=style.color,
            linestyle=style.dashes,
            linewidth=0.9 if split == "train" else 1.4,
            alpha=0.8 if split == "train" else 1.0,
            marker="o" if split == "valid" else "none",
            label=legend_text(style.label),
        )
        if split == "valid":
            thin_out(ax, marked)
    for scheme, history in histories:
        _mark_divergence(ax, training_curve(history), scheme_style(scheme).color)
    _frame(ax, [curve for curves in groups.values() for curve in curves])
    if entropy is not None:
        ax.axhline(entropy, zorder=1.5, label="_nolegend_", **_entropy_look())
        low, high = ax.get_ylim()
        ax.set_ylim(min(low, entropy - 0.04 * (high - low)), max(high, entropy + 0.04 * (high - low)))
    set_title(ax, "Training, dropout on" if split == "train" else "Validation, dropout off")


def _entropy_look() -> dict[str, Any]:
    return {"color": muted(), "linewidth": 0.9, "linestyle": (0.0, (1.0, 2.0))}


def _draw_seeds(ax: Axes, curves: Sequence[Curve], color: str) -> Curve:
    """Each seed thin, a band from the smallest to the largest; gives the mean, while all have numbers."""
    longest = max(curves, key=lambda curve: len(curve.steps))
    every = np.full((len(curves), len(longest.steps)), np.nan)
    for row, curve in zip(every, curves, strict=True):
        ax.plot(curve.steps, curve.nll, color=color, label="_nolegend_", **SEED)
        row[np.isin(longest.steps, curve.steps)] = curve.nll[np.isin(curve.steps, longest.steps)]
    every[~np.isfinite(every)] = np.nan
    mean = every.mean(axis=0)
    low, high = every.min(axis=0), every.max(axis=0)
    ax.fill_between(longest.steps, low, high, color=color, **BAND)
    return Curve(longest.steps, mean)


def _name(
    ax: Axes, runs: Sequence[tuple[str, History]], entropy: float | None, other: Axes | None = None
) -> None:
    """Legend of the schemes, and of what else is drawn: under it, or under other axes."""
    from matplotlib.lines import Line2D

    handles, _ = ax.get_legend_handles_labels()
    more: list[Any] = []
    if len(runs) > len({scheme for scheme, _ in runs}):
        more.append(band_key())
    if entropy is not None:
        more.append(Line2D([], [], label="unigram entropy", **_entropy_look()))
    if other is None:
        legend_below(ax, handles, more)
    else:
        legend_below(ax, handles)
        legend_below(other, more)


@door_of_values
@drawing
def plot_training(
    histories: History | Iterable[tuple[str, History] | History],
    axes: Sequence[Axes] | None = None,
    *,
    entropy: float | None = None,
) -> np.ndarray:
    """Training and validation loss side by side on one scale.

    Parameters
    ----------
    histories, entropy
        As for `plot_curves`.
    axes : sequence of two matplotlib.axes.Axes, optional
        To draw into; a new figure otherwise.

    Returns
    -------
    ndarray of matplotlib.axes.Axes
        [2]: training, validation.

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If there is no run.
    """
    runs, entropy = _runs(histories), _entropy(entropy)
    axes = new_axes(1, 2, sharey=True) if axes is None else axes
    if len(axes) != 2:
        raise ValueError(f"axes: expected two, got {len(axes)}")
    left, right = axes
    _draw_curves(left, runs, "train", entropy)
    first = left.get_ylim()
    _draw_curves(right, runs, "valid", entropy)
    right.set_ylabel("")
    second = right.get_ylim()
    limits = min(first[0], second[0]), max(first[1], second[1])
    _name(left, runs, entropy, right)
    for ax in (left, right):
        ax.set_ylim(*limits)
        ax.set_xlim(left.get_xlim())
    return np.array([left, right], dtype=object)


def _mark_divergence(ax: Axes, train: Curve, color: str) -> None:
    """A cross where the loss was finite for the last time."""
    finite = np.flatnonzero(np.isfinite(train.nll))
    if len(finite) and len(finite) < len(train.nll):
        last = finite[-1]
        ax.plot(train.steps[last], train.nll[last], "X", color=color, markersize=8.0, label="_nolegend_")


def _frame(ax: Axes, curves: Sequence[Curve]) -> None:
    """Ordinate from where the data begin; what was never finite does not stretch it."""
    values = np.concatenate([curve.nll[np.isfinite(curve.nll)] for curve in curves])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = 0.06 * (high - low) or 0.06 * max(abs(high), 1.0)
    ax.set_ylim(low - room, high + room)
    step_axis(ax)
    ax.set_ylabel(LABEL)
