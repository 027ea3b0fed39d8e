"""A figure as bytes, by way of no screen: the one place that renders."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from admin_py.base.streams import say, shielded
from admin_py.base.whole_files import write_whole
from admin_py.plots.style import WIDTH, context

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")

_UNDATED: Mapping[str, Mapping[str, None]] = {
    "png": {},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None},
}
"""Metadata without which the same figure gives the same bytes on any day."""

T = TypeVar("T")

MAX_REASON = 200
"""Characters of why a picture is left out."""

HEIGHT = 3.2
"""Of axes over the whole width, inches."""


class Picture(NamedTuple):
    """A picture: name of its file without the ending, inches, and what draws it into a figure."""

    name: str
    height: float
    draw: Callable[[Figure], Any]


def rendered(
    draw: Callable[[Figure], Any],
    kind: str,
    *,
    height: float = HEIGHT,
    dpi: float | None = None,
    own: bool = False,
) -> bytes:
    """What a function draws into the `Figure` it is given, as a file of this format; the same each time.

    Parameters
    ----------
    draw : callable
        Given a `matplotlib.figure.Figure`.
    kind : {"png", "svg", "pdf"}
    height : float
        Inches.
    dpi : float, optional
        Of what is kept as pixels; the style's by default.
    own : bool
        In the package's own style, whatever the user has set: for a page that has colours of its own.

    Examples
    --------
    >>> rendered(lambda figure: figure.subplots().plot([1, 2]), "png")[:4]
    b'\x89PNG'
    """
    with context(own=own), shielded():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        _lay_out(figure, kind, dpi)
        return saved(figure, kind, dpi=dpi)


def _lay_out(figure: Figure, kind: str, dpi: float | None) -> None:
    """Lay a figure out as it will be saved: one that has a layout would be drawn twice, once for it alone."""
    from matplotlib import rc_context, rcParams
    from matplotlib.backend_bases import get_registered_canvas_class

    canvas = get_registered_canvas_class(kind)(figure)
    asked = canvas.fixed_dpi or dpi or rcParams["savefig.dpi"]
    if asked != "figure":
        figure.set_dpi(asked)
    engine = figure.get_layout_engine()
    if figure.axes and engine is not None:
        with suppress(ValueError):  # as in drawing: one that cannot be laid out stays as it is
            engine.execute(figure)
    with rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)


def drawn(make: Callable[[], T], what: str) -> tuple[T | None, str]:
    """What a function makes that draws; or None and a sentence that says why this picture is left out.

    A picture that fails never takes the numbers with it: fonts, backends and styles are not ours.

    Parameters
    ----------
    make : callable
        Without arguments.
    what : str
        Name of the picture.

    Examples
    --------
    >>> drawn(lambda: 1 / 0, "profile.png")
    (None, 'profile.png is left out, it could not be drawn: ZeroDivisionError: division by zero')
    """
    try:
        return make(), ""
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        short = why if len(why) <= MAX_REASON else f"{why[:MAX_REASON]} ..."
        return None, f"{what} is left out, it could not be drawn: {short}"


def write_picture(
    path: Path, draw: Callable[[Figure], Any], kind: str | None = None, *, height: float = HEIGHT
) -> bool:
    """Write a picture; one that cannot be drawn is left out, and a line says so. Returns whether it is there.

    Parameters
    ----------
    path : Path
    draw : callable
        Given a `matplotlib.figure.Figure`.
    kind : {"png", "svg", "pdf"}, optional
        By default the ending of the file's name.
    height : float
        Inches.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    found, why = drawn(lambda: rendered(draw, kind or path.suffix[1:], height=height), path.name)
    if found is None:
        say(why)
        return False
    write_whole(path, found)
    return True


def saved(figure: Figure, kind: str, *, dpi: float | None = None) -> bytes:
    """A figure that is drawn already, as a file of this format; its text stays text."""
    stream = io.BytesIO()
    options: dict[str, Any] = {} if dpi is None else {"dpi": dpi}
    with context():
        figure.savefig(stream, format=kind, metadata=dict(_UNDATED[kind]) or None, **options)
    return stream.getvalue()
