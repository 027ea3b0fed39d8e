"""The one layout of every figure by sub-layer: encoder left, decoder right, depth from left to right."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from admin_py.plots.legends import legend_below
from admin_py.plots.marks import thin_out
from admin_py.plots.style import KINDS, legend_text, muted, scheme_style
from admin_py.plots.ticks import frame_stacks

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

    Several series of one scheme are several seeds: their mean carries dashes and markers, a band goes from
    the smallest to the largest, and each is a thin line. A line that lies exactly under another one is drawn
    wider, so that both show.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    series : iterable of Series
    by_kind : bool
        One line for each kind of sub-layer, for numbers that go by kind, instead of one through all.
    """
    series = list(series)
    places = places_of(series)
    means = [_mean(group) for group in by_scheme(series).values()]
    for group in by_scheme(series).values():
        if len(group) > 1:
            _draw_seeds(ax, group, places, by_kind)
    for index, one in enumerate(means):
        over = {other.scheme for other in means[index + 1 :] if _same_values(one, other)}
        under = min(len(over), MAX_UNDER)
        for stack, values in one.values.items():
            x, kinds = places[stack], np.asarray(one.kinds[stack])
            for mask in _masks(kinds, by_kind):
                _draw_line(ax, one.scheme, x[: len(values)][mask], np.asarray(values)[mask], 2.4 * under)
            _mark_kinds(ax, x[: len(values)], values, kinds, one.scheme, 3.0 * under)
    frame_stacks(ax, places)


def by_scheme(series: Iterable[Series]) -> dict[str, list[Series]]:
    """Scheme -> its series, which are seeds, in their order."""
    groups: dict[str, list[Series]] = {}
    for one in series:
        groups.setdefault(one.scheme, []).append(one)
    return groups


def has_band(group: Sequence[Series]) -> bool:
    """Whether series of one scheme are several, and of models of the same size."""
    sizes = {tuple((stack, len(values)) for stack, values in one.values.items()) for one in group}
    return len(group) > 1 and len(sizes) == 1


def _mean(group: Sequence[Series]) -> Series:
    """Of the seeds of a scheme; the first of those that have not the same sub-layers."""
    if not has_band(group):
        return group[0]
    first = group[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # infinities of seeds that diverged
        values = {
            stack: np.mean([np.asarray(one.values[stack], float) for one in group], axis=0)
            for stack in first.values
        }
    return first._replace(values=values)


def _masks(kinds: np.ndarray, by_kind: bool) -> list[np.ndarray]:
    masks = [kinds == kind for kind in KINDS] if by_kind else [np.full(len(kinds), True)]
    return [mask for mask in masks if mask.any()]


def _draw_seeds(ax: Axes, group: Sequence[Series], places: Mapping[str, np.ndarray], by_kind: bool) -> None:
    """Each seed thin, and a band over all."""
    color = scheme_style(group[0].scheme).color
    for stack in group[0].values:
        for one in group:
            values = np.asarray(one.values[stack], float)
            x, kinds = places[stack][: len(values)], np.asarray(one.kinds[stack])
            for mask in _masks(kinds, by_kind):
                ax.plot(x[mask], values[mask], color=color, label="_nolegend_", **SEED)
        if has_band(group):
            every = np.array([np.asarray(one.values[stack], float) for one in group])
            x, kinds = places[stack][: every.shape[1]], np.asarray(group[0].kinds[stack])
            for mask in _masks(kinds, by_kind):
                low, high = every[:, mask].min(axis=0), every[:, mask].max(axis=0)
                ax.fill_between(x[mask], low, high, color=color, **BAND)


SEED: Mapping[str, Any] = {"linewidth": 0.5, "alpha": 0.35, "zorder": 2.5}
"""Look of one seed among several."""

BAND: Mapping[str, Any] = {"alpha": 0.16, "linewidth": 0.0, "zorder": 2.0}
"""Look of the band over several seeds."""


def band_key() -> Any:
    """What names the band in a legend."""
    from matplotlib.patches import Patch

    return Patch(facecolor=muted(), alpha=0.3, linewidth=0.0, label="mean, min to max of seeds")


def _draw_line(ax: Axes, scheme: str, x: np.ndarray, values: np.ndarray, extra: float) -> None:
    style = scheme_style(scheme)
    ax.plot(
        x,
        values,
        color=style.color,
        linestyle=style.dashes,
        linewidth=1.2 + extra,
        label="_nolegend_",
        zorder=3.0,
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
    """Schemes at the right end of the title's line or below; kinds of sub-layer, and more, below."""
    from matplotlib.lines import Line2D

    groups = by_scheme(series)
    lines = []
    for scheme in groups:
        style = scheme_style(scheme)
        look: dict[str, Any] = {"color": style.color, "linestyle": style.dashes, "linewidth": 1.8}
        lines.append(Line2D([], [], **look, label=legend_text(style.label)))
    handles: list[Any] = [
        Line2D([], [], color=muted(), linestyle="none", marker=marker, label=label)
        for label, marker in (
            KINDS[kind] for kind in _kinds(one for group in groups.values() for one in group)
        )
    ]
    if any(has_band(group) for group in groups.values()):
        handles.append(band_key())
    scheme_legend(ax, lines)
    legend_below(ax, [*handles, *more], columns=5)


def scheme_legend(ax: Axes, handles: list[Any]) -> None:
    """Legend beside the title if there is room, else below the axes."""
    legend_below(ax, handles, columns=4, above=True)


def shade_legend(ax: Axes, one: Series, color: str) -> None:
    """Legend of the bars' shades beside the title, or below the axes where there is no room."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=color, alpha=SHADES[kind], label=KINDS[kind][0]) for kind in _kinds([one])]
    legend_below(ax, handles, above=True)


MAX_UNDER = 2
"""Lines under a line that still make it wider."""


def _kinds(series: Iterable[Series]) -> list[str]:
    present = {kind for one in series for kinds in one.kinds.values() for kind in kinds}
    return [kind for kind in KINDS if kind in present]


def _mark_kinds(
    ax: Axes, x: np.ndarray, values: np.ndarray, kinds: np.ndarray, scheme: str, extra: float
) -> None:
    marked = []
    for kind, (_, marker) in KINDS.items():
        mask = kinds == kind
        if mask.any():
            marked += ax.plot(
                x[mask],
                np.asarray(values)[mask],
                marker,
                color=scheme_style(scheme).color,
                markersize=3.4 + extra,
                markeredgewidth=0.0,
                label="_nolegend_",
                zorder=3.0,
            )
    thin_out(ax, marked)


def _sizes(series: Sequence[Series]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for one in series:
        for stack, values in one.values.items():
            sizes[stack] = max(sizes.get(stack, 0), len(values))
    return sizes
