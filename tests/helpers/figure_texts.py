"""The texts that a figure really draws, with their boxes: do they overlap, does the figure cut one off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SLACK = 0.75
"""Pixels of a box that may lie in another or outside: a box has room around its letters."""


class Drawn(NamedTuple):
    """A text and where it is, in pixels."""

    artist: Text
    box: Bbox

    @property
    def text(self) -> str:
        return self.artist.get_text()


@contextmanager
def _recorded(drawn: list[Drawn]) -> Iterator[None]:
    original = Text.draw

    def draw(self: Text, renderer: object) -> None:
        original(self, renderer)
        if self.get_visible() and self.get_text().strip():
            drawn.append(Drawn(self, Text.get_window_extent(self, renderer)))

    Text.draw = draw
    try:
        yield
    finally:
        Text.draw = original


def texts(figure: Figure) -> list[Drawn]:
    """All texts that are drawn, ticks, titles and legends included, as `savefig` places them.

    What `savefig` does first: it lays the figure out in a draw without pixels, and then paints it so.
    """
    drawn: list[Drawn] = []
    with _recorded(drawn):
        figure.draw_without_rendering()
    last = {id(one.artist): one for one in drawn}
    return list(last.values())


def overlaps(drawn: Sequence[Drawn]) -> list[str]:
    """Pairs of texts that lie on each other."""
    boxes = np.array([one.box.extents for one in drawn]).reshape(-1, 4)
    low, high = boxes[:, :2], boxes[:, 2:]
    sizes = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)  # [texts, texts, 2]
    found = []
    for i, j in np.argwhere(np.triu((sizes > SLACK).all(axis=-1), k=1)):
        width, height = sizes[i, j]
        found.append(f"{drawn[i].text!r} and {drawn[j].text!r}: {width:.1f} x {height:.1f} pixels")
    return found


def clipped(figure: Figure, drawn: Sequence[Drawn]) -> list[str]:
    """Texts that the figure's edge cuts off."""
    found = []
    for one in drawn:
        outside = max(
            -one.box.x0, -one.box.y0, one.box.x1 - figure.bbox.width, one.box.y1 - figure.bbox.height
        )
        if outside > SLACK:
            found.append(f"{one.text!r}: {outside:.1f} pixels outside")
    return found


def on_data(figure: Figure) -> list[str]:
    """Legends that stand on marks of their axes, in a figure that was drawn."""
    found = []
    for ax in figure.axes:
        for legend in [child for child in ax.get_children() if type(child).__name__ == "Legend"]:
            box = legend.get_window_extent()
            for line in ax.lines:
                inside = _marks(line, box)
                if inside:
                    names = ", ".join(text.get_text() for text in legend.get_texts()[:2])
                    found.append(f"legend {names} on {inside} points of a line")
    return found


def _marks(line: Line2D, box: Bbox) -> int:
    """Points of a line in a box."""
    points = line.get_transform().transform(line.get_xydata())
    points = points[np.isfinite(points).all(axis=1)]
    return int(box.count_contains(points)) if len(points) else 0
