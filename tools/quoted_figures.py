"""Measured numbers that pages quote stand once, in docs/figures.json; the pages are compared with it.

    quoted_figures.py          what differs, or is quoted nowhere, or has no source; exit status 1 if anything
    quoted_figures.py write    puts the stored numbers into the pages

The file has four tables. `sources`: what was measured, with its command, machine and date. `figures`: name ->
value as it is printed, and its source. `quotes`: page and text, in which [[name]] stands for a figure; a text
is a paragraph, an item of a list or a row of a table of the page, lines joined. `others`: beginnings of those
in which no number is measured here, though they look so: the paper's, settings, versions.

A number with a decimal point, or before a unit, in a paragraph that is in neither table is an error in
`pages()`: who measures something writes down where it comes from. `tools/measure_quoted.py` measures some
again.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "docs" / "figures.json"

PAGES = ("README.md", *(f"docs/{name}.md" for name in
         ("index", "guide", "method", "paper_and_releases", "performance")))  # fmt: skip

MEASURED = re.compile(
    r"(?<![\w./-])\d*\.\d+(?![\w.]*\d)"  # 2.72, .138
    r"|\d[\d,]*(?= ?(?:%|ms\b|s\b|GiB|GFLOP|times\b|min\b|MiB))"
)
"""What looks measured."""

QUIET = re.compile(r"`[^`]*`|\$[^$]*\$|\]\([^)]*\)")
"""Code, formulas and targets of links: their numbers are no measurements."""


def pages() -> list[str]:
    """Pages and notebooks that are looked at."""
    return [*PAGES, *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("notebooks/*.ipynb")))]


def texts(page: str) -> list[str]:
    """The text of a page, or of each cell of text of a notebook."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if not page.endswith(".ipynb"):
        return [text]
    cells = json.loads(text)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]


def blocks(text: str) -> list[str]:
    """Paragraphs, items of lists and rows of tables, their lines joined; no code, formulas and headings.

    >>> blocks("# A\\n\\none\\ntwo\\n- three\\n\\n| a | b |\\n| c | d |\\n\\n    code 1.5\\n")
    ['one two', '- three', '| a | b |', '| c | d |']
    """
    text = re.sub(r"\A---\n.*?\n---\n|^```.*?^```$|\$\$.*?\$\$", "", text, flags=re.DOTALL | re.MULTILINE)
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        if not line.strip() or line.startswith(("    ", "#", ":::")):
            found.append([])
            continue
        if re.match(r"\s*(\||[-*] |\d+\. )", line):
            found.append([])
        found[-1].append(line)
        if line.lstrip().startswith("|"):
            found.append([])
    return [" ".join(" ".join(lines).split()) for lines in found if lines]


def looks_measured(block: str) -> bool:
    """Whether a paragraph has a number that looks measured.

    >>> looks_measured("a loss of 2.72"), looks_measured("`lr=0.1` and $x = 1.5$"), looks_measured("in 12 ms")
    (True, False, True)
    """
    return MEASURED.search(QUIET.sub(" ", block)) is not None


def stored() -> dict[str, Any]:
    """The file."""
    tables: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return tables


def names_in(text: str) -> list[str]:
    """Names of figures in a text.

    >>> names_in("from [[a.least]] to [[a.most]]")
    ['a.least', 'a.most']
    """
    return re.findall(r"\[\[([\w.]+)\]\]", text)


def filled(text: str, figures: dict[str, Any]) -> str:
    """A quote as it is to stand in its page."""
    return re.sub(r"\[\[([\w.]+)\]\]", lambda name: str(figures[name[1]]["value"]), text)


def problems(tables: dict[str, Any]) -> Iterator[str]:
    """What is wrong, a sentence each."""
    figures, sources = tables["figures"], tables["sources"]
    for name, source in sources.items():
        yield from (f"sources: {name!r} has no {key}" for key in ("what", "command", "machine", "date")
                    if not source.get(key))  # fmt: skip
    for name, figure in figures.items():
        if figure["source"] not in sources:
            yield f"figures: {name!r} has the source {figure['source']!r}, which is not in the table"
    quoted = {name for quote in tables["quotes"] for name in names_in(quote["text"])}
    yield from (f"quotes: there is no figure {name!r}" for name in sorted(quoted - figures.keys()))
    yield from (f"figures: {name!r} is quoted nowhere" for name in figures if name not in quoted)
    if quoted - figures.keys():
        return
    for page in dict.fromkeys([*pages(), *(one["file"] for one in tables["quotes"])]):
        there = [block for text in texts(page) for block in blocks(text)]
        wanted = [filled(one["text"], figures) for one in tables["quotes"] if one["file"] == page]
        yield from (f"{page}: does not say {text!r}" for text in wanted if text not in there)
        others = tuple(one["text"] for one in tables["others"] if one["file"] == page)
        yield from (f"{page}: nothing begins with {text!r}" for text in others
                    if not any(block.startswith(text) for block in there))  # fmt: skip
        for block in there:
            known = block in wanted or (others and block.startswith(others)) or page not in pages()
            if looks_measured(block) and not known:
                yield f"{page}: has numbers of which docs/figures.json does not know: {block!r}"


def pattern(text: str) -> re.Pattern[str]:
    """Where a quote stands in a page with whatever numbers, between whatever white space."""
    parts = [r"\s+".join(map(re.escape, re.split(r"\s+", one))) for one in re.split(r"\[\[[\w.]+\]\]", text)]
    return re.compile(r"(-?[\d.,]*\d(?:e-?\d+)?)".join(parts))


def write(tables: dict[str, Any]) -> int:
    """Puts the stored numbers where the quotes stand, and nothing else; how many pages changed."""
    changed = 0
    for page in {quote["file"] for quote in tables["quotes"]}:
        path = ROOT / page
        before = path.read_text(encoding="utf-8")
        own = [quote["text"] for quote in tables["quotes"] if quote["file"] == page]
        if page.endswith(".ipynb"):
            notebook = json.loads(before)
            for cell in notebook["cells"]:
                cell["source"] = _renewed("".join(cell["source"]), own, tables).splitlines(keepends=True)
            text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        else:
            text = _renewed(before, own, tables)
        if text != before:
            path.write_text(text, encoding="utf-8")
            changed += 1
    return changed


def _renewed(text: str, quotes: list[str], tables: dict[str, Any]) -> str:
    """A text with the stored numbers in those quotes that are in it."""
    for quote in quotes:
        values = [str(tables["figures"][name]["value"]) for name in names_in(quote)]
        text = pattern(quote).sub(lambda found, values=values: _swapped(found, values), text, count=1)
    return text


def _swapped(found: re.Match[str], values: list[str]) -> str:
    """The text that was found with other numbers."""
    text, end = "", found.start()
    for group, value in enumerate(values, start=1):
        text += found.string[end : found.start(group)] + value
        end = found.end(group)
    return text + found.string[end : found.end()]


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        print(f"pages changed: {write(stored())}")
    elif sys.argv[1:]:
        raise SystemExit(__doc__)
    wrong = list(problems(stored()))
    print("\n".join(wrong) or "all quotes are as they are stored")
    raise SystemExit(bool(wrong))
