"""The one page of a diagnosis: plain text of 80 columns, and the same as HTML."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from admin_py.diagnose_results import number
from admin_py.plots.style import scheme_style

if TYPE_CHECKING:
    from admin_py.diagnose_results import Diagnosis

Row = Sequence[str]

COLUMNS = 80
REFERENCES = (("post_ln", "Post-LN"), ("pre_ln", "Pre-LN"), ("admin", "Admin"))


def page(diagnosis: Diagnosis) -> str:
    """The diagnosis as text, at most 80 columns wide."""
    lines = [*_wrap(_title(diagnosis)), *_wrap(f"{diagnosis.level.upper()}: {diagnosis.verdict}"), ""]
    for heading, rows in _tables(diagnosis):
        lines += [*_columns([heading, *rows]), ""]
    for heading, sentences in _texts(diagnosis):
        lines += [heading, *(line for text in sentences for line in _wrap(text, bullet=True))]
    return "\n".join(lines)


def page_html(diagnosis: Diagnosis) -> str:
    """The same as HTML: tables and lists, without styles of its own."""
    parts = [
        f"<p><strong>{escape(_title(diagnosis))}</strong></p>",
        f"<p><strong>{escape(diagnosis.level.upper())}</strong>: {escape(diagnosis.verdict)}</p>",
    ]
    for heading, rows in _tables(diagnosis):
        head = "".join(f"<th>{escape(cell)}</th>" for cell in heading)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    for heading, sentences in _texts(diagnosis):
        items = "".join(f"<li>{escape(text)}</li>" for text in sentences)
        parts.append(f"<p><strong>{escape(heading)}</strong></p><ul>{items}</ul>")
    return "\n".join(parts)


def _title(diagnosis: Diagnosis) -> str:
    about = diagnosis.metadata
    counts = [str(about[f"{stack}_layers"]) for stack in diagnosis.stacks]
    layers = " + ".join(counts) if len(counts) == 2 else f"{counts[0]} {diagnosis.stacks[0]}"
    sizes = f"D {about['d_model']}, F {about['d_ff']}, H {about['heads']}"
    return f"Diagnosis of {scheme_style(diagnosis.scheme).label}: {layers} layers, {sizes}"


def _tables(diagnosis: Diagnosis) -> Iterator[tuple[Row, list[Row]]]:
    """Heading and rows of every table."""
    heading = ("Amplification, sum of beta_jj^2", "this", *(label for _, label in REFERENCES), "grows like")
    yield heading, [_amplification_row(diagnosis, stack) for stack in diagnosis.stacks]
    heavy: list[Row] = [(one.name, number(one.own), f"{one.share:.1%}") for one in diagnosis.heaviest()]
    yield ("Heaviest sub-layers", "beta_jj^2", "of its stack's sum"), heavy
    if diagnosis.gradients:
        rows: list[Row] = []
        for stack in diagnosis.stacks:
            found = diagnosis.gradient_range(stack)
            rows.append(
                (
                    stack,
                    f"{number(found.smallest)} at {_short(found.smallest_at)}",
                    f"{number(found.largest)} at {_short(found.largest_at)}",
                    number(found.top_over_bottom),
                )
            )
        yield ("|dL/dx_i|", "smallest", "largest", "top/bottom"), rows


def _amplification_row(diagnosis: Diagnosis, stack: str) -> Row:
    curve = diagnosis.amplification(stack)
    found = diagnosis.growth(stack)
    form, line = ("ln i", found.logarithmic) if found.better == "logarithmic" else ("i", found.linear)
    how = f"{form}, R^2 {line.r2:.2f}" if math.isfinite(line.r2) else "-"
    others = [number(float(diagnosis.references[name][stack].sum())) for name, _ in REFERENCES]
    return (f"{stack}, {len(curve)} sub-layers", number(float(curve[-1])), *others, how)


def _short(name: str) -> str:
    """Name of a sub-layer within its stack."""
    return name.partition(".")[2]


def _texts(diagnosis: Diagnosis) -> Iterator[tuple[str, Sequence[str]]]:
    """Heading and sentences of every list that has any."""
    if diagnosis.findings:
        yield "Also seen", diagnosis.findings
    if diagnosis.advice:
        yield "What to change", diagnosis.advice
    yield "Limits", (diagnosis.limits,)


def _wrap(text: str, *, bullet: bool = False) -> list[str]:
    first, rest = ("- ", "  ") if bullet else ("", "")
    return textwrap.wrap(text, COLUMNS, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _columns(rows: Sequence[Row]) -> list[str]:
    """Rows as lines: the first column to the left, numbers to the right of theirs."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
    return lines
