"""Lines on the standard output stream, each when it is its turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from admin_py.base.printable import printable
from admin_py.base.signals import Deferred
from admin_py.base.streams import Quiet, is_terminal


class ReaderGone(Exception):
    """Who read the lines has seen enough, as ``head`` does."""


class LinesOut:
    """What was found for numbered lines, in any order, written in theirs, as UTF-8.

    Ctrl-C and SIGTERM do not cut a line in two: KeyboardInterrupt is raised when it is written.

    Parameters
    ----------
    written : callable, optional
        Told how many have had their turn.
    """

    def __init__(self, written: Callable[[int], object] | None = None) -> None:
        binary = getattr(sys.stdout, "buffer", None)
        self._binary = binary is not None
        self._stream = Quiet(binary if self._binary else sys.stdout)
        self._shows = is_terminal(sys.stdout)
        self._waiting: dict[int, list[str]] = {}
        self._next = 0
        self._told = written
        self._stopped = False

    def put(self, number: int, texts: Iterable[str]) -> None:
        """The lines that stand for a numbered one, which wait for their turn."""
        self._waiting[number] = [self._one_line(text) for text in texts]

    def write(self) -> None:
        """Write all whose turn it is.

        Raises
        ------
        ReaderGone
            If nobody reads them.
        OSError
            If they cannot be written.
        KeyboardInterrupt
            If a signal came meanwhile.
        """
        first, ready = self._next, list[str]()
        while self._next in self._waiting:
            ready += self._waiting.pop(self._next)
            self._next += 1
        if self._next == first:
            return
        with Deferred(self._stop, self._leave):
            self._emit("".join(f"{line}\n" for line in ready))
        if self._told is not None:
            self._told(self._next - first)
        if self._stopped:
            raise KeyboardInterrupt

    def _emit(self, text: str) -> None:
        data: Any = text.encode("utf-8", "backslashreplace") if self._binary else text
        self._stream.write(data)
        self._stream.flush()
        error = self._stream.error
        if isinstance(error, BrokenPipeError):
            raise ReaderGone
        if error is not None:
            raise OSError(f"the standard output stream cannot be written: {error}")

    def _one_line(self, text: str) -> str:
        r"""A text without ends of lines, which are shown as ``\n``; on a terminal without what steers it."""
        text = text.replace("\r", "\\r").replace("\n", "\\n")
        return printable(text) if self._shows else text

    def _stop(self) -> None:
        self._stopped = True

    def _leave(self) -> None:
        raise KeyboardInterrupt
