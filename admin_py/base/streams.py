"""The one way to the standard streams: what is printed never costs work.

A stream may be closed, full, gone with its terminal, None, or an object that can write and nothing else. What
cannot be shown is then dropped, and the work goes on. Letters that a stream has no code for, and those that
would command a terminal, are shown as escapes.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from admin_py.base.printable import printable


def is_terminal(stream: Any) -> bool:
    """Whether a stream says that it is a terminal; of none, of a closed one and of one that cannot say: no.

    Examples
    --------
    >>> is_terminal(None)
    False
    """
    try:
        return bool(stream.isatty())
    except Exception:
        return False


class Quiet:
    """A stream for those who write to it as they like, such as bars: no call of it ever raises.

    Parameters
    ----------
    stream : object
        With ``write``; None takes nothing.

    Examples
    --------
    >>> Quiet(None).write("lost")
    4
    >>> Quiet(sys.stdout).write("here")
    here4
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.error: Exception | None = None
        """Why something could not be written, if so: the last one."""

    def write(self, text: str) -> int:
        """Write what can be written; returns the length of the text, as if all of it had been."""
        if self.stream is not None:
            try:
                self._write(text)
            except Exception as error:
                self._failed(error)
        return len(text)

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeError:
            encoding = getattr(self.stream, "encoding", None) or "ascii"
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def flush(self) -> None:
        """Flush it, if it can be."""
        flush = getattr(self.stream, "flush", None)
        if flush is not None:
            try:
                flush()
            except Exception as error:
                self._failed(error)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return is_terminal(self.stream)

    def _failed(self, error: Exception) -> None:
        self.error = error
        if isinstance(error, OSError):
            _drain(self.stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _drain(stream: Any) -> None:
    """Forget what waits in a stream's buffer: Python would try to write it again, last when it ends."""
    with suppress(Exception):
        number = stream.fileno()
        kept = os.dup(number)
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(nowhere, number)
                stream.flush()
            finally:
                os.dup2(kept, number)
                os.close(nowhere)
        finally:
            os.close(kept)


def say(text: str, *, stream: Any = None, end: str = "\n") -> bool:
    """Show a text, escaped where it has to be; returns whether that was possible.

    Parameters
    ----------
    text : str
        One line or several.
    stream : object, optional
        Where to; the standard error stream of this moment by default.
    end : str
        What follows.

    Examples
    --------
    >>> say("a name: \\x07", stream=sys.stdout)
    a name: \\x07
    True
    >>> say("lost", stream=object())
    False
    """
    shown = Quiet(sys.stderr if stream is None else stream)
    shown.write(printable(text, lines=True) + end)
    shown.flush()
    return shown.stream is not None and shown.error is None


def say_result(text: str) -> Exception | None:
    """Show what was asked for, on the standard output stream; returns why it is lost, if it is.

    Where there is no stream at all nobody waits for it, and nothing is lost. Nor is it where a reader has
    seen enough and gone, as ``head`` does.
    """
    shown = Quiet(sys.stdout)
    shown.write(printable(text, lines=True) + "\n")
    shown.flush()
    return None if isinstance(shown.error, BrokenPipeError) else shown.error


def warn(text: str, category: type[Warning] = UserWarning, *, stacklevel: int = 2) -> None:
    """``warnings.warn``, which a stream that cannot be written to does not turn into another error.

    Parameters
    ----------
    text : str
    category : type
    stacklevel : int
        2 is the caller.

    Raises
    ------
    Warning
        If the filters make errors of warnings.
    """
    with shielded():
        warnings.warn(text, category, stacklevel=stacklevel + 1)


@contextmanager
def shielded() -> Iterator[None]:
    """Standard streams that cannot raise, for those who print or flush in a block unasked."""
    before = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    instead = {
        name: Quiet(stream)
        for name, stream in before.items()
        if stream is not None and not isinstance(stream, Quiet)
    }
    for name, stream in instead.items():
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for name, stream in instead.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, before[name])


def occupy_closed() -> None:
    """Open ``/dev/null`` in the place of standard streams that are closed.

    The next file that is opened would have the number of one otherwise, and what libraries and new processes
    print would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                opened = os.open(os.devnull, os.O_RDWR)
                if opened != number:
                    os.dup2(opened, number)
                    os.close(opened)
                os.set_inheritable(number, True)


def finish() -> None:
    """Flush the standard streams before the end; what they do not take is forgotten.

    Python would say so in many words, and end with a status of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        Quiet(stream).flush()
