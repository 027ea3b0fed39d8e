"""Folders for what processes hand to each other; those of processes that were killed are cleared away."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from admin_py.base.abandoned import clear_abandoned
from admin_py.base.locks import LOCK_FILE, lock_if_any

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
        lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            lock_if_any(lock)
            os.write(lock, f"{os.getpid()}\n".encode())  # an empty one is not locked yet
            yield folder
        finally:
            os.close(lock)


def clear_scratch() -> None:
    """Remove what this user's killed processes have left: folders whose locks nobody holds."""
    with suppress(OSError):
        clear_abandoned(tempfile.gettempdir(), _is_ours)


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """Whether it is such a folder, and of this user."""
    if not entry.name.startswith(PREFIX) or not entry.is_dir(follow_symlinks=False):
        return False
    try:
        return entry.stat(follow_symlinks=False).st_uid == os.getuid()
    except FileNotFoundError:  # gone just now
        return False
