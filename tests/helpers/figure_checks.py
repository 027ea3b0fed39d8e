"""Every figure at the sizes that journals print, measured: what of it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from drawn_figures import DRAWN, SMALL, Case, axes_of
from figure_texts import Drawn, clipped, on_data, overlaps, texts
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox

LONG_NAME = "a scheme of my own whose name has 44 letters"

CASES: Mapping[str, Case] = {
    "small": SMALL,
    "deep": Case(100, ("post_ln", "deepnorm", "post_ln/pre_ln")),
    "long": Case(6, ("admin", "admin_torch_1_trained", LONG_NAME)),
}
"""What is drawn: small models, 100-100 layers, names as long as they get."""

DARK = {
    "axes.facecolor": "#202020",
    "figure.facecolor": "#202020",
    "text.color": "#F0F0F0",
    "axes.labelcolor": "#F0F0F0",
    "xtick.color": "#F0F0F0",
    "ytick.color": "#F0F0F0",
    "font.family": "serif",
    "axes.titlesize": "large",
}


class Sheet(NamedTuple):
    """Where a figure is drawn: inches, settings, whose axes."""

    size: tuple[float, float]
    given: bool = True
    grid: bool = False
    layout: str | None = None
    settings: Mapping[str, Any] = {}

    def axes(self, name: str, case: Case) -> list[Axes]:
        """The axes of a figure drawn on this sheet; a panel of several has the size to itself."""
        import matplotlib.pyplot as plt

        with ExitStack() as stack:
            stack.enter_context(matplotlib.rc_context(dict(self.settings)))
            if not self.given:
                stack.enter_context(matplotlib.rc_context({"figure.figsize": self.size}))
                return axes_of(name, case)
            count = PANELS.get(name.partition("-")[0], 1)
            word = "axes" if count > 1 else "ax"
            rows, columns = (max(2, -(-count // 2)), 2) if self.grid else (count, 1)
            width, height = self.size
            figure, found = plt.subplots(
                rows,
                columns,
                figsize=(width, height if self.grid else height * rows),
                layout=self.layout,
                squeeze=False,
            )
            shown = list(found.ravel())
            into = shown[:count] if word == "axes" else shown[0]
            drawn = axes_of(name, case, **{word: into})
            if self.grid:
                for other in shown[count : len(shown) if word == "ax" else 0]:
                    axes_of(name, case, ax=other)
            assert drawn[0].figure is figure
            return drawn


SHEETS: Mapping[str, Sheet] = {
    "3.3 x 2.4": Sheet((3.3, 2.4)),
    "3.3 x 2.4 laid out": Sheet((3.3, 2.4), layout="constrained"),
    "4 x 3": Sheet((4.0, 3.0)),
    "6 x 4": Sheet((6.0, 4.0)),
    "2 x 2": Sheet((7.0, 5.2), grid=True),
    "new, 3.3 x 2.4": Sheet((3.3, 2.4), given=False),
    "4 x 3, 14 points": Sheet((4.0, 3.0), settings={"font.size": 14.0}),
    "new, 14 points": Sheet((6.0, 4.0), given=False, settings={"font.size": 14.0}),
    "4 x 3, dark": Sheet((4.0, 3.0), settings=DARK),
}

PANELS = {
    "plot_attention_panels": 3,
    "plot_dependency_pair": 2,
    "plot_dependency_panels": 3,
    "plot_diagnosis": 2,
    "plot_gradient_bars": 3,
    "plot_grid_panels": 3,
    "plot_matrix_gradient_panels": 3,
    "plot_omega_panels": 6,
    "plot_training": 2,
    "plot_update_panels": 3,
}
"""Figures of several axes, and how many they are of any of the cases."""

LEAST = 24.0
"""Points of an axes' side below which nothing is seen in it."""

GAP = 1.0
"""Points between the labels of an axis, at least."""

APART = 0.95
"""Of the size of a marker: what two neighbours of a line are apart at least."""


def findings(axes: Sequence[Axes]) -> list[str]:
    """What is wrong with the figure of these axes, in words."""
    figure = axes[0].figure
    assert isinstance(figure, Figure)
    drawn = texts(figure)
    found = [] if drawn else ["no text at all"]
    found += [f"overlap: {one}" for one in overlaps(drawn)]
    found += [f"cut off: {one}" for one in clipped(figure, drawn)]
    found += [f"on data: {one}" for one in on_data(figure)]
    found += [f"merged: {one}" for ax in figure.axes for one in merged(ax, drawn)]
    found += [f"on an axes: {one}" for one in legends_on_axes(figure)]
    found += [f"overprinted: {one}" for ax in figure.axes for one in overprinted(ax, drawn)]
    found += [f"fused: {one}" for ax in figure.axes for one in fused(ax)]
    for ax in axes:
        box = ax.get_window_extent()
        side = min(box.width, box.height) / figure.dpi * 72.0
        if side < LEAST:
            found.append(f"no room: axes are {side:.0f} points across")
    return found


def merged(ax: Axes, drawn: Sequence[Drawn]) -> list[str]:
    """Labels of one axis that read as one, such as 24 and 1."""
    found = []
    gap = GAP * ax.figure.dpi / 72.0
    boxes = {id(one.artist): one for one in drawn}
    for axis, which in ((ax.xaxis, "x"), (ax.yaxis, "y")):
        labels = [
            boxes[id(label)]
            for ticks in (axis.majorTicks, axis.minorTicks)
            for tick in ticks
            for label in (tick.label1, tick.label2)
            if id(label) in boxes
        ]
        grown = [Drawn(one.artist, _grown(one.box, gap if which == "x" else 0.0)) for one in labels]
        found += overlaps(grown)
    return found


def _grown(box: Bbox, width: float) -> Bbox:
    return Bbox.from_extents(box.x0, box.y0, box.x1 + width + 1.0, box.y1)


def legends_on_axes(figure: Figure) -> list[str]:
    """Legends that stand on axes, their own or a neighbour's."""
    found = []
    for ax in figure.axes:
        for legend in [child for child in ax.get_children() if isinstance(child, Legend)]:
            box = legend.get_window_extent()
            for other in figure.axes:
                common = Bbox.intersection(box, other.get_window_extent())
                if other.axison and common is not None and min(common.width, common.height) > 1.0:
                    texts_ = ", ".join(text.get_text() for text in legend.get_texts()[:2])
                    found.append(f"legend {texts_}, {common.width:.0f} x {common.height:.0f} pixels")
    return found


def overprinted(ax: Axes, drawn: Sequence[Drawn]) -> list[str]:
    """Texts within axes that have points or segments of lines in them."""
    inside = {id(text) for text in ax.texts if isinstance(text, Text)}
    found = []
    for one in (one for one in drawn if id(one.artist) in inside):
        hit = sum(crosses(line, one.box) for line in ax.lines if line.get_visible())
        if hit:
            found.append(f"{one.text!r} by {hit} lines")
    return found


def crosses(line: Line2D, box: Bbox) -> bool:
    """Whether a line that is drawn goes through a box."""
    path = line.get_transform().transform_path(line.get_path())
    whole = len(path.vertices) > 1 and line.get_linestyle() not in ("None", "none")
    return bool(path.intersects_bbox(box, filled=False)) if whole else False


def marks_of(line: Line2D) -> np.ndarray:
    """Places of the markers that a line draws, pixels [n, 2]."""
    if line.get_marker() in ("None", "none", None, "", " ") or not line.get_visible():
        return np.empty((0, 2))
    points = line.get_transform().transform(line.get_xydata())
    every = line.get_markevery()
    if every is None:
        chosen = points
    elif isinstance(every, tuple):
        chosen = points[every[0] :: every[1]]
    elif isinstance(every, int):
        chosen = points[::every]
    else:
        chosen = points[np.asarray(every, int)]
    return chosen[np.isfinite(chosen).all(axis=1)]


def fused(ax: Axes) -> list[str]:
    """Markers of one colour nearer to each other than they are large."""
    by_color: dict[str, list[tuple[np.ndarray, float]]] = {}
    pixel = ax.figure.dpi / 72.0
    for line in ax.lines:
        marks = marks_of(line)
        if len(marks):
            look = f"{to_hex(line.get_color())} {line.get_fillstyle()}"
            by_color.setdefault(look, []).append((marks, line.get_markersize() * pixel))
    found = []
    for color, groups in by_color.items():
        marks = np.concatenate([marks for marks, _ in groups])
        size = max(size for _, size in groups)
        if len(marks) < 2:
            continue
        apart = np.linalg.norm(marks[:, None] - marks, axis=-1)
        np.fill_diagonal(apart, np.inf)
        near = int((apart.min(axis=1) < APART * size).sum())
        if near:
            found.append(f"{near} of {len(marks)} markers of {color}")
    return found


def check(name: str, case: str, sheet: str) -> tuple[list[Axes], list[str]]:
    """The axes of a figure on a sheet, and what is wrong with it."""
    with matplotlib.rc_context(dict(SHEETS[sheet].settings)):
        axes = SHEETS[sheet].axes(name, CASES[case])
        return axes, findings(axes)


def all_checks(names: Sequence[str] = tuple(DRAWN)) -> Iterator[tuple[str, str, str]]:
    """Name, case and sheet of everything that is drawn."""
    for name in names:
        for case in CASES:
            for sheet in SHEETS:
                yield name, case, sheet
