"""What is seen of an experiment: a bar of trainings, or a line for each, on the standard error stream."""

from __future__ import annotations

from admin_py.base.progress import Bar, shows_bars
from admin_py.base.streams import say


class Progress:
    """Lines, and a bar on a terminal or in a notebook.

    Parameters
    ----------
    count, there : int
        Of all trainings, and of those that were whole before.
    what, unit : str
        "study" and "run", or "grid" and "cell".
    enabled : bool
        Whether anything is shown.
    bar : bool
        Whether a bar of trainings is shown; if not, a training shows its own, and a line says which begins.
    """

    def __init__(self, count: int, there: int, *, what: str, unit: str, enabled: bool, bar: bool) -> None:
        self._all, self._count, self._enabled, self._begins = count, there, enabled, not bar
        self._bar: Bar | None = None
        if enabled and there:
            self._say(f"{there} of {count} {unit}s are there already")
        if enabled and bar and there < count and shows_bars():
            self._bar = Bar(count, there, what=what, unit=unit)

    def begins(self, title: str) -> None:
        """Before a training that shows its own progress."""
        if self._enabled and self._begins:
            self._say(f"[{self._count + 1}/{self._all}] {title}: begins")

    def done(self, text: str) -> None:
        """After a training."""
        self._count += 1
        if self._enabled:
            self._say(f"[{self._count}/{self._all}] {text}")
        if self._bar is not None:
            self._bar.update()

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.note(text)
        else:
            say(text)

    def close(self) -> None:
        """At the end, however it came."""
        if self._bar is not None:
            self._bar.close()
