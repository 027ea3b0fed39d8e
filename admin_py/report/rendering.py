"""What the pages have in common: templates, the style sheet, pictures, pieces of lines, settings in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from admin_py.base.printable import printable
from admin_py.base.streams import say
from admin_py.plots.files import drawn
from admin_py.plots.style import scheme_style
from admin_py.report.picture import Absent, Picture
from admin_py.report.svg import inline_svg

REPORT_FILE, DATA_FOLDER = "report.html", "data"
TEMPLATES = Path(__file__).parent / "templates"

DASH = 2.0
"""Pixels of a unit of a line's dashes."""


def template(name: str) -> Any:
    """A template of the folder, which refuses what it was not told."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _shown(value: Any) -> Any:
    """What a template puts into the page: text of data and users can be seen and does nothing."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return printable(value, lines=True)
    return value


def css() -> Any:
    """The style sheet of all pages."""
    from markupsafe import Markup

    return Markup((TEMPLATES / "report.css").read_text("utf-8"))


def swatch(scheme: str) -> Any:
    """A piece of a scheme's line, with its dashes."""
    from markupsafe import Markup

    style = scheme_style(scheme)
    stops, end = [], 0.0
    for place, length in enumerate(style.dashes[1] or (1.0,)):
        paint = "transparent" if place % 2 else style.color
        stops.append(f"{paint} {end:g}px {end + DASH * length:g}px")
        end += DASH * length
    ground = f"repeating-linear-gradient(90deg, {', '.join(stops)})"
    return Markup('<span class="swatch" style="background:{}"></span>').format(ground)


def figures_by_part(shown: Sequence[Picture | Absent], names: str) -> list[dict[str, Any]]:
    """The pictures as the template needs them, by part of the report."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for one in shown:
        figure: dict[str, Any] = {"id": one.name, "heading": one.heading, "svg": None}
        if isinstance(one, Absent):
            figure |= {"why": one.why, "data": None}
        else:
            alt = printable(f"{one.heading} of {names}. {one.found}")
            draw = partial(inline_svg, one.draw, one.height, name=one.name, alt=alt)
            svg, why = drawn(draw, f"the picture {one.name} of the report")
            if svg is None:
                say(why)
            figure |= {
                "svg": svg,
                "why": why,
                "read": one.read,
                "found": one.found,
                "paper": one.paper,
                "data": f"{DATA_FOLDER}/{one.name}.csv",
            }
        parts.setdefault(one.part, []).append(figure)
    return [
        {"id": heading.lower().replace(" ", "-"), "heading": heading, "figures": figures}
        for heading, figures in parts.items()
    ]


def plain(value: Any) -> str:
    """A setting as people read it."""
    if isinstance(value, Mapping) and "kind" in value:
        rest = {key: item for key, item in value.items() if key != "kind"}
        return f"{value['kind']} ({plain(rest)})"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(plain, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)
