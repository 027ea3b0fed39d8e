"""The roofline picture: what both sides reach beside what the machine allows (Williams et al. 2009)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.table import rate

MARKERS = "o^svDPX*"


def draw_roofline(results: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw GFLOP/s over FLOP a byte into a PNG file: a point for each workload and side.

    The roofs are the best peak and bandwidth that were measured beside the workloads; the bytes are those of
    `benchmarks.counting.compulsory_bytes`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from admin_py.plots import style

    entries = results["entries"]
    with style.context():
        figure = Figure(figsize=(style.WIDTH, 4.0), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _draw_roofs(axes, list(entries.values()))
        sides = {"ours": ("admin-py", style.GREEN), "pytorch": ("PyTorch's fastest", style.VERMILION)}
        for k, (name, entry) in enumerate(entries.items()):
            x = entry["flops"] / entry["bytes"]
            marker = MARKERS[k % len(MARKERS)]
            heights = [1e-9 * rate(entry, side) for side in sides]
            axes.plot([x, x], heights, color=style.FAINT, linewidth=1.0, zorder=1)
            for height, (_, color) in zip(heights, sides.values()):
                axes.plot(
                    x,
                    height,
                    marker,
                    color=color,
                    markersize=6.5,
                    markeredgecolor="white",
                    markeredgewidth=0.5,
                    zorder=3,
                )
            axes.plot([], [], marker, color=style.MUTED, markersize=6.0, label=name)
        for label, color in sides.values():
            axes.plot([], [], "s", color=color, markersize=6.0, label=label)
        axes.set(
            title=f"Training steps under the roof: {results['machine']['processor']}",
            xlabel="useful FLOP per byte that has to move (estimated)",
            ylabel="useful GFLOP/s",
        )
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        figure.savefig(path, format="png")


def _draw_roofs(axes: Any, entries: list[Mapping[str, Any]]) -> None:
    """Memory's slope, the arithmetic's ceiling, and lines at halves of it."""
    from matplotlib.ticker import LogLocator, NullLocator

    from admin_py.plots import style

    peak = 1e-9 * max(max(entry["peak"]) for entry in entries)
    bandwidth = 1e-9 * max(entry["bandwidth"] for entry in entries)
    ridge = peak / bandwidth
    rightmost = max(entry["flops"] / entry["bytes"] for entry in entries)
    x = np.array([ridge / 4, ridge, max(4 * ridge, 2 * rightmost)])
    axes.loglog(x, np.minimum(peak, bandwidth * x), color=style.INK, linewidth=1.6)
    axes.hlines(peak / 2, ridge / 2, x[-1], color=style.MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.text(x[-1], 1.04 * peak, f"{peak:.0f} GFLOP/s", ha="right", va="bottom")
    axes.text(0.6 * ridge, 0.51 * peak, "half of it", ha="left", va="bottom", color=style.MUTED)
    axes.text(1.15 * x[0], bandwidth * x[0], f"{bandwidth:.0f} GB/s", ha="left", va="top")
    axes.set_ylim(bandwidth * x[0] / 1.5, 1.6 * peak)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
