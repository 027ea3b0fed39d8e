"""Files of lines, such as translations, as the results keep them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from admin_py.base.whole_files import write_whole


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """A file of lines, without the time of its making in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0))


def read_lines(path: Path) -> list[str]:
    """What `write_lines` wrote."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()
