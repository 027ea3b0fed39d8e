"""Markers that stay apart: as many of a line's as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from admin_py.plots.room import fitting, size_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

APART = 1.3
"""Sizes of a marker between the middles of two of one group."""

COINCIDE = 1e-3
"""Points within which abscissae are the same: there the data coincide, and no choice of others helps."""


def thin_out(ax: Axes, lines: Sequence[Line2D]) -> None:
    """Let lines of one scheme mark so many of their points that no marker touches another of these.

    Of lines that are marked in turn, such as kinds of sub-layer, each keeps its share.
    """
    if not lines:
        return
    steps = fitting(ax).always
    steps[f"marks {len(steps)}"] = partial(_thin_out, lines=list(lines))


def _thin_out(ax: Axes, lines: list[Line2D]) -> None:
    if any(line.axes is not ax for line in lines):
        return  # the axes were cleared
    size = size_of(ax)
    to_axes = ax.transData + ax.transAxes.inverted()
    with np.errstate(all="ignore"):
        where = [to_axes.transform(np.asarray(line.get_xydata(), float)) * tuple(size) for line in lines]
    apart = APART * max(line.get_markersize() for line in lines)
    longest = max(map(len, where))
    if longest == 0:
        return
    for stride in range(1, longest + 1):
        starts = [number * stride // len(lines) for number in range(len(lines))]
        chosen = [points[start::stride] for points, start in zip(where, starts, strict=True)]
        if _are_apart(np.concatenate(chosen), apart):
            break
    for line, start in zip(lines, starts, strict=True):
        line.set_markevery(None if stride == 1 else (start, stride))


def _are_apart(points: np.ndarray, least: float) -> bool:
    """Whether no two points with other abscissae, [n, 2], are nearer than so much."""
    points = points[np.isfinite(points).all(axis=1)]
    points = points[np.argsort(points[:, 0], kind="stable")]
    for lag in range(1, len(points)):
        away = points[lag:] - points[:-lag]
        near = away[:, 0] < least
        if not near.any():
            return True
        if (near & (away[:, 0] > COINCIDE) & (np.hypot(*away.T) < least)).any():
            return False
    return True
