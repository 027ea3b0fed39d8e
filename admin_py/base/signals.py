"""What ends work from outside: Ctrl-C, and SIGTERM, which shutdowns and batch systems send."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


def in_main_thread() -> bool:
    """Whether signals can be received here."""
    return threading.current_thread() is threading.main_thread()


def takes(number: int) -> bool:
    """Whether this signal may be handled here: nobody ignores it, nor handles it outside Python.

    Ctrl-C raises KeyboardInterrupt unless somebody has changed that; SIGTERM has no handler unless somebody
    gives it one.
    """
    handler = signal.getsignal(number)
    usual = number == signal.SIGTERM and handler == signal.SIG_DFL
    return in_main_thread() and (usual or callable(handler))


class Termination:
    """Within it SIGTERM is KeyboardInterrupt, and `came` says that it has come.

    Where nobody has a handler of their own; else nothing changes.

    Examples
    --------
    >>> with Termination() as termination:
    ...     try:
    ...         signal.raise_signal(signal.SIGTERM)
    ...     except KeyboardInterrupt:
    ...         print(termination.came)
    True
    """

    def __init__(self) -> None:
        self.came = False
        self._entered = False

    def __enter__(self) -> Termination:
        if in_main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self)
            self._entered = True
        return self

    def __exit__(self, *error: Any) -> None:
        if self._entered:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


class Deferred:
    """While it is entered, Ctrl-C and SIGTERM only call `first`; each Ctrl-C that follows calls `again`.

    Not SIGTERM: those who send it often send it to a process and then to its group.

    Only the main thread can receive signals; in another one, and where a signal is ignored, nothing changes.
    Who handled SIGTERM before is told afterwards, too: a `Termination` takes note of it, another handler is
    called when it has its place again.

    Parameters
    ----------
    first, again : callable
        Without arguments. They run between any two instructions of the main thread, so they must be short.
    """

    def __init__(self, first: Callable[[], None], again: Callable[[], None]) -> None:
        self._first, self._again = first, again
        self._told = False
        self._previous: dict[int, Any] = {}
        self._terminated = False

    def __enter__(self) -> Deferred:
        for number in (signal.SIGINT, signal.SIGTERM):
            if takes(number):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        before = self._previous.get(signal.SIGTERM)
        if self._terminated and callable(before) and not isinstance(before, Termination):
            before(signal.SIGTERM, None)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            self._terminated = True
            before = self._previous.get(number)
            if isinstance(before, Termination):
                before.came = True
        if not self._told:
            self._told = True
            self._first()
        elif number == signal.SIGINT:
            self._again()
