"""Folders for what processes hand to each other; those of processes that were killed are cleared away."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from admin_py.base.locks import LOCK_FILE, fcntl, still_there, taken

PREFIX = "admin-py-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of one's own among the system's temporary ones, gone after the ``with`` block.

    What processes that were killed in such a block have left is removed first.

    Raises
    ------
    OSError
        If no folder can be made.

    Examples
    --------
    >>> with scratch_folder() as folder:
    ...     _ = (folder / "data").write_bytes(b"1")
    >>> folder.exists()
    False
    """
    clear_scratch()
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as made:
        folder = Path(made)
        lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            taken(lock)
            os.write(lock, f"{os.getpid()}\n".encode())  # an empty one is not locked yet
            yield folder
        finally:
            os.close(lock)


def clear_scratch() -> None:
    """Remove what this user's killed processes have left: folders whose locks nobody holds."""
    if fcntl is None:
        return
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                _remove_if_left(Path(entry.path))


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError):
        if os.stat(folder, follow_symlinks=False).st_uid != os.getuid():
            return
        # A folder without a lock's file is one that is being made.
        lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            plain = stat.S_ISREG(os.fstat(lock).st_mode)
            if plain and os.fstat(lock).st_size and taken(lock) and still_there(lock, folder / LOCK_FILE):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
