"""The report in a real browser, wide and narrow, light and dark: it fits, is silent, every picture shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from made_bleu import translated
from made_results import made_study

import admin_py as ap
from admin_py.experiments.study.results import Sample, Study, StudyRun
from admin_py.report.page import write_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

LONG = "ein sehr langes Wort: " + "Donaudampfschifffahrtsgesellschaft" * 12

NAME = "a_scheme_of_ones_own_with_a_name_of_44_chars"

SIZES = """
[document.documentElement.scrollWidth, document.documentElement.clientWidth,
 ...[...document.querySelectorAll('main > *, figure, nav, .scroll')]
    .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(one => one.tagName)]
"""

PICTURES = """
[...document.querySelectorAll('svg')].map(one => {
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    const drawn = one.querySelectorAll('path, image, use').length;
    return [box.width, box.height, drawn, style.visibility, style.display];
})
"""

LINKS = """
[...document.querySelectorAll('a')].map(one => [one.getAttribute('href'), one.hash.length > 1 &&
    document.getElementById(one.hash.slice(1)) !== null])
"""


@pytest.fixture(scope="module")
def study() -> Study:
    """Several seeds, one that diverged, a scheme with a long name, and outputs too long for a line."""
    ends = {"post_ln": [2.65, 2.7], "pre_ln": [0.17, 0.15], "admin": [0.16, None], NAME: [0.2, 0.3]}
    made = made_study(ends)
    samples = (Sample(LONG, LONG, LONG), Sample("a", "b", "b"))
    config = ap.TransformerConfig(
        vocab_size=9, encoder_layers=2, decoder_layers=2, d_model=8, heads=2, d_ff=16
    )
    diagnosis = ap.diagnose(ap.Transformer(config, seed=1), ap.Batch([[3, 4, 5]], [[1, 6, 7, 2]]))
    runs = tuple(
        StudyRun(**{**vars(run), "samples": samples, "diagnosis": replace(diagnosis, scheme=run.scheme)})
        for run in made.runs
    )
    made = made.with_members(runs)
    return translated(made) if find_spec("sacrebleu") else made


@pytest.fixture(scope="module")
def page(study: Study, tmp_path_factory) -> Path:
    return write_report(study, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 500, 390])
def test_it_fits_is_silent_and_shows_every_picture(
    browser: Browser, page: Path, width: int, theme: str
) -> None:
    browser.open(page, width=width, theme=theme)
    opened = browser.evaluate("[...document.querySelectorAll('details')].map(one => one.open = true)")
    assert len(opened) == 4
    needed, there, *outside = browser.evaluate(SIZES)
    assert width - 20 <= there <= width, "but for a scroll bar"
    assert needed <= there
    assert outside == []
    table, box = browser.evaluate("(b => [b.scrollWidth, b.clientWidth])(document.querySelector('.scroll'))")
    assert width < 1000 or table <= box, "the results are seen whole where there is room"
    pictures = browser.evaluate(PICTURES)
    assert len(pictures) >= 5
    for wide, high, drawn, visibility, display in pictures:
        assert wide > 300
        assert high > 100
        assert drawn > 5
        assert (visibility, display) == ("visible", "block")
    assert browser.messages == []


PRINTED = """
[[...document.querySelectorAll('details > table')].map(one => one.checkVisibility()),
 [...document.querySelectorAll('.figure')].map(one => one.getBoundingClientRect().height),
 [...document.querySelectorAll('table, svg, pre, p')]
    .filter(one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(one => one.tagName)]
"""

PAPER = (680, 1016)
"""Pixels of an A4 page without its margins."""


def test_on_paper_details_are_open_and_pictures_are_small_enough(browser: Browser, page: Path) -> None:
    browser.open(page, width=PAPER[0])
    folded, *_ = browser.evaluate(PRINTED)
    assert folded == 12 * [False], "folded on the screen"
    browser.call("Emulation.setEmulatedMedia", media="print")
    tables, figures, outside = browser.evaluate(PRINTED)
    assert tables == 12 * [True]
    assert outside == []
    assert max(figures) < PAPER[1], "a picture and its words fit on a page"
    assert sum(2 * height < PAPER[1] for height in figures) > len(figures) / 2, "most of them in twos"
    browser.call("Emulation.setEmulatedMedia", media="")


def test_links_lead_to_something(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    links = browser.evaluate(LINKS)
    assert links
    for target, found in links:
        assert found or (page.parent / target).is_file(), target


def test_the_check_can_fail(browser: Browser, page: Path, tmp_path: Path) -> None:
    """A page that is too wide, speaks to the console and loads what is not there is found out."""
    odd = tmp_path / "odd.html"
    text = page.read_text("utf-8")
    bad = "<pre style='width:2000px'>x</pre><script>console.warn('odd')</script><img src='no.png'>"
    odd.write_text(text.replace("</main>", f"{bad}</main>"), encoding="utf-8")
    browser.open(odd, width=390)
    needed, there, *_ = browser.evaluate(SIZES)
    assert needed > there
    assert "warning: odd" in browser.messages
    assert any("not loaded" in message for message in browser.messages)
