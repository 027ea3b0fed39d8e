"""Printing that never costs work: streams of every kind, and letters that would command a terminal."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from typing import Any

import pytest

from admin_py.base.printable import printable
from admin_py.base.progress import Bar, fitting
from admin_py.base.streams import (
    Quiet,
    finish,
    is_terminal,
    say,
    say_result,
    shielded,
    warn,
)


class WriteOnly:
    """As experiment loggers put into the place of a stream."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


class Failing(WriteOnly):
    """A stream whose every call raises."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> None:
        raise self.error

    def flush(self) -> None:
        raise self.error

    def isatty(self) -> bool:
        raise self.error

    @property
    def encoding(self) -> str:
        raise self.error


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


LOST: dict[str, Any] = {
    "none": lambda: None,
    "closed": closed,
    "a closed terminal": lambda: Failing(OSError(errno.EIO, "Input/output error")),
    "a full disk": lambda: Failing(OSError(errno.ENOSPC, "No space left on device")),
    "a reader that has gone": lambda: Failing(BrokenPipeError(errno.EPIPE, "Broken pipe")),
    "an error of its own": lambda: Failing(RuntimeError("no")),
    "an object that is no stream": object,
}


@pytest.mark.parametrize("make", LOST.values(), ids=LOST)
def test_what_no_stream_takes_is_dropped(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", make())
    monkeypatch.setattr(sys, "stdout", make())
    assert say("text") is False
    assert is_terminal(sys.stderr) is False
    silent = sys.stdout is None or isinstance(getattr(sys.stdout, "error", None), BrokenPipeError)
    assert (say_result("text") is None) == silent, "nobody misses it"
    bar = Bar(3, 0, what="training", unit="step")
    bar.update(lambda: ["nll 1.0"])
    bar.note("a line")
    bar.close()
    with shielded():
        print("text")
        print("text", file=sys.stderr, flush=True)
    finish()


def test_objects_that_can_only_write_get_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = WriteOnly()
    monkeypatch.setattr(sys, "stderr", stream)
    assert say("one\ntwo")
    assert stream.text == "one\ntwo\n"
    bar = Bar(2, 0, what="study", unit="run")
    bar.update()
    bar.close()
    assert "1/2" in stream.text


def test_letters_that_a_stream_has_no_code_for_are_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    assert say("schön β", stream=stream)
    assert raw.getvalue() == b"sch\\xf6n \\u03b2\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    {
        "\x1b[2J\x07": "\\x1b[2J\\x07",
        "a\x00b\rc": "a\\x00b\\rc",
        "\x9b31m\x7f": "\\x9b31m\\x7f",
        "\udcff": "\\xff",
        "\u202eright\u2028": "\\u202eright\\u2028",
        "zwei\n\tZeilen ß 語 🙂": "zwei\n\tZeilen ß 語 🙂",
    }.items(),
)
def test_what_would_command_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text, lines=True) == shown


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_what_a_full_stream_has_not_taken_is_not_tried_again() -> None:
    """Python would end with status 120 otherwise."""
    with open("/dev/full", "w", encoding="utf-8") as stream:
        assert not say("lost", stream=stream)
        stream.flush()  # nothing is left


def test_a_warning_reaches_no_closed_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    monkeypatch.setattr(sys, "stderr", closed())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: sys.stderr.write(str(message))  # type: ignore[assignment]
        warn("careful")
    with pytest.raises(UserWarning, match="careful"):
        warn("careful")  # an error here


def test_a_shield_is_taken_away_again() -> None:
    before = sys.stdout, sys.stderr
    with shielded():
        assert isinstance(sys.stderr, Quiet)
        inner = sys.stderr
        with shielded():
            assert sys.stderr is inner
    assert (sys.stdout, sys.stderr) == before


CLOSING = """
import os
from admin_py.base.streams import occupy_closed
os.close(1)
os.close(2)
occupy_closed()
os._exit(0 if os.open(os.devnull, os.O_RDONLY) > 2 else 1)
"""


def test_the_numbers_of_closed_streams_are_taken() -> None:
    """A file that is opened next is none of the three."""
    assert subprocess.run([sys.executable, "-c", CLOSING], check=False).returncode == 0


FIGURES = ["nll 4.1234", "valid 4.2345", "12,345 tokens/s", "lr 0.001", "gradient norm 0.123"]


@pytest.mark.parametrize(("columns", "least", "told"), [(60, 10, 0), (80, 13, 1), (120, 20, 3), (300, 30, 5)])
def test_a_narrow_terminal_has_fewer_figures_not_less_bar(columns: int, least: int, told: int) -> None:
    from tqdm import tqdm

    shown = {"n": 500, "total": 1000, "elapsed": 50.0, "prefix": "training", "unit": "step", "ascii": True}
    shown["ncols"] = columns
    line = tqdm.format_meter(**{**shown, "bar_format": fitting(FIGURES, shown)})
    assert len(line) == columns
    assert len(line.split("|")[1]) >= least, line
    assert sum(one in line for one in FIGURES) == told, line


def test_braces_in_figures_are_no_fields() -> None:
    from tqdm import tqdm

    shown = {"n": 1, "total": 2, "elapsed": 1.0, "ncols": 100, "prefix": "x", "unit": "y", "ascii": True}
    assert "{odd}" in tqdm.format_meter(**{**shown, "bar_format": fitting(["{odd}"], shown)})
