"""A lock on a folder that goes when its process ends, however it ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = ".lock"

_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class FolderInUse(RuntimeError):
    """Another process, or another call of this one, writes into the folder."""


@contextmanager
def locked(folder: str | os.PathLike[str], name: str = "out") -> Iterator[None]:
    """Hold a folder for oneself inside the ``with`` block; it is made if it is not there.

    The system lets go of the lock when the process ends, by SIGKILL too. Where the file system has no
    locks, the block runs without one.

    Parameters
    ----------
    folder : path
    name : str
        Of the argument, for the error.

    Raises
    ------
    FolderInUse
        At once, if it is held by another.
    OSError
        If the lock's file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(folder):
    ...     with locked(folder):
    ...         pass
    Traceback (most recent call last):
        ...
    admin_py.base.locks.FolderInUse: out: '...' is being written by process ...
    """
    path = Path(folder) / LOCK_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if not _take(descriptor):
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise FolderInUse(
                f"{name}: {os.fspath(folder)!r} is being written by process {owner}; wait for it, or give "
                "another folder"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    """Whether the lock is ours now; True where there are none."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _BUSY
    return True
