"""Axes of every kind: logarithmic, of steps, of stacks of sub-layers, of names. No labels touch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from admin_py.plots.room import broken, cut, fitting, measured, room_of, size_of
from admin_py.plots.style import FAINT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation


def log_axis(ax: Axes, which: str = "y") -> None:
    """Logarithmic axis with plain numbers, and with some between the powers of ten where it is short.

    Data of which none is positive leave it as it is.
    """
    from matplotlib.ticker import LogLocator

    from admin_py.plots.locators import Apart

    if ax.has_data() and not np.isfinite(ax.dataLim.minposy if which == "y" else ax.dataLim.minposx):
        return
    ax.set(**{f"{which}scale": "log"})
    axis = ax.yaxis if which == "y" else ax.xaxis
    axis.set_major_formatter(Apart(plain_number, minor=False))
    axis.set_minor_locator(LogLocator(subs=tuple(range(2, 10))))
    axis.set_minor_formatter(Apart(plain_number, minor=True))


def plain_number(value: float) -> str:
    """A number of a logarithmic axis: written out, or as a power of ten where that is shorter."""
    if 1e-3 <= value < 1e5:
        return f"{value:g}"
    if not (np.isfinite(value) and value > 0):
        return ""
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = value / 10.0**exponent
    return f"$10^{{{exponent}}}$" if abs(factor - 1.0) < 1e-6 else f"${factor:g}\\cdot10^{{{exponent}}}$"


def step_axis(ax: Axes, *, log: bool = False) -> None:
    """Steps on the abscissa: whole numbers, written out."""
    from admin_py.plots.locators import Whole

    if log:
        log_axis(ax, "x")
    else:
        ax.xaxis.set_major_locator(Whole())
    ax.set_xlabel("step")


def counted_axis(ax: Axes, which: str, stacks: Sequence[np.ndarray], *, zero: bool = False) -> None:
    """Ticks that count from 1 in each of some stacks; 0 before the first, too, if wanted."""
    from admin_py.plots.locators import Counted, Numbered

    axis = ax.xaxis if which == "x" else ax.yaxis
    locator = Counted(stacks)
    numbers = locator.numbers()
    if zero:
        locator = Counted([np.array([0.0, *stacks[0]])])
        numbers = {float(x): int(x) for x in locator.stacks[0]}
    axis.set_major_locator(locator)
    axis.set_major_formatter(Numbered({round(x, 6): number for x, number in numbers.items()}))


def frame_stacks(
    ax: Axes, places: Mapping[str, np.ndarray], unit: str = "sub-layer", *, margin: float = 0.8
) -> None:
    """Ticks counted within each stack, a hairline between the stacks, their names below.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    places : mapping of str to ndarray
        Stack to the abscissae of what is counted.
    unit : str
        What is counted.
    margin : float
        Room at both ends, beside a fiftieth of the whole.
    """
    counted_axis(ax, "x", list(places.values()))
    stacks = list(places)
    first, last = places[stacks[0]][0], places[stacks[-1]][-1]
    margin += 0.02 * (last - first)
    ax.set_xlim(first - margin, last + margin)
    if len(stacks) == 2:
        middle = (places[stacks[0]][-1] + places[stacks[1]][0]) / 2
        ax.axvline(middle, color=FAINT, linewidth=1.0, zorder=1.0)
    names = [
        ax.annotate(
            f"{stack} {unit}",
            (float(x.mean()), 0.0),
            (0.0, -20.0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="top",
            annotation_clip=False,
        )
        for stack, x in places.items()
    ]
    spans = {stack: float(x[-1] - x[0]) + 1.0 for stack, x in places.items()}
    fitting(ax).always["stacks"] = partial(
        _name_stacks, names=names, stacks=stacks, unit=unit, spans=spans, size=float(names[0].get_fontsize())
    )


TICKS_END = 6.0
"""Points from the axes over the marks of ticks to their labels, about."""


def _name_stacks(
    ax: Axes, names: list[Annotation], stacks: list[str], unit: str, spans: Mapping[str, float], size: float
) -> None:
    """Below the labels of the ticks; without the unit, then smaller, where stacks have no room for it."""
    if any(name.figure is None for name in names):
        return  # the axes were cleared
    width = size_of(ax).width
    low, high = ax.get_xlim()
    ticks = ax.xaxis.majorTicks
    type_ = float(ticks[0].label1.get_fontsize()) if ticks else size
    room = [width * spans[stack] / (high - low) for stack in stacks]
    if len(room) == 1:
        room = [room_of(ax).width - 40.0]
    full = [f"{stack} {unit}" for stack in stacks]
    ways = [(full, size * scale) for scale in (1.0, 0.92, 0.85)]
    ways += [(stacks, size * scale) for scale in (1.0, 0.92, 0.85, 0.78, 0.7, 0.62, 0.55, 0.48)]
    for texts, points in ways:
        if all(
            measured(text, points)[0] <= 0.98 * span + 4.0 for text, span in zip(texts, room, strict=True)
        ):
            break
    for name, text in zip(names, texts, strict=True):
        name.set_text(text)
        name.set_fontsize(points)
        name.set_position((0.0, -(TICKS_END + 1.45 * type_)))


SHARE = 0.4
"""Of the room beside axes, what the names of rows or columns may take."""


def name_axis(ax: Axes, which: str, names: Sequence[str]) -> None:
    """Names at 0, 1, 2, ... of an axis: smaller, in two lines, cut, or upright where room is short."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_ticks(range(len(names)), list(names))
    size = float(axis.majorTicks[0].label1.get_fontsize()) if names else 9.0
    fitting(ax).resized[f"names of {which}"] = partial(_fit_names, which=which, names=list(names), size=size)


def _fit_names(ax: Axes, which: str, names: list[str], size: float) -> None:
    axis = ax.xaxis if which == "x" else ax.yaxis
    labels = [label.get_text() for label in axis.get_ticklabels()]
    if len(labels) != len(names) or not names:
        return
    room = room_of(ax)
    if which == "y":
        pitch = 0.6 * room.height / len(names)
        shown, points = _fitting(names, size, SHARE * room.width, pitch)
        rotation = 0.0
    else:
        pitch = 0.62 * room.width / len(names)
        points, shown, rotation = size, names, 0.0
        for scale in (1.0, 0.9, 0.8, 0.7):
            points = size * scale
            shown = _two_lines(names, points, pitch - 0.4 * points)
            if max(measured(name, points)[0] for name in shown) <= pitch - 0.4 * points:
                break
        else:
            shown, points = _fitting(names, size, SHARE * room.height, pitch)
            rotation = 90.0
    axis.set_ticks(range(len(names)), shown, fontsize=points, rotation=rotation)


def _two_lines(names: list[str], points: float, span: float) -> list[str]:
    return [name if measured(name, points)[0] <= span else broken(name) for name in names]


def _fitting(names: list[str], size: float, span: float, pitch: float) -> tuple[list[str], float]:
    """Names no longer than a span, and the size of their type, in rows of a pitch."""
    size = min(size, max(0.92 * pitch, 3.5))
    for scale in (1.0, 0.9, 0.8, 0.72):
        points = size * scale
        shown = names
        if pitch >= 2.4 * points:
            shown = _two_lines(names, points, span)
        if max(measured(name, points)[0] for name in shown) <= span:
            return shown, points
    for letters in range(48, 5, -2):
        shown = [cut(name, letters) for name in names]
        if pitch >= 2.4 * points:
            shown = _two_lines(shown, points, span)
        if max(measured(name, points)[0] for name in shown) <= span:
            break
    return shown, points


def tokens_axis(
    ax: Axes, which: Literal["x", "y"], tokens: Sequence[Any], *, size: float, least: float
) -> None:
    """A token at each of 0, 1, 2, ..., in a type for which there is room; numbers where there is not."""
    fitting(ax).resized[f"names of {which}"] = partial(
        _fit_tokens, which=which, tokens=list(tokens), size=size, least=least
    )


LEFT_FOR_TOKENS = 0.45
"""Share of the room that axes have once titles and names are beside them."""


def _fit_tokens(ax: Axes, which: Literal["x", "y"], tokens: list[str], size: float, least: float) -> None:
    room = room_of(ax)
    points = LEFT_FOR_TOKENS * (room.height if which == "y" else room.width) / len(tokens) / 1.05
    axis = ax.xaxis if which == "x" else ax.yaxis
    steps = fitting(ax).always
    steps.pop(f"type of {which}", None)
    if points < least:
        from matplotlib.ticker import MaxNLocator, ScalarFormatter

        axis.set_major_locator(MaxNLocator("auto", integer=True))
        axis.set_major_formatter(ScalarFormatter())
        ax.tick_params(axis=which, labelrotation=0.0)
        return
    shown, points = _fitting(tokens, min(size, points), 0.28 * min(room), 1.1 * points)
    axis.set_ticks(range(len(tokens)), shown, fontsize=points)
    steps[f"type of {which}"] = partial(_shrink_tokens, which=which, count=len(tokens), largest=points)
    ax.tick_params(axis=which, labelrotation=90.0 if which == "x" else 0.0)


TICK_LINE = 1.5
"""Of the size of a type, what a line of it takes."""

SMALLEST_TOKEN = 3.5
"""Points of a type below which some are left out instead."""


def _shrink_tokens(ax: Axes, which: Literal["x", "y"], count: int, largest: float) -> None:
    """A smaller type, and every so many tokens, where titles and names leave less than was thought."""
    size = size_of(ax)
    points = (size.height if which == "y" else size.width) / count / TICK_LINE
    every = max(1, math.ceil(SMALLEST_TOKEN / max(points, 0.1)))
    points = min(largest, points * every)
    for i, label in enumerate((ax.xaxis if which == "x" else ax.yaxis).get_ticklabels()):
        label.set_visible(i % every == 0)
        if abs(float(label.get_fontsize()) - points) > 1e-3:
            label.set_fontsize(points)
