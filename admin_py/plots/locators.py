"""Ticks whose labels stay apart however small the axes are; of classes that need Matplotlib at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import Formatter, Locator, MaxNLocator

from admin_py.plots.room import measured

GAP = 0.55
"""Between labels side by side, in heights of a letter."""

STEPS = (1, 2, 3, 5, 6, 10, 12, 20, 25, 50, 100, 200, 250, 500, 1000, 2500, 5000, 10_000)

MOST = 6
"""Ticks of a stack beside its last one, about."""


def length_of(axis: Any) -> float:
    """Of an axis, in points, as it stands."""
    box = axis.axes.get_position()
    across = axis.axis_name == "x"
    figure = axis.axes.figure
    side = box.width * figure.bbox.width if across else box.height * figure.bbox.height
    return float(side / axis.figure.figure.dpi * 72.0)


def type_of(axis: Any) -> float:
    """Points of the type of its labels."""
    ticks = axis.majorTicks
    return float(ticks[0].label1.get_fontsize()) if ticks else 10.0


def places(axis: Any, values: Sequence[float]) -> np.ndarray:
    """Of values on an axis that is drawn, in points from its beginning."""
    low, high = axis.get_view_interval()
    change = axis.get_transform().transform
    ends = change(np.array([low, high], float))
    span = ends[1] - ends[0]
    if not np.isfinite(span) or span == 0:
        return np.zeros(len(values))
    return np.asarray((change(np.asarray(values, float)) - ends[0]) / span * length_of(axis))


def extent(axis: Any, label: str) -> float:
    """Points that a label takes along its axis, with the gap to the next."""
    size = type_of(axis)
    if axis.axis_name == "y":
        return 1.25 * size
    return measured(label, size)[0] + GAP * size


def keep_apart(
    axis: Any, values: Sequence[float], labels: Sequence[str], *, first: float = -np.inf
) -> list[str]:
    """Labels, earlier ones first in rank, without those that touch one that is kept or begin too early."""
    where = places(axis, values)
    taken: list[tuple[float, float]] = []
    shown = []
    for place, label in zip(where, labels, strict=True):
        half = extent(axis, label) / 2 if label else 0.0
        free = (
            bool(label)
            and place - half >= first
            and all(abs(place - other) >= half + theirs for other, theirs in taken)
        )
        if free:
            taken.append((place, half))
        shown.append(label if free else "")
    return shown


class Apart(Formatter):
    """Plain numbers on a logarithmic axis: powers of ten, and others where there is room between these."""

    def __init__(self, text: Callable[[float], str], *, minor: bool) -> None:
        self.text, self.minor = text, minor

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self.text(x)

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """A label for each tick, "" where there is no room."""
        axis: Any = self.axis
        low, high = sorted(axis.get_view_interval())
        majors = [value for value in axis.get_majorticklocs() if low <= value <= high]
        if not self.minor:
            ranked = sorted(values, key=lambda value: not low <= value <= high)
            return self._labels(axis, ranked, values)
        if len(majors) >= 3:
            return [""] * len(values)
        inside = [value for value in values if low <= value <= high]
        return self._labels(axis, [*majors, *sorted(inside, key=_rank)], values)

    def _labels(self, axis: Any, ranked: Sequence[float], values: Sequence[float]) -> list[str]:
        # One that reached far to the left would stand on the lowest label of the ordinate.
        first = -0.8 * type_of(axis) if axis.axis_name == "x" else -np.inf
        texts = keep_apart(axis, ranked, [self.text(value) for value in ranked], first=first)
        shown = dict(zip(ranked, texts, strict=True))
        return [shown.get(value, "") for value in values]


def _rank(value: float) -> int:
    """Of a number between powers of ten: 2 and 5 first."""
    digit = round(value / 10.0 ** np.floor(np.log10(value) + 1e-9))
    return (5, 2, 3, 7, 4, 6, 8, 9).index(digit) if digit in (5, 2, 3, 7, 4, 6, 8, 9) else 9


class Whole(MaxNLocator):
    """Round whole numbers, as many as stand beside each other."""

    def __init__(self) -> None:
        super().__init__("auto", integer=True, steps=[1, 2, 2.5, 5, 10])

    def __call__(self) -> Any:
        axis: Any = self.axis
        low, high = sorted(axis.get_view_interval())
        found = np.asarray(super().__call__())
        for count in range(len(found), 0, -1):
            self_like = MaxNLocator(count, integer=True, steps=[1, 2, 2.5, 5, 10])
            found = np.asarray(self_like.tick_values(low, high))
            inside = found[(found >= low) & (found <= high)]
            if all(keep_apart(self.axis, inside, [f"{value:g}" for value in inside])):
                break
        return found


class Counted(Locator):
    """The first of each stack, its last, and round numbers between, as many as there is room for.

    Parameters
    ----------
    stacks : sequence of ndarray
        Abscissae of what is counted from 1, a stack after the other.
    """

    def __init__(self, stacks: Sequence[np.ndarray]) -> None:
        self.stacks = [np.asarray(stack, float) for stack in stacks]

    def numbers(self) -> dict[float, int]:
        """Abscissa -> number, of what may have a tick."""
        return {float(x): i for stack in self.stacks for i, x in enumerate(stack, 1)}

    def __call__(self) -> Any:
        for chosen in self._ways():
            ticks = [
                stack[n - 1] for stack, numbers in zip(self.stacks, chosen, strict=True) for n in numbers
            ]
            labels = [str(n) for numbers in chosen for n in numbers]
            if self.axis is None or all(keep_apart(self.axis, ticks, labels)):
                break
        return np.array(ticks)

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """The same whatever is in sight."""
        return self()

    def _ways(self) -> list[list[list[int]]]:
        counts = [len(stack) for stack in self.stacks]
        least = next((step for step in STEPS if max(counts) / step <= MOST), STEPS[-1])
        ways = [
            [_round(count, step) for count in counts]
            for step in STEPS
            if step >= least and step < max(counts)
        ]
        # Where stacks meet, the first of the later ones is left out before the round ones are.
        ways += [[way[0], *(numbers[1:] for numbers in way[1:])] for way in ways if len(way) > 1]
        ways += [[sorted({1, count}) for count in counts], [[count] for count in counts]]
        return [*ways, [[] for _ in counts[:-1]] + [[counts[-1]]]]


def _round(count: int, step: int) -> list[int]:
    """The first, the last, and round ones between with room to spare."""
    inner = [n for n in range(step, count, step) if n > 1 and count - n >= 0.6 * step and n >= 0.6 * step + 1]
    return sorted({1, count, *inner})


class Numbered(Formatter):
    """Numbers of what is counted, by its abscissa."""

    def __init__(self, numbers: Mapping[float, int]) -> None:
        self.numbers = dict(numbers)

    def __call__(self, x: float, pos: int | None = None) -> str:
        return str(self.numbers.get(round(float(x), 6), ""))
