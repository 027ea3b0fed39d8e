"""What is seen of a grid while it runs."""

from __future__ import annotations

import sys
from typing import Any

from admin_py.base.progress import in_notebook, new_bar


class Progress:
    """What is seen of a grid: a bar of cells, or a line for each, on the standard error stream."""

    def __init__(self, cells: int, there: int, *, enabled: bool) -> None:
        self._cells, self._count, self._enabled = cells, there, enabled
        self._bar: Any = None
        if enabled and there:
            self._say(f"{there} of {cells} cells are there already")
        if enabled and there < cells and (sys.stderr.isatty() or in_notebook()):
            self._bar = new_bar(cells, there, what="grid", unit="cell")

    def done(self, text: str) -> None:
        """After a cell."""
        self._count += 1
        if self._enabled:
            self._say(f"[{self._count}/{self._cells}] {text}")
        if self._bar is not None:
            self._bar.update(1)

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """At the end, however it came."""
        if self._bar is not None:
            self._bar.close()
