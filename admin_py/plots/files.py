"""A figure as bytes, by way of no screen: the one place that renders."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

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
    from matplotlib.figure import Figure

    with context(own=own):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
        return saved(figure, kind, dpi=dpi)


def saved(figure: Figure, kind: str, *, dpi: float | None = None) -> bytes:
    """A figure that is drawn already, as a file of this format; its text stays text."""
    stream = io.BytesIO()
    options: dict[str, Any] = {} if dpi is None else {"dpi": dpi}
    with context():
        figure.savefig(stream, format=kind, metadata=dict(_UNDATED[kind]) or None, **options)
    return stream.getvalue()
