"""What a figure is made of, as numbers and words: to be stored, and compared without pixels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle, StepPatch
from matplotlib.ticker import FixedLocator

DIGITS = 5
"""Significant ones that are stored."""

DRAWN = ("lines", "patches", "collections", "images")

TOLERANCE = 3e-5
"""Relative: what rounding to so many digits and another order of a sum can change."""


def structure(figure: Figure) -> dict[str, Any]:
    """Axes with labels, scales, legend and data; sizes and places on the paper are left out."""
    return {
        "title": figure.get_suptitle(),
        "legends": [_legend(one) for one in figure.legends],
        "axes": [_axes(ax) for ax in _all_axes(figure)],
    }


def _all_axes(figure: Figure) -> Iterator[Axes]:
    for ax in figure.axes:
        yield ax
        yield from (child for child in ax.child_axes if child not in figure.axes)


def _axes(ax: Axes) -> dict[str, Any]:
    legends = [child for child in ax.get_children() if isinstance(child, Legend)]
    found = {
        "title": next((t for t in (ax.get_title(loc=loc) for loc in ("left", "center", "right")) if t), ""),
        "x": _axis(ax, "x"),
        "y": _axis(ax, "y"),
        "shown": ax.axison,
        "legends": [_legend(one) for one in legends],
        "texts": [text.get_text() for text in ax.texts],
        "lines": [_line(line) for line in ax.lines],
        "patches": [_patch(patch) for patch in ax.patches],
        "collections": [_collection(one) for one in ax.collections],
        "images": [_image(one) for one in ax.images],
    }
    bar = hasattr(ax, "_colorbar")  # its colours and range are those of the image
    return {key: value for key, value in found.items() if value != [] and not (bar and key in DRAWN)}


def _axis(ax: Axes, which: str) -> dict[str, Any]:
    axis = getattr(ax, f"{which}axis")
    found = {
        "label": axis.get_label_text(),
        "scale": axis.get_scale(),
        "limits": _numbers(getattr(ax, f"get_{which}lim")()),
    }
    if isinstance(axis.get_major_locator(), FixedLocator):
        found["ticks"] = [label.get_text() for label in axis.get_ticklabels()]
    return found


def _legend(legend: Legend) -> list[Any]:
    """A text and a look for each entry."""
    return [
        {"text": text.get_text(), **_look(handle)}
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
        if text.get_text().strip()
    ]


def _look(artist: Artist | None) -> dict[str, Any]:
    if isinstance(artist, Line2D):
        # The dashes have no getter.
        _, dashes = getattr(artist, "_unscaled_dash_pattern", (0.0, None))
        return {
            "color": to_hex(artist.get_color()),
            "dashes": "none" if artist.get_linestyle() == "None" else _numbers(dashes or ()),
            "width": _numbers(artist.get_linewidth()),
            "marker": str(artist.get_marker()),
            "filled": artist.get_fillstyle(),
        }
    if isinstance(artist, Patch):
        return {
            "color": to_hex(artist.get_facecolor(), keep_alpha=True),
            "edge": to_hex(artist.get_edgecolor(), keep_alpha=True),
            "hatch": artist.get_hatch() or "",
        }
    return {"kind": type(artist).__name__}


def _line(line: Line2D) -> dict[str, Any]:
    return {**_look(line), "x": _numbers(line.get_xdata()), "y": _numbers(line.get_ydata())}


def _patch(patch: Patch) -> dict[str, Any]:
    if isinstance(patch, Rectangle):
        place = (patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height())
        return {**_look(patch), "place": _numbers(place)}
    if isinstance(patch, StepPatch):
        data = patch.get_data()
        return {**_look(patch), "values": _numbers(data.values), "edges": _numbers(data.edges)}
    return {**_look(patch), "path": _numbers(patch.get_path().vertices)}


def _collection(one: Collection) -> dict[str, Any]:
    array = one.get_array()
    colors = [to_hex(color, keep_alpha=True) for color in one.get_facecolor()] if array is None else []
    found: dict[str, Any] = {"kind": type(one).__name__, "colors": colors}
    if array is not None:
        return {**found, "values": _numbers(array), "range": _numbers(one.get_clim())}
    return {**found, "paths": [_numbers(path.vertices) for path in one.get_paths()]}


def _image(image: Any) -> dict[str, Any]:
    return {
        "colors": image.get_cmap().name,
        "range": _numbers(image.get_clim()),
        "values": _numbers(image.get_array()),
        "extent": _numbers(image.get_extent()),
    }


def _numbers(values: Any) -> Any:
    """Numbers of `DIGITS` digits, nested as they are; "nan" for what is masked or not finite."""
    if np.ma.isMaskedArray(values):
        values = np.ma.filled(values.astype(float), np.nan)
    array = np.asarray(values, dtype=float)
    if array.ndim:
        return [_numbers(one) for one in array]
    value = float(array)
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else str(value)


def dump(found: dict[str, Any]) -> str:
    """As JSON with a list of numbers on a line."""
    text = json.dumps(found, indent=1)
    return re.sub(r"\[[^][{}]*\]", lambda match: " ".join(match[0].split()), text) + "\n"


def differences(stored: Any, found: Any, place: str = "figure") -> list[str]:
    """Where two structures are not the same, in words."""
    if isinstance(stored, dict) and isinstance(found, dict):
        keys = [*stored, *(key for key in found if key not in stored)]
        return [
            line
            for key in keys
            for line in (
                differences(stored[key], found[key], f"{place}.{key}")
                if key in stored and key in found
                else [f"{place}.{key}: only {'stored' if key in stored else 'found'}"]
            )
        ]
    if isinstance(stored, list) and isinstance(found, list):
        if len(stored) != len(found):
            return [f"{place}: {len(stored)} stored, {len(found)} found"]
        pairs = enumerate(zip(stored, found, strict=True))
        return [line for i, (a, b) in pairs for line in differences(a, b, f"{place}[{i}]")]
    if isinstance(stored, float | int) and isinstance(found, float | int) and not isinstance(stored, bool):
        same = abs(stored - found) <= TOLERANCE * max(abs(stored), abs(found)) + 1e-12
    else:
        same = stored == found
    return [] if same else [f"{place}: {stored!r} stored, {found!r} found"]
