"""The room that axes have, and what is fitted to it whenever a figure is laid out.

Sizes are known only when a figure is drawn: a user resizes it, puts other panels beside, sets a larger type.
What stands around the data is therefore fitted then, by steps that each plot function leaves with its axes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from admin_py.plots.fonts import dress, more_families
from admin_py.plots.style import context

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

Step = Callable[["Axes"], None]
MeasuringStep = Callable[["Axes", Any], None]
"""Given the renderer that measures what is drawn, too."""


class Room(NamedTuple):
    """Points that axes and all that stands around them have."""

    width: float
    height: float


def root_of(ax: Axes) -> Figure:
    """The whole figure that axes are in."""
    root: Figure = ax.figure.figure  # of a sub-figure too, in every version of Matplotlib
    return root


def room_of(ax: Axes) -> Room:
    """Their share of the figure; of axes that stand in no grid what they have now, and a margin."""
    box = ax.figure.bbox
    point = root_of(ax).dpi / 72.0
    width, height = box.width / point, box.height / point
    place: Any = ax.get_subplotspec()
    if place is None:
        own = ax.get_position(original=True)
        return Room(own.width * width + 40.0, own.height * height + 40.0)
    cell = place.get_position(ax.figure)
    pars = ax.figure.subplotpars
    across, up = pars.right - pars.left, pars.top - pars.bottom
    return Room(width * min(cell.width / across, 1.0), height * min(cell.height / up, 1.0))


def cell_of(ax: Axes) -> tuple[float, float, float, float]:
    """Pixels of the figure that axes have with all that stands around them: left, bottom, right, top."""
    box = ax.figure.bbox
    place: Any = ax.get_subplotspec()
    if place is None:
        return box.x0, box.y0, box.x1, box.y1
    cell, pars = place.get_position(ax.figure), ax.figure.subplotpars
    across, up = box.width / (pars.right - pars.left), box.height / (pars.top - pars.bottom)
    return (
        box.x0 + (cell.x0 - pars.left) * across,
        box.y0 + (cell.y0 - pars.bottom) * up,
        box.x0 + (cell.x1 - pars.left) * across,
        box.y0 + (cell.y1 - pars.bottom) * up,
    )


def size_of(ax: Axes) -> Room:
    """Of the axes themselves, as they stand at present."""
    box = ax.get_position()
    point = root_of(ax).dpi / 72.0
    return Room(box.width * ax.figure.bbox.width / point, box.height * ax.figure.bbox.height / point)


class Fitting:
    """Of one axes: what is fitted to their room. It is called by Matplotlib as their locator.

    Attributes
    ----------
    resized : dict of str to callable
        Steps of a name each, done where the room has changed; they decide by the room alone.
    always : dict of str to callable
        Steps done at every layout, by the axes as they stand; they must not ask for more room than before.
    measuring : dict of str to callable
        Such steps, done after the others, that measure what is drawn with the renderer of the layout: one of
        their own would have to be made each time, and would measure every text anew.
    """

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        self.before = ax.get_axes_locator()
        self.resized: dict[str, Step] = {}
        self.always: dict[str, Step] = {}
        self.measuring: dict[str, MeasuringStep] = {}
        self.title: Fitted | None = None
        self._room: tuple[float, ...] = ()
        self._busy = False

    def __call__(self, ax: Axes, renderer: Any) -> Bbox:
        place: Bbox = ax.get_position(original=True) if self.before is None else self.before(ax, renderer)
        ax.apply_aspect(place)  # the steps ask where they are
        self.fit(renderer)
        return place

    def get_subplotspec(self) -> Any:
        """The place in a grid, which a tight layout asks a locator for."""
        return self.ax.get_subplotspec()

    def fit(self, renderer: Any = None) -> None:
        """Do all steps that are due; those that measure need a renderer, which every layout has."""
        if self._busy:
            return
        self._busy = True
        try:
            with context():
                room = tuple(round(side, 1) for side in room_of(self.ax))
                if room != self._room:
                    self._room = room
                    self._do(self.resized)
                self._do(self.always)
                if renderer is not None:
                    for step in list(self.measuring.values()):
                        step(self.ax, renderer)
        finally:
            self._busy = False

    def again(self) -> None:
        """Do all steps but those that measure, whether the room has changed or not."""
        self._room = ()
        self.fit()

    def _do(self, steps: dict[str, Step]) -> None:
        for step in list(steps.values()):
            step(self.ax)


def fitting(ax: Axes) -> Fitting:
    """What is fitted in axes."""
    found = ax.get_axes_locator()
    if isinstance(found, Fitting):
        return found
    made: Any = Fitting(ax)
    ax.set_axes_locator(made)
    return made


def settle(axes: Iterable[Axes]) -> None:
    """Fit axes that were drawn into for the first time, and see that their figures lay out."""
    for ax in axes:
        found = ax.get_axes_locator()
        if isinstance(found, Fitting):
            found.again()
            dress(ax)
            _lay_out(ax)


def _lay_out(ax: Axes) -> None:
    """A layout for a figure that has none and whose places nobody has chosen: else much is cut off."""
    from matplotlib.figure import SubplotParams

    from admin_py.plots.spacious import Spacious, pars_of

    figure, place = root_of(ax), ax.get_subplotspec()
    if figure.get_layout_engine() is not None or place is None:
        return
    grid = place.get_topmost_subplotspec().get_gridspec()
    chosen: Any = getattr(grid, "locally_modified_subplot_params", list)()
    pars = SubplotParams()
    usual = (pars.left, pars.right, pars.bottom, pars.top, pars.wspace, pars.hspace)
    if not chosen and pars_of(figure) == usual:
        figure.set_layout_engine(Spacious(figure))


@lru_cache(4096)
def _measured(text: str, families: tuple[str, ...], weight: str | int) -> tuple[float, float]:
    """Width and height of a text of 10 points, in points."""
    from matplotlib.text import Text

    canvas = _measuring()
    artist = Text(0.0, 0.0, text, fontsize=10.0, fontfamily=list(families), fontweight=weight)
    artist.set_figure(canvas.figure)
    box = artist.get_window_extent(canvas.get_renderer())
    return float(box.width), float(box.height)


@cache
def _measuring() -> Any:
    """A canvas on which texts are measured, at a point a pixel."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    return FigureCanvasAgg(Figure(dpi=72))


HINTED = 1.03
"""Of a width that is measured, what it can be on a screen, where letters begin at pixels."""


def measured(text: str, size: float, like: Text | None = None) -> tuple[float, float]:
    """Width and height of a text in points; in the fonts of another text, or those in use."""
    from matplotlib import rcParams

    families = tuple(rcParams["font.family"] if like is None else like.get_fontfamily())
    weight = rcParams["font.weight"] if like is None else like.get_fontweight()
    families = (*families, *more_families(text, families))
    width, height = _measured(text, families, weight)
    return HINTED * width * size / 10.0, height * size / 10.0


SCALES = (1.0, 0.92, 0.85, 0.78, 0.7, 0.62, 0.55)
"""Of a text's size, the largest that fits."""

ONE_LINE = 0.85
"""Scale down to which a text stays on one line."""

SMALLEST = 4.5
"""Points of a letter."""


class Fitted:
    """A text that is shrunk, then broken into two lines, then cut, until it is no longer than there is room.

    Parameters
    ----------
    artist : matplotlib.text.Text
    span : callable
        Points that there are, of axes.
    """

    def __init__(self, artist: Text, span: Callable[[Axes], float]) -> None:
        self.artist, self.span = artist, span
        self.text = self.last = artist.get_text()
        self.size = float(artist.get_fontsize())

    def __call__(self, ax: Axes) -> None:
        if self.artist.get_text() != self.last or not self.text:
            return  # its user has changed it
        text, size = fit(self.text, self.size, max(self.span(ax), 10.0), self.artist)
        if text != self.last:
            self.artist.set_text(text)
            self.last = text
        if abs(size - float(self.artist.get_fontsize())) > 1e-6:
            self.artist.set_fontsize(size)


def fit(text: str, size: float, span: float, like: Text | None = None) -> tuple[str, float]:
    """A text and the size at which it is no longer than so many points."""
    lines = (text, broken(text))
    for scale in SCALES:
        for shown in lines[: 1 if scale >= ONE_LINE else 2]:
            if max(size * scale, SMALLEST) and measured(shown, size * scale, like)[0] <= span:
                return shown, size * scale
        if scale == ONE_LINE:  # better two lines of the whole size than one smaller still
            for larger in SCALES:
                if larger >= ONE_LINE and measured(lines[1], size * larger, like)[0] <= span:
                    return lines[1], size * larger
    size *= SCALES[-1]
    shown = lines[1]
    if "$" in text:
        return shown, max(size * span / measured(shown, size, like)[0], 0.7 * SMALLEST)
    for letters in range(40, 3, -2):
        shown = broken(cut(text, letters))
        if measured(shown, size, like)[0] <= span:
            break
    return shown, size


def broken(text: str) -> str:
    """A text in two lines of about the same length; not within a formula.

    Examples
    --------
    >>> broken("one of two lines")
    'one of\\ntwo lines'
    """
    words = re.findall(r"(?:\$[^$]*\$|\S)+", text)
    if len(words) < 2 or "\n" in text:
        return text
    ways = [(" ".join(words[:at]), " ".join(words[at:])) for at in range(1, len(words))]
    return "\n".join(min(ways, key=lambda way: max(map(len, way))))


def cut(text: str, letters: int) -> str:
    """A text of at most so many letters: beginning, an ellipsis, end.

    Examples
    --------
    >>> cut("a scheme with a long name", 12)
    'a schem…name'
    """
    plain = text.replace(r"\$", "$")
    if len(plain) <= letters or "$" in text.replace(r"\$", ""):
        return text
    tail = letters // 3
    return f"{plain[: letters - tail - 1].rstrip()}…{plain[-tail:].lstrip()}".replace("$", r"\$")


def set_title(ax: Axes, text: str) -> None:
    """A title that yields to one that the user has set, before or afterwards, and fits above the axes."""
    found = fitting(ax)
    mine = found.title
    for location in ("left", "center", "right"):
        other = ax.get_title(loc=location)
        if other and not (mine is not None and mine.last == other):
            return
    artist = ax.set_title(text, pad=_title_pad())
    found.title = Fitted(artist, partial(_title_span, artist=artist))
    found.always["title"] = found.title
    if artist is not ax.title:
        ax.title.add_callback(partial(_yield_to, mine=artist))


ABOVE_NUMBERS = 0.8
"""Of the size of numbers, what one at the upper end of an axis or of a bar of colours needs above it."""


def _title_pad() -> float:
    """Points between axes and their title."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    numbers = FontProperties(size=rcParams["ytick.labelsize"]).get_size_in_points()
    return max(float(rcParams["axes.titlepad"]), ABOVE_NUMBERS * float(numbers))


def title_of(ax: Axes) -> str:
    """The title that this package gave to axes, whole."""
    found = fitting(ax).title
    return "" if found is None else found.text


def _title_span(ax: Axes, artist: Text) -> float:
    """Points between the beginning of the title and the right end of what the axes have."""
    size = size_of(ax)
    place = ax.get_subplotspec()
    if place is None or artist.get_horizontalalignment() == "center":
        return size.width + 30.0
    columns = place.get_gridspec().ncols
    last = place.is_last_col()
    if columns == 1 or last:
        whole = ax.figure.bbox.width / root_of(ax).dpi * 72.0
        return whole * (1.0 - ax.get_position().x0) - 4.0
    return size.width + 8.0


def _yield_to(title: Text, mine: Text) -> None:
    if title.get_text():
        mine.set_text("")


ACROSS, UP = 0.82, 0.78
"""Of the room, how long the names of axes may be."""


def fit_labels(ax: Axes) -> None:
    """Fit the names of both axes to the room."""
    found = fitting(ax)
    for label, name, step in ((ax.xaxis.label, "xlabel", _across), (ax.yaxis.label, "ylabel", _up)):
        if label.get_text():
            found.resized[name] = Fitted(label, step)
            found.measuring[name] = partial(keep_inside, label=label, across=name == "xlabel")


def fit_bar_label(ax: Axes, bar: Axes) -> None:
    """Fit the name of a bar of colours to the room of its axes."""
    found, label = fitting(ax), bar.yaxis.label
    found.resized["bar"] = Fitted(label, _up)
    found.measuring["bar"] = partial(keep_inside, label=label, across=False)


def _across(ax: Axes) -> float:
    return ACROSS * room_of(ax).width


def _up(ax: Axes) -> float:
    return UP * room_of(ax).height


def keep_inside(ax: Axes, renderer: Any, label: Text, *, across: bool) -> None:
    """Move the name of an axis along it, away from its middle as far as the room's end asks for."""
    if label.figure is None or not label.get_text():
        return
    cell = cell_of(ax)
    box, drawn = ax.get_window_extent(), label.get_window_extent(renderer)
    if across:
        low, length, half, ends = box.x0, box.width, drawn.width / 2, (cell[0], cell[2])
    else:
        low, length, half, ends = box.y0, box.height, drawn.height / 2, (cell[1], cell[3])
    middle = min(max(low + length / 2, ends[0] + half + 1.0), ends[1] - half - 1.0)
    place = (middle - low) / length if length > 0 else 0.5
    (label.set_x if across else label.set_y)(place)
