"""Formulas as SVG inside the pages, drawn by Matplotlib: no script, no fonts and no images from elsewhere."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SIZE = 12.0
"""Of the letters, points; in the page a formula is as large as the text around it."""


def draw(formula: str) -> str:
    """One line of TeX, as far as Matplotlib's mathtext knows it, as an SVG element in units of em."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    text = " ".join(formula.split())
    properties = FontProperties(family="DejaVu Sans", size=SIZE, math_fontfamily="cm")
    try:
        width, height, depth, *_ = MathTextParser("path").parse(f"${text}$", dpi=72, prop=properties)
    except ValueError as error:
        raise ExtensionError(f"formula {text!r}: {error}") from None
    path = TextPath((0, 0), f"${text}$", prop=properties)
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}
    drawn = []
    for points, code in path.iter_segments(curves=True, simplify=False):
        numbers = "" if code == Path.CLOSEPOLY else " ".join(f"{value:.2f}" for value in points)
        drawn.append(letters[code] + numbers)
    # Flipped, because y points down in SVG; lowered by its depth, so that it stands on the line of the text.
    box = f"0 {-height:.2f} {width:.2f} {height + depth:.2f}"
    style = f"width:{width / SIZE:.3f}em;height:{(height + depth) / SIZE:.3f}em"
    style += f";vertical-align:{-depth / SIZE:.3f}em"
    return (
        f'<svg class="formula" role="img" aria-label="{escape(text)}" viewBox="{box}" style="{style}">'
        f'<path transform="scale(1,-1)" d="{"".join(drawn)}"/></svg>'
    )


def visit_inline(self: Any, node: nodes.math) -> None:
    self.body.append(draw(node.astext()))
    raise nodes.SkipNode


def visit_block(self: Any, node: nodes.math_block) -> None:
    text = node.astext().replace(r"\frac", r"\dfrac")  # displayed at full size
    lines = [line for line in re.split(r"\\\\\s*\n|\n\s*\n", text) if line.strip()]
    self.body.append('<div class="formulas">')
    self.body += [f"<div>{draw(line)}</div>" for line in lines]
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("svg", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
