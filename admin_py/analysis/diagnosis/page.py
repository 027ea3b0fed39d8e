"""The one page of a diagnosis: headings, tables and sentences as text of 80 columns, and as HTML."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from admin_py.base.printable import printable

Row = Sequence[str]

COLUMNS = 80


class Page(NamedTuple):
    """What stands on it.

    Examples
    --------
    >>> print(text(Page("Of a model", "stable", "it trains.", (), (("Limits", ("one task",)),))))
    Of a model
    STABLE: it trains.
    <BLANKLINE>
    Limits
    - one task
    """

    title: str
    level: str
    verdict: str
    tables: Sequence[tuple[Row, Sequence[Row]]]
    """Heading and rows of each."""
    lists: Sequence[tuple[str, Sequence[str]]]
    """Heading and sentences of each."""


def text(page: Page) -> str:
    """The page as text, at most 80 columns wide."""
    lines = [*_wrap(page.title), *_wrap(f"{page.level.upper()}: {page.verdict}"), ""]
    for heading, rows in page.tables:
        lines += [*_columns([heading, *rows]), ""]
    for name, sentences in page.lists:
        lines += [name, *(line for one in sentences for line in _wrap(one, bullet=True))]
    return "\n".join(lines)


def html(page: Page) -> str:
    """The same as HTML: tables and lists, without styles of its own."""
    parts = [
        f"<p><strong>{_shown(page.title)}</strong></p>",
        f"<p><strong>{_shown(page.level.upper())}</strong>: {_shown(page.verdict)}</p>",
    ]
    for heading, rows in page.tables:
        head = "".join(f"<th>{_shown(cell)}</th>" for cell in heading)
        body = "".join("<tr>" + "".join(f"<td>{_shown(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    for name, sentences in page.lists:
        items = "".join(f"<li>{_shown(one)}</li>" for one in sentences)
        parts.append(f"<p><strong>{_shown(name)}</strong></p><ul>{items}</ul>")
    return "\n".join(parts)


def _shown(text: str) -> str:
    return escape(printable(text))


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
