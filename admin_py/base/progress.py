"""Progress bars: whether this is a notebook, and a bar for wherever this is, which never costs work."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from admin_py.base.printable import printable
from admin_py.base.streams import Quiet, is_terminal

MIN_BAR, MAX_BAR = 10, 30
"""Columns that figures leave to a bar: a sixth of the line, between these."""

GROWTH = 3
"""Columns left for figures that are longer when they are drawn next."""

SHOWN_SECONDS = 0.1
"""Between two pictures of a bar."""

RATE, TIME = "{rate_fmt}", "{elapsed}<{remaining}"


def in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel."""
    shell = sys.modules.get("IPython")
    ask = getattr(shell, "get_ipython", None)
    active = ask() if ask is not None else None
    return active is not None and hasattr(active, "kernel")


def shows_bars() -> bool:
    """Whether a bar can be seen where the standard error stream leads."""
    return is_terminal(sys.stderr) or in_notebook()


class Bar:
    """A bar of `tqdm`, on a terminal or in a notebook; without one it is mute. None of its methods raises.

    Parameters
    ----------
    total, done : int
        Units in all, None where that is not known, and those that are there already.
    what, unit : str
    leave : bool
        Whether it stays when it is closed.
    """

    def __init__(self, total: int | None, done: int, *, what: str, unit: str, leave: bool = True) -> None:
        self._figures: Callable[[], Sequence[str]] | None = None
        self._shown_at = -SHOWN_SECONDS
        self._stream = Quiet(sys.stderr)
        self._bar: Any = None
        shown = {"total": total, "initial": done, "desc": printable(what), "unit": unit, "leave": leave}
        self._try(lambda: self._open(shown))

    def _open(self, shown: dict[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a notebook has no widgets: the bar is then of text
            from tqdm.auto import tqdm
        if not in_notebook():
            shown["file"] = self._stream
        self._bar = tqdm(dynamic_ncols=True, **shown)

    def update(self, figures: Callable[[], Sequence[str]] | None = None, *, count: int = 1) -> None:
        """A unit is done, or so many.

        The figures beside the bar, the most important first, are asked for when it is drawn.
        """
        self._figures = figures or self._figures
        self._try(self._draw_figures, seldom=True)
        self._try(lambda: self._bar.update(count))

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._try(lambda: self._bar.write(printable(text, lines=True), file=self._bar.fp))

    def close(self) -> None:
        """At the end, however it came."""
        self._try(self._draw_figures)
        self._try(lambda: self._bar.close())

    def _draw_figures(self) -> None:
        if self._figures is None or self._bar is None:
            return
        shown = self._bar.format_dict
        self._bar.bar_format = fitting([printable(one) for one in self._figures()], shown)

    def _try(self, act: Callable[[], None], *, seldom: bool = False) -> None:
        """Do it, unless that is not due or nothing can be shown."""
        if seldom:
            if time.monotonic() - self._shown_at < SHOWN_SECONDS:
                return
            self._shown_at = time.monotonic()
        try:
            act()
        except Exception:
            self._figures = None


def fitting(figures: Sequence[str], shown: dict[str, Any]) -> str:
    """A format of `tqdm` with as many figures as leave room for the bar.

    Parameters
    ----------
    figures : sequence of str
        The most important first.
    shown : mapping
        ``format_dict`` of a bar.

    Examples
    --------
    >>> shown = {"n": 50, "total": 100, "elapsed": 5.0, "ncols": 50, "prefix": "training", "unit": "step"}
    >>> fitting(["nll 4.1", "speed 2,000 tokens/s"], shown)
    '{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]'
    >>> fitting(["nll 4.1", "speed 2,000 tokens/s"], {**shown, "ncols": 80})
    '{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, nll 4.1]'
    """
    from tqdm import tqdm

    plain = [one.replace("{", "{{").replace("}", "}}") for one in figures]
    told = [TIME, *plain[:2], RATE, *plain[2:]]
    columns = shown.get("ncols")
    formats = [_format(told[:count]) for count in range(len(told), -1, -1)]
    if columns is None:
        return formats[0]
    room = columns - max(MIN_BAR, min(MAX_BAR, columns // 6)) - GROWTH
    for one in formats:
        # Without columns a bar is of one letter here.
        measured = tqdm.format_meter(
            **{**shown, "bar_format": one.replace("{bar}", "{bar:1}"), "ncols": None}
        )
        if len(measured) - 1 <= room:
            return one
    return formats[-1]


def _format(told: Sequence[str]) -> str:
    beside = f" [{', '.join(told)}]" if told else ""
    return "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}" + beside
