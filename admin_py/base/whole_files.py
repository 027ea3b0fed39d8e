"""Files that are there whole or not at all.

A new file is written aside, in the same folder, flushed to the disk and renamed over the old one. So a
process that is killed at any moment, or a disk that is full, leaves the old file or the new one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import IO

_TOKEN_BYTES = 4
"""Of the random part of a name aside."""


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A stream to a new file aside, which takes the name when the block ends without an error.

    File and folder are flushed to the disk. A file that is replaced hands on its permissions.

    Raises
    ------
    OSError
        If the file cannot be written; nothing is left behind, and an older file stays as it was.
    """
    target = Path(path)
    aside = target.with_name(f".{target.name}.{secrets.token_hex(_TOKEN_BYTES)}.part")
    try:
        with open(aside, "xb") as stream:
            yield stream
            stream.flush()
            if target.exists():
                os.chmod(aside, target.stat().st_mode & 0o777)
            os.fsync(stream.fileno())
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


def write_whole(path: str | os.PathLike[str], data: str | bytes) -> None:
    """Write a file so that it is there whole or not at all. Missing folders are made.

    Parameters
    ----------
    path : path
        Of the file; one that is there is replaced.
    data : str or bytes
        Text is written as UTF-8.

    Raises
    ------
    OSError
        If the file cannot be written; nothing is left behind, and an older file stays as it was.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as stream:
        stream.write(data.encode("utf-8") if isinstance(data, str) else data)


def clear_aside(path: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed while it wrote this file has left aside."""
    target = Path(path)
    for left in target.parent.glob(f".{escape(target.name)}.{'?' * 2 * _TOKEN_BYTES}.part"):
        left.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """The new name on the disk, too. Where folders cannot be opened (Windows) the system does it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
