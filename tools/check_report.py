"""Checks a folder that `admin-py study` wrote: the results load, the report is whole and needs no network.

python tools/check_report.py FOLDER SCHEME...
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

import admin_py as ap

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

MAX_CHARACTERS = 5_000_000


class Page(HTMLParser):
    """Counts elements, notes what is fetched and linked, and checks that elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: dict[str, int] = {}
        self.fetched: list[str] = []
        self.linked: list[str] = []

    def note(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements[tag] = self.elements.get(tag, 0) + 1
        for name, value in attributes:
            loads = name in ("src", "srcset", "data") or (name == "href" and tag == "link")
            if loads and value and not value.startswith("data:"):
                self.fetched.append(value)
            if tag == "a" and name == "href" and value and not value.startswith("#"):
                self.linked.append(value)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.note(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        opened = self.open.pop()
        assert opened == tag, f"<{opened}> is closed by </{tag}>"


def main(folder: Path, schemes: list[str]) -> None:
    study = ap.Study.load(folder)
    assert sorted({run.scheme for run in study.runs}) == sorted(schemes), study
    for run in study.runs:
        assert np.isfinite(run.history.loss).all(), run

    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert not page.open, f"not closed: {page.open}"
    assert not page.fetched, f"fetched from elsewhere: {page.fetched}"
    assert not re.search(r"@import|url\(\s*['\"]?(?!data:|#)", text), "the style sheet fetches something"
    missing = [link for link in page.linked if not (folder / link).is_file()]
    assert not missing, f"linked and not there: {missing}"
    assert len(text) < MAX_CHARACTERS, f"the report has {len(text)} characters"
    assert page.elements.get("svg", 0) + page.elements.get("img", 0) >= 4, page.elements
    assert page.elements.get("table", 0) >= 1
    print(
        f"{folder / 'report.html'} is whole: {len(text) // 1000} kB, {page.elements.get('svg', 0)} pictures"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
