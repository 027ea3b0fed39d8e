"""What processes that were killed have left: files and folders whose locks nobody holds."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from admin_py.base.locks import LOCK_FILE, still_there, try_lock


def clear_abandoned(folder: str | os.PathLike[str], left: Callable[[os.DirEntry[str]], bool]) -> None:
    """Remove what nobody holds of what stands in a folder, which need not be there.

    A file holds the lock itself, a folder has it in a file. What is locked by a living process is left alone,
    as is what cannot be removed; links are not followed.

    Parameters
    ----------
    folder : path
    left : callable
        Whether an entry is such as our processes leave.

    Raises
    ------
    OSError
        If the folder cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("left.part", "kept"):
    ...         (Path(folder) / name).touch()
    ...     clear_abandoned(folder, lambda entry: entry.name.endswith(".part"))
    ...     os.listdir(folder)
    ['kept']
    """
    try:
        with os.scandir(folder) as entries:
            found = list(filter(left, entries))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        with suppress(OSError):
            _remove_unheld(Path(entry.path))


def _remove_unheld(path: Path) -> None:
    is_folder = stat.S_ISDIR(os.stat(path, follow_symlinks=False).st_mode)
    lock = path / LOCK_FILE if is_folder else path
    descriptor = _opened(lock)
    try:
        found = os.fstat(descriptor)
        begun = found.st_size > 0 or not is_folder  # a folder's lock that is empty is not taken yet
        if stat.S_ISREG(found.st_mode) and begun and try_lock(descriptor) and still_there(descriptor, lock):
            if is_folder:
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    finally:
        os.close(descriptor)


def _opened(lock: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(lock, os.O_RDWR | flags)
    except PermissionError:
        return os.open(lock, os.O_RDONLY | flags)
