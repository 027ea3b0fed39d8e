"""Lines of an open file or pipe, as many at once as are there."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Iterator

from admin_py.data.reading import LINE_MOST

_READ_AT_ONCE = 2**16

WINDOW_BYTES = 2**24
"""Lines that together have more are not gathered: lines may be long."""

_BYTE_ORDER_MARK = "\ufeff"


def windows(descriptor: int, most: int, *, errors: str = "strict") -> Iterator[list[str]]:
    """Lines in their order, without their ends, a list of them at a time.

    A list has as many lines as can be read without waiting, at least one and at most `most`: a program that
    waits for the answer to a line gets it, and of a file all lists but the last are full.

    Parameters
    ----------
    descriptor : int
        Of an open file, pipe or terminal.
    most : int
        Lines of a list.
    errors : {"strict", "replace"}
        What becomes of bytes that are not UTF-8.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If a line is not UTF-8 or has no end, after those before it.

    Examples
    --------
    >>> here, there = os.pipe()
    >>> _ = os.write(there, b"one\\r\\ntwo\\n\\nfour")
    >>> os.close(there)
    >>> list(windows(here, 3))
    [['one', 'two', ''], ['four']]
    >>> os.close(here)
    """
    gathered = _Gathered(descriptor)
    number = 0
    while taken := gathered.take(most):
        lines: list[str] = []
        for raw in taken:
            number += 1
            try:
                line = raw.decode("utf-8", errors).removesuffix("\r")
            except UnicodeDecodeError as error:
                if lines:
                    yield lines
                raise ValueError(
                    f"line {number} of the standard input is not UTF-8 (byte 0x{raw[error.start]:02x} at "
                    f"position {error.start + 1} of the line); --errors replace takes it nevertheless"
                ) from None
            lines.append(line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line)
        yield lines


class _Gathered:
    """What was read, cut into lines."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.lines: deque[bytes] = deque()
        self.begun: list[bytes] = []
        """Parts of a line whose end was not read yet."""
        self.ended = False
        self.total = 0

    def take(self, most: int) -> list[bytes]:
        """The next lines; none at the end."""
        while not self.ended and len(self.lines) < most and not (self.lines and self._waits()):
            self._read()
        taken: list[bytes] = []
        size = 0
        while self.lines and len(taken) < most and size < WINDOW_BYTES:
            taken.append(self.lines.popleft())
            size += len(taken[-1])
        return taken

    def _waits(self) -> bool:
        """Whether a line that is there would have to wait for more, or enough are there."""
        full = sum(map(len, self.lines)) >= WINDOW_BYTES
        return full or not select.select([self.descriptor], [], [], 0)[0]

    def _read(self) -> None:
        data = os.read(self.descriptor, _READ_AT_ONCE)
        *whole, rest = data.split(b"\n")
        for part in whole:
            self.lines.append(b"".join([*self.begun, part]))
            self.begun, self.total = [], 0
        if rest:
            self.begun.append(rest)
            self.total += len(rest)
        if self.total > LINE_MOST:
            raise ValueError(
                f"a line of the standard input has more than {LINE_MOST:,} bytes: text has line feeds"
            )
        if not data:
            self.ended = True
            if self.begun:
                self.lines.append(b"".join(self.begun))
