"""Locks on folders and files that go when their process ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from admin_py.base.paths import fitting_name, longest_name, make_folder
from admin_py.base.printable import printable

LOCK_FILE = ".lock"

PATIENCE = 3.0
"""Seconds for which a file's lock is waited for: as long as processes need to end whose parent was killed."""

_PAUSE = 0.02

_TRIES = 100
"""To open a lock's file that others remove at the same time."""

_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class InUse(RuntimeError):
    """Another process, or another call of this one, writes there."""


@contextmanager
def locked(folder: str | os.PathLike[str], name: str = "out") -> Iterator[None]:
    """Hold a folder for oneself inside the ``with`` block; it is made if it is not there.

    One that was made, and has got nothing when the block ends with an error, is gone again.

    The system lets go of the lock when the process ends, by SIGKILL too. Where the file system has no
    locks, the block runs without one.

    Parameters
    ----------
    folder : path
    name : str
        Of the argument, for the error.

    Raises
    ------
    InUse
        At once, if it is held by another.
    OSError
        If it is no folder, or the lock's file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, locked(folder):
    ...     with locked(folder):
    ...         pass
    Traceback (most recent call last):
        ...
    admin_py.base.locks.InUse: out: '...' is being written by process ...
    """
    place = Path(folder)
    if place.exists() and not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{name}: not a folder", printable(str(place)))
    missing = [one for one in (place, *place.parents) if not one.exists()]
    try:
        with _held(
            place / LOCK_FILE, f"{name}: {printable(str(place))!r}", "give another folder", patience=0.0
        ):
            yield
    except BaseException:
        with suppress(OSError):  # of one that has something in it
            for one in missing:
                one.rmdir()
        raise


@contextmanager
def locked_file(
    path: str | os.PathLike[str], name: str = "path", *, patience: float | None = None
) -> Iterator[None]:
    """Hold a file, which need not be there, for oneself inside the ``with`` block; as `locked`.

    Parameters
    ----------
    path : path
        In a folder that is there; no link, for the lock lies beside it.
    name : str
        Of the argument, for the error.
    patience : float, optional
        Seconds to wait for one who holds it; by default `PATIENCE`.

    Raises
    ------
    InUse
        If it is held by another.
    OSError
        If the lock's file cannot be written.
    """
    target = Path(path)
    room = longest_name(target.parent) - len(LOCK_FILE) - 1
    lock = target.with_name(f".{fitting_name(target.name, room)}{LOCK_FILE}")
    seconds = PATIENCE if patience is None else patience
    with _held(lock, f"{name}: {printable(str(target))!r}", "give another path", patience=seconds):
        yield


@contextmanager
def _held(lock: Path, told: str, way_out: str, *, patience: float) -> Iterator[None]:
    """A lock's file, held; it is gone afterwards, unless its process was killed."""
    until = time.monotonic() + patience
    while (descriptor := _taken_file(lock)) is None:
        if time.monotonic() >= until:
            raise InUse(f"{told} is being written by process {_owner(lock)}; wait for it, or {way_out}")
        threading.Event().wait(_PAUSE)
    process = os.getpid()
    _locks[descriptor] = lock
    try:
        yield
    finally:
        if process == os.getpid():  # and no fork of it, which has closed it already
            lock.unlink(missing_ok=True)
            del _locks[descriptor]
            os.close(descriptor)


_locks: dict[int, Path] = {}
"""Descriptor -> file of the locks that this process holds."""


def exit_now(status: int) -> NoReturn:
    """End this process at once, in whatever it is; the files of its locks go with it.

    Nothing that was opened is closed, no block is left, as with `os._exit`. From any thread.
    """
    for descriptor, lock in list(_locks.items()):
        with suppress(OSError):  # of one that is let go of just now
            if still_there(descriptor, lock):
                lock.unlink()
    os._exit(status)


def _let_go() -> None:
    """In a forked process: the lock is its parent's alone, and goes with it."""
    for descriptor in _locks:
        os.close(descriptor)
    _locks.clear()


os.register_at_fork(after_in_child=_let_go)


def _taken_file(lock: Path) -> int | None:
    """Its descriptor, with our pid in it; None if another has it."""
    for tries_left in reversed(range(_TRIES)):
        try:
            descriptor = _open(lock)
        except FileNotFoundError:
            if not tries_left:
                raise
            continue  # whoever made its folder has just removed it
        try:
            if not lock_if_any(descriptor):
                os.close(descriptor)
                return None
            if still_there(descriptor, lock):
                _tell_owner(descriptor)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # whoever held it has just removed it
    return None


def _owner(lock: Path) -> str:
    try:
        return lock.read_bytes()[:32].decode("ascii", "replace").strip() or "unknown"
    except OSError:
        return "unknown"


def _open(lock: Path) -> int:
    make_folder(lock.parent)
    flags = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(lock, os.O_RDWR | flags, 0o666)
    except PermissionError:
        return os.open(lock, os.O_RDONLY | flags, 0o666)  # left by another user's process


def _tell_owner(descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL):  # one that another user's process has left
            raise


def lock_if_any(descriptor: int) -> bool:
    """Lock an open file, at once; False if another has it, True also where there are no locks."""
    return try_lock(descriptor) is not False


def try_lock(descriptor: int) -> bool | None:
    """As `lock_if_any`, but None where there are no locks: nobody knows then who writes."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _BUSY else None
    return True


def still_there(descriptor: int, path: Path) -> bool:
    """Whether an open file has its name yet."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
