"""What stands beside the data and never on it: legends under the axes, bars of colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admin_py.plots.fonts import dress
from admin_py.plots.room import cut, fit_bar_label, fitting, measured, room_of, root_of, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.legend import Legend

NARROW = 4.0
"""Inches of room below which a legend has as many columns as fit."""

HANDLE, PAD, SPACING, LEGEND_LINE = 2.2, 0.6, 1.4, 1.42
"""Of a legend, in sizes of its type: a handle, before its name, between columns, and a line."""

FILLED, SHARE = 0.93, 0.36
"""Of the room of axes: what a legend may take across, and all of them up."""

GAP = 4.0
"""Points above a legend."""

BESIDE = 66.0
"""Points of the room that are not above the axes, and between a title and a legend."""

LONGEST_NAME = 200

WAYS = (
    *((scale, LONGEST_NAME) for scale in (1.0, 0.92, 0.85)),
    *((0.85, letters) for letters in (44, 36, 30)),
    *((scale, 30) for scale in (0.78, 0.7)),
    *((scale, letters) for letters in (24, 18, 14, 10) for scale in (0.7, 0.62, 0.55)),
    *((scale, 9) for scale in (0.5, 0.45, 0.4)),
)
"""Scale of a legend's type, and letters of a name: the first that fits is taken."""

ABOVE: Mapping[str, Any] = {"loc": "lower right"}
"""Of a legend at the right end of the title's line."""

BAR_GAP, BAR_WIDTH = 7.0, 11.0
"""Points between axes and a bar of colours, and of the bar."""

BAR_NUMBERS = 6
"""Steps between numbers beside a bar, at most."""


def legend_below(ax: Axes, *groups: Sequence[Any], columns: int = 3, above: bool = False) -> Legend | None:
    """Legend under the axes and what stands there, fitted to their room; each group begins a row.

    Of several legends, each call makes one, the later stand under the earlier.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    *groups : sequence of artists
        With labels.
    columns : int
        At most.
    above : bool
        At the right end of the title's line where there is room.

    Returns
    -------
    matplotlib.legend.Legend or None
        None where there is nothing to name.
    """
    filled = [list(group) for group in groups if group]
    if not filled:
        return None
    steps = fitting(ax).resized
    keys = steps.setdefault("keys", Keys(ax))
    assert isinstance(keys, Keys)
    keys.blocks.append(Block(filled, columns, above))
    keys(ax)
    fitting(ax).measuring["keys"] = keys.place
    return keys.blocks[-1].legend


@dataclass
class Block:
    """One legend: groups of what it names, and how it is laid out."""

    groups: list[list[Any]]
    columns: int
    above: bool
    legend: Legend | None = None
    is_above: bool = False

    def rows(self, columns: int) -> int:
        """Lines of so many columns."""
        return sum(-(-len(group) // columns) for group in self.groups)

    def padded(self, columns: int) -> list[Any]:
        """Row by row, blanks at the ends of groups but for the last."""
        from matplotlib.lines import Line2D

        blank = Line2D([], [], linestyle="none", label=" ")
        *before, last = self.groups
        return [item for group in before for item in [*group, *[blank] * (-len(group) % columns)]] + last


class Keys:
    """The legends of axes, made anew where their room has changed.

    They take as little of it as can be read: smaller letters and shorter names before a second row too many.
    """

    def __init__(self, ax: Axes) -> None:
        self.blocks: list[Block] = []
        self.room = room_of(ax)
        self.placed: tuple[Any, ...] = ()
        """What they were placed by: it is slow to measure all that stands under axes."""

    def __call__(self, ax: Axes) -> None:
        from matplotlib import rcParams
        from matplotlib.font_manager import FontProperties

        if any(block.legend is not None and not _is_in(ax, block.legend) for block in self.blocks):
            self.blocks = []  # its user has taken one away, or made another
            return
        base = FontProperties(size=rcParams["legend.fontsize"]).get_size_in_points()
        self.room, self.placed = room_of(ax), ()
        for block in self.blocks:
            if block.legend is not None:
                block.legend.remove()
        below = [block for block in self.blocks if not self._goes_above(ax, block, base)]
        scale, letters = self._chosen(below, base)
        # The first is the axes' own legend, which is the last one made.
        for block in reversed(self.blocks):
            if block.is_above:
                block.legend = _made(ax, block, base, len(block.groups[0]), LONGEST_NAME, ABOVE)
            else:
                columns = self._columns(block, scale * base, letters)
                block.legend = _made(ax, block, scale * base, columns, letters, {"loc": "upper left"})
            if block is not self.blocks[0]:
                ax.add_artist(block.legend)
                block.legend.set_clip_on(False)  # or it gets no room: what is clipped needs none
            dress(block.legend)

    def _goes_above(self, ax: Axes, block: Block, base: float) -> bool:
        """Whether it stands beside the title."""
        names = [item for group in block.groups for item in group]
        wide = _width(names, base, len(names), LONGEST_NAME)
        title = measured(title_of(ax), float(ax.title.get_fontsize()), ax.title)[0] * 1.2
        block.is_above = block.above and title + wide <= self.room.width - BESIDE
        return block.is_above

    def _chosen(self, blocks: list[Block], base: float) -> tuple[float, int]:
        """Scale of the type and letters of a name with which all take no more than their share."""
        for scale, letters in WAYS:
            lines = 0
            for block in blocks:
                lines += block.rows(self._columns(block, scale * base, letters))
            high = LEGEND_LINE * scale * base * lines + GAP * len(blocks)
            if high <= SHARE * self.room.height and all(self._fits(b, scale * base, letters) for b in blocks):
                break
        return scale, letters

    def _fits(self, block: Block, size: float, letters: int) -> bool:
        return _width(block.padded(1), size, 1, letters) <= FILLED * self.room.width

    def _columns(self, block: Block, size: float, letters: int) -> int:
        """So many as fit side by side, at most."""
        most = min(max(block.columns, 1), max(map(len, block.groups)))
        if self.room.width < NARROW * 72.0:
            most = max(map(len, block.groups))
        for columns in range(most, 1, -1):
            if _width(block.padded(columns), size, columns, letters) <= FILLED * self.room.width:
                return columns
        return 1

    def _where(self, ax: Axes, legends: Sequence[Legend]) -> tuple[Any, ...]:
        """What decides the places: size, limits, scales and words of the axes, and the legends."""
        words = (ax.get_xlabel(), ax.get_ylabel(), *(text.get_text() for text in ax.texts))
        ticks = (ax.xaxis.get_major_locator(), ax.xaxis.get_major_formatter(), ax.xaxis.label.get_fontsize())
        limits = (*ax.get_xlim(), *ax.get_ylim(), ax.get_xscale(), ax.get_yscale(), root_of(ax).dpi)
        bounds = tuple(round(float(side), 2) for side in ax.get_window_extent().bounds)
        return bounds, limits, words, *map(id, (*ticks[:2], *legends)), ticks[2]

    def place(self, ax: Axes, renderer: Any) -> None:
        """Put them under all that stands under the axes, and to the left as far as they need."""
        from matplotlib.transforms import ScaledTranslation

        below = [block.legend for block in self.blocks if block.legend is not None and not block.is_above]
        if not below or not all(_is_in(ax, legend) for legend in below):
            return
        where = self._where(ax, below)
        if where == self.placed:
            return
        self.placed = where
        point = root_of(ax).dpi / 72.0
        box = ax.get_window_extent()
        texts = [text.get_window_extent(renderer) for text in ax.texts if text.get_text()]
        axis = ax.xaxis.get_tightbbox(renderer)
        under = [one.y0 for one in (axis, *texts) if one is not None and one.y0 < box.y0]
        drop = (box.y0 - min(under, default=box.y0)) / point + GAP
        beside = ax.yaxis.get_tightbbox(renderer)
        left = 0.0 if beside is None else max(box.x0 - beside.x0, 0.0) / point
        for legend in below:
            drawn = legend.get_window_extent(renderer)
            shift = min(max(drawn.width - box.width, 0.0) / point, left)
            move = ScaledTranslation(-shift / 72.0, -drop / 72.0, root_of(ax).dpi_scale_trans)
            legend.set_bbox_to_anchor((0.0, 0.0), ax.transAxes + move)
            drop += drawn.height / point + GAP


def _is_in(ax: Axes, legend: Legend) -> bool:
    return ax.get_legend() is legend or legend in ax.artists


def _made(
    ax: Axes, block: Block, size: float, columns: int, letters: int, where: Mapping[str, Any]
) -> Legend:
    padded = block.padded(columns)
    handles = [item for column in range(columns) for item in padded[column::columns]]
    legend = ax.legend(
        handles=handles,
        labels=[cut(item.get_label(), letters) for item in handles],
        bbox_to_anchor=(1.0, 1.0) if block.is_above else (0.0, 0.0),
        ncols=columns,
        columnspacing=SPACING,
        handlelength=HANDLE,
        handletextpad=PAD,
        fontsize=size,
        borderaxespad=0.2 if block.is_above else 0.0,
        borderpad=0.2,
        labelspacing=0.3,
        **where,
    )
    legend.set_zorder(1.0)
    return legend


def _width(names: Sequence[Any], size: float, columns: int, letters: int) -> float:
    """Points of a legend that has these row by row."""
    wide = sum(
        max(
            (measured(cut(item.get_label(), letters), size)[0] for item in names[column::columns]),
            default=0.0,
        )
        for column in range(columns)
    )
    return wide + size * (columns * (HANDLE + PAD) + (columns - 1) * SPACING + 0.6)


def one_legend(axes: Sequence[Axes]) -> None:
    """Leaves, of axes below each other, the last one's legends."""
    for ax in axes[:-1]:
        clear_legends(ax)


def clear_legends(ax: Axes) -> None:
    """Remove what `legend_below` has made."""
    keys = fitting(ax).resized.pop("keys", None)
    fitting(ax).measuring.pop("keys", None)
    for block in keys.blocks if isinstance(keys, Keys) else ():
        if block.legend is not None and _is_in(ax, block.legend):
            block.legend.remove()


def color_bar(
    ax: Axes, image: AxesImage, label: str, *, whole: bool = False, extend: str = "neither"
) -> Axes:
    """Bar of an image's colours at the right of the axes, as high as they are; returns its axes.

    With `whole`, only whole numbers are written beside it.
    """
    from matplotlib.ticker import MaxNLocator
    from matplotlib.transforms import Bbox

    place = ax.inset_axes((1.0, 0.0, 0.1, 1.0))

    def locate(_: Any, renderer: Any) -> Bbox:
        (x, low), (_, high) = ax.transAxes.transform([(1.0, 0.0), (1.0, 1.0)])
        point = root_of(ax).dpi / 72.0
        box = Bbox.from_extents(x + BAR_GAP * point, low, x + (BAR_GAP + BAR_WIDTH) * point, high)
        return box.transformed(ax.figure.transSubfigure.inverted())

    place.set_axes_locator(locate)  # of fixed width: the layout settles at once
    bar = root_of(ax).colorbar(image, cax=place, label=label, extend=extend)
    fit_bar_label(ax, place)
    bar.outline.set_visible(False)
    # As many numbers whatever its height, which the layout changes: their width must not change with it.
    size = float(place.yaxis.majorTicks[0].label2.get_fontsize())
    numbers = int(min(BAR_NUMBERS, max(2.0, 0.4 * room_of(ax).height / (1.5 * size))))
    bar.locator = MaxNLocator(numbers, steps=[1, 2, 5, 10], integer=whole)
    bar.update_ticks()
    place.grid(False)
    return place
