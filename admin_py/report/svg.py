"""Figures as SVG that stands inside an HTML page, in the colours of the page's theme."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from admin_py.base.printable import printable
from admin_py.plots.files import rendered
from admin_py.plots.style import FAINT, INK, MUTED, PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_THEME = {INK: "currentColor", MUTED: "var(--muted)", FAINT: "var(--grid)", PAPER: "none"}

DOTS_PER_INCH = 200
"""Of what is kept as pixels, such as the cells of a heatmap."""


def inline_svg(draw: Callable[[Figure], None], height: float, *, name: str, alt: str) -> Any:
    """A figure as SVG to stand inside HTML, in the colours of the page's theme.

    Parameters
    ----------
    draw : callable
        Draws into the `Figure` it is given.
    height : float
        Inches.
    name : str
        Goes before all ids, so that several figures can stand in one page.
    alt : str
        What the figure shows, for those who do not see it.

    Returns
    -------
    markupsafe.Markup
    """
    from markupsafe import Markup, escape

    svg = rendered(draw, "svg", height=height, dpi=DOTS_PER_INCH, own=True).decode("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
    for color, themed in _THEME.items():
        svg = svg.replace(color.lower(), themed)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    # Names that are text in the picture, not outlines, are no more to be trusted than those of the page.
    svg = "\n".join(printable(line, lines=True) for line in svg.split("\n"))
    head = Markup('<svg role="img" aria-label="{}" ').format(escape(alt))
    return head + Markup(svg[len("<svg ") :])
