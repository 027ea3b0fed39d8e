"""The one layout of every figure by sub-layer: encoder left, decoder right, depth from left to right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from admin_py.plots.legends import legend_below, letters
from admin_py.plots.style import FAINT, KINDS, MUTED, legend_text, scheme_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


class Series(NamedTuple):
    """One number for every sub-layer of a model.

    Attributes
    ----------
    scheme : str
        Names colour and label.
    values : mapping of str to ndarray
        Stack (``"encoder"``, ``"decoder"``) to [R].
    kinds : mapping of str to sequence of str
        Stack to the kind of each of its R sub-layers.
    """

    scheme: str
    values: Mapping[str, np.ndarray]
    kinds: Mapping[str, Sequence[str]]


def positions(sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Abscissae of the sub-layers: 1..R of the first stack, a gap, then those of the second.

    Examples
    --------
    >>> {stack: x.tolist() for stack, x in positions({"encoder": 2, "decoder": 3}).items()}
    {'encoder': [1.0, 2.0], 'decoder': [5.0, 6.0, 7.0]}
    """
    start, result = 0.0, {}
    gap = max(2.0, round(0.04 * sum(sizes.values())))
    for stack in ("encoder", "decoder"):
        if sizes.get(stack):
            result[stack] = start + np.arange(1.0, sizes[stack] + 1.0)
            start += sizes[stack] + gap
    return result


def places_of(series: Sequence[Series]) -> dict[str, np.ndarray]:
    """Abscissae by stack for figures of several series: those of the deepest."""
    return positions(_sizes(series))


def draw_lines(ax: Axes, series: Iterable[Series], *, by_kind: bool = False) -> None:
    """Lines over depth in the schemes' colours, with markers by kind of sub-layer.

    The first series of a scheme carries markers; further ones (other seeds) are thin, so that the spread is
    seen and the figure stays readable. A line that lies exactly under another one is drawn wider, so that
    both show.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    series : iterable of Series
    by_kind : bool
        One line for each kind of sub-layer, for numbers that go by kind, instead of one through all.
    """
    series = list(series)
    places = places_of(series)
    seen: set[str] = set()
    for index, one in enumerate(series):
        first = one.scheme not in seen
        over = {other.scheme for other in series[index + 1 :] if first and _same_values(one, other)}
        under = min(len(over), MAX_UNDER)
        for stack, values in one.values.items():
            x, kinds = places[stack], np.asarray(one.kinds[stack])
            for kind in KINDS if by_kind else ("all",):
                mask = kinds == kind if by_kind else np.full(len(kinds), True)
                _draw_line(ax, one.scheme, x[mask], np.asarray(values)[mask], first, 2.4 * under)
            if first:
                _mark_kinds(ax, x, values, kinds, one.scheme, 3.0 * under)
        seen.add(one.scheme)
    frame_stacks(ax, places)


def _draw_line(ax: Axes, scheme: str, x: np.ndarray, values: np.ndarray, first: bool, extra: float) -> None:
    style = scheme_style(scheme)
    ax.plot(
        x,
        values,
        color=style.color,
        linestyle=style.dashes if first else "solid",
        linewidth=(1.2 if first else 0.6) + extra,
        alpha=1.0 if first else 0.3,
        label="_nolegend_",
        zorder=3.0 if first else 2.5,
    )


def _same_values(one: Series, other: Series) -> bool:
    if one.scheme == other.scheme or one.values.keys() != other.values.keys():
        return False
    return all(np.array_equal(one.values[stack], other.values[stack]) for stack in one.values)


def draw_bars(ax: Axes, one: Series, *, color: str, baseline: float, framed: bool = True) -> None:
    """One bar a sub-layer from `baseline`, shaded by kind.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    one : Series
    color : str
        Of the scheme.
    baseline : float
        Where bars stand; on a log axis above 0.
    framed : bool
        With ticks and names of the stacks; not where lines are drawn over the bars, which bring them.
    """
    places = places_of([one])
    for stack, x in places.items():
        values, kinds = np.asarray(one.values[stack]), np.asarray(one.kinds[stack])
        for kind in KINDS:
            mask = kinds == kind
            if mask.any():
                height = values[mask] - baseline
                ax.bar(
                    x[mask],
                    height,
                    0.78,
                    bottom=baseline,
                    color=color,
                    alpha=SHADES[kind],
                    linewidth=0.0,
                    zorder=3.0,
                )
    if framed:
        frame_stacks(ax, places)


SHADES: Mapping[str, float] = {"self_attn": 1.0, "cross_attn": 0.62, "feed_forward": 0.34}
"""Kind of sub-layer -> opacity of its bars."""


def legends(ax: Axes, series: Iterable[Series], *, more: Sequence[Line2D] = ()) -> None:
    """Schemes at the right end of the title's line, or aside; kinds of sub-layer, and more, below."""
    from matplotlib.lines import Line2D

    series = list(series)
    handles = [
        Line2D([], [], color=MUTED, linestyle="none", marker=marker, label=label)
        for label, marker in (KINDS[kind] for kind in _kinds(series))
    ]
    below = legend_below(ax, [*handles, *more], columns=4)
    if below is not None:
        ax.add_artist(below)
        below.set_clip_on(False)  # or it gets no room: what is clipped to the axes needs none
    lines = []
    for scheme in dict.fromkeys(one.scheme for one in series):
        style = scheme_style(scheme)
        lines.append(
            Line2D(
                [],
                [],
                color=style.color,
                linestyle=style.dashes,
                linewidth=1.8,
                label=legend_text(style.label),
            )
        )
    scheme_legend(ax, lines)


def scheme_legend(ax: Axes, handles: list[Any]) -> None:
    """Legend beside the title if the labels fit there, else at the right of the axes."""
    room = sum(len(handle.get_label()) + LEGEND_HANDLE for handle in handles) <= LEGEND_ROOM
    ax.legend(handles=handles, **(ABOVE if room else ASIDE))


def shade_legend(ax: Axes, one: Series, color: str) -> None:
    """Legend of the bars' shades beside the title, or below the axes where the title is long."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=color, alpha=SHADES[kind], label=KINDS[kind][0]) for kind in _kinds([one])]
    if letters(ax.get_title(loc="left")) <= SHORT_TITLE:
        ax.legend(handles=handles, **ABOVE)
    else:
        legend_below(ax, handles)


SHORT_TITLE = 26
"""Letters of a title beside which there is room for three kinds of sub-layer."""

ABOVE: Mapping[str, Any] = {
    "loc": "lower right",
    "bbox_to_anchor": (1.0, 1.0),
    "ncols": 5,
    "columnspacing": 1.4,
    "borderaxespad": 0.2,
}
"""Of a legend at the right end of the title's line."""

ASIDE: Mapping[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.02)}
"""Of a legend at the right of the axes."""

LEGEND_HANDLE, LEGEND_ROOM = 7, 46
"""Letters that a handle takes, and that there are beside a title."""

SHORT = 80.0
"""Largest over smallest of a log axis below which numbers stand between the powers of ten."""

MAX_UNDER = 2
"""Lines under a line that still make it wider."""


def log_axis(ax: Axes) -> None:
    """Logarithmic ordinate with plain numbers, and with some between the powers of ten where it is short."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    short = high < SHORT * low
    ax.yaxis.set_major_formatter(FuncFormatter(_plain))
    ax.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0) if short else tuple(range(2, 10))))
    ax.yaxis.set_minor_formatter(FuncFormatter(_plain) if short else NullFormatter())


def step_axis(ax: Axes, *, log: bool = False) -> None:
    """Steps on the abscissa: whole numbers, written out."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    if log:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    else:
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10]))
    ax.set_xlabel("step")


def _plain(value: float, _: int | None = None) -> str:
    if value >= 1e-3:
        return f"{value:g}"
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = value / 10.0**exponent
    return f"$10^{{{exponent}}}$" if abs(factor - 1.0) < 1e-6 else f"${factor:g}\\cdot10^{{{exponent}}}$"


def _kinds(series: Iterable[Series]) -> list[str]:
    present = {kind for one in series for kinds in one.kinds.values() for kind in kinds}
    return [kind for kind in KINDS if kind in present]


def _mark_kinds(
    ax: Axes, x: np.ndarray, values: np.ndarray, kinds: np.ndarray, scheme: str, extra: float
) -> None:
    for kind, (_, marker) in KINDS.items():
        mask = kinds == kind
        if mask.any():
            ax.plot(
                x[mask],
                np.asarray(values)[mask],
                marker,
                color=scheme_style(scheme).color,
                markersize=3.4 + extra,
                markeredgewidth=0.0,
                label="_nolegend_",
                zorder=3.0,
            )


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
    ticks, labels = [], []
    for x in places.values():
        for number in tick_numbers(len(x)):
            ticks.append(x[number - 1])
            labels.append(str(number))
    ax.set_xticks(ticks, labels)
    stacks = list(places)
    first, last = places[stacks[0]][0], places[stacks[-1]][-1]
    margin += 0.02 * (last - first)
    ax.set_xlim(first - margin, last + margin)
    if len(stacks) == 2:
        middle = (places[stacks[0]][-1] + places[stacks[1]][0]) / 2
        ax.axvline(middle, color=FAINT, linewidth=1.0, zorder=1.0)
    for stack, x in places.items():
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


def tick_numbers(count: int) -> list[int]:
    """Sub-layers that get a label: the first, the last, and round ones between with room to spare."""
    step = next((s for s in (1, 2, 3, 6, 12, 20, 50, 100, 200, 500) if count / s <= 6), 1000)
    inner = [n for n in range(step, count, step) if n > 1 and count - n >= 0.6 * step]
    return sorted({1, count, *inner})


def _sizes(series: Sequence[Series]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for one in series:
        for stack, values in one.values.items():
            sizes[stack] = max(sizes.get(stack, 0), len(values))
    return sizes
