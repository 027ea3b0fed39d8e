"""Letters that the fonts in use lack: another font's, or an escape; never a box with a warning."""

from __future__ import annotations

import matplotlib
import pytest
from made_results import made_profile
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, fontManager

from admin_py import plots
from admin_py.plots import fonts
from admin_py.plots.files import rendered
from admin_py.plots.style import legend_text

ELSEWHERE = "\u1d81"
"""In STIXGeneral, which comes with Matplotlib, and not in DejaVu Sans."""

NOWHERE = "\ue0f1"
"""Of the private area: in no font of a usual system."""


def drawn(tokens: list[str]) -> Figure:
    """A map of two tokens, drawn; a warning of the drawing is an error."""
    ax = plots.plot_attention([[0.5, 0.5], [0.2, 0.8]], tokens=tokens)
    ax.figure.draw_without_rendering()
    return ax.figure


def labels(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_another_font_that_has_the_letter_is_used() -> None:
    figure = drawn([f"a{ELSEWHERE}", "b"])
    assert labels(figure) == [f"a{ELSEWHERE}", "b"]
    assert fonts.fallback(ELSEWHERE) in figure.axes[0].get_yticklabels()[0].get_fontfamily()


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (NOWHERE, "\\ue0f1"),
        ("\x01", "\\x01"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("two\nlines", "two\\nlines"),
        ("\udc80", "\\x80"),
    ],
)
def test_what_no_font_has_is_an_escape(token: str, shown: str) -> None:
    if token == NOWHERE and fonts.fallback(NOWHERE):
        pytest.skip("a font of this system has it")
    assert labels(drawn([token, "b"])) == [shown, "b"]
    assert legend_text(token) == shown


@pytest.mark.parametrize(
    "setting",
    [
        {"font.sans-serif": ["STIXGeneral"]},
        {"font.family": ["DejaVu Sans", "STIXGeneral"]},
        {"font.family": "serif", "font.serif": ["STIXGeneral"]},
    ],
)
def test_the_users_fonts_are_used(setting: dict[str, object]) -> None:
    with matplotlib.rc_context(setting):
        figure = drawn([ELSEWHERE, "b"])
        assert labels(figure) == [ELSEWHERE, "b"]
        assert figure.axes[0].title.get_fontfamily() == matplotlib.rcParams["font.family"]


def test_fonts_that_cannot_be_drawn_are_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    broken = tmp_path / "emoji.ttf"
    broken.write_bytes(b"no font")
    entry = FontEntry(fname=str(broken), name="A Sans", style="normal")
    monkeypatch.setattr(fontManager, "ttflist", [entry, *fontManager.ttflist])
    fonts.fallback.cache_clear()
    assert fonts.fallback(ELSEWHERE) not in (None, "A Sans")
    fonts.fallback.cache_clear()


def test_text_stays_text_in_files() -> None:
    def draw(figure: Figure) -> None:
        plots.plot_quantity(made_profile("a scheme"), figure.subplots())

    assert ">a scheme</text>" in rendered(draw, "svg").decode("utf-8")
    pdf = rendered(draw, "pdf")
    assert b"/FontFile2" in pdf  # outlines of TrueType, type 42
    assert b"/Type3" not in pdf.replace(b"/Subtype /Type3", b"/Type3")
