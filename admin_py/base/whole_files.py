"""Files that are there whole or not at all.

A new file is written aside, in the same folder, flushed to the disk and renamed over the old one. So a
process that is killed at any moment, or a disk that is full, leaves the old file or the new one. Whoever
writes holds a lock on the file aside, by which those of killed processes are told from those of living ones.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from admin_py.base.abandoned import clear_abandoned
from admin_py.base.locks import lock_if_any, still_there
from admin_py.base.paths import descriptor_of, fitting_name, longest_name, make_folder, path_of
from admin_py.base.plain_files import file_kind

_TOKEN_BYTES = 4
"""Of the random part of a name aside."""

_END = ".part"

_MODE = 0o666
"""Of a new file, less what the process's umask takes away."""

REFUSED = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY, errno.EPERM, errno.EACCES}
)
"""What file systems answer that cannot flush a folder or change a mode: network shares, FUSE, FAT."""


class FolderNotFlushed(OSError):
    """The new file is in place, but the disk may not know its name yet."""


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A stream to a new file aside, which takes the name when the block ends without an error.

    File and folder are flushed to the disk. A file that is replaced hands on its permissions, which the one
    aside has from its beginning; of a link the file that it leads to is replaced. What is open already, as
    ``/dev/stdout`` is, a device, and a pipe that is read are written to.

    Raises
    ------
    FolderNotFlushed
        If the new file is in place, but a failure of the disk can yet bring back the old one.
    OSError
        If the file cannot be written; nothing is left behind, and an older file stays as it was.
    """
    place = path_of(path)
    descriptor = descriptor_of(place)
    if descriptor is not None:
        with open(os.dup(descriptor), "wb") as stream:
            yield stream
        return
    mode = _mode_of(place)
    if mode is not None and not stat.S_ISREG(mode):
        with _opened_for_writing(place, mode) as stream:
            yield stream
        return
    with _replacing(Path(os.path.realpath(place)), mode) as stream:
        yield stream


@contextmanager
def _replacing(target: Path, mode: int | None) -> Iterator[IO[bytes]]:
    """A stream to a file aside of a plain file with this mode, or of one that is not there."""
    permissions = None if mode is None else stat.S_IMODE(mode) & 0o777
    if target not in _cleared:
        clear_aside(target)
        _cleared.add(target)
    aside, descriptor = _new_aside(target, _MODE if permissions is None else permissions)
    # The lock is on the file, whichever of the two descriptors is closed first.
    lock = os.dup(descriptor)
    try:
        with open(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            if permissions is not None and stat.S_IMODE(os.fstat(stream.fileno()).st_mode) != permissions:
                with _refusal_allowed():
                    os.chmod(aside, permissions)
            with _refusal_allowed():
                os.fsync(stream.fileno())
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    finally:
        os.close(lock)
    _flush_folder(target)


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
    place = path_of(path)
    make_folder(place.parent)
    with written_whole(place) as stream:
        stream.write(data.encode("utf-8") if isinstance(data, str) else data)


# The file aside


_cleared: set[Path] = set()
"""Files of which this process has removed what killed ones left aside: once each, at its first write."""


def _new_aside(target: Path, mode: int) -> tuple[Path, int]:
    """A file aside with its lock; nobody has removed it in between."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        aside = target.with_name(f"{_stem(target)}{secrets.token_hex(_TOKEN_BYTES)}{_END}")
        try:
            descriptor = os.open(aside, flags, mode)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fspath(target)) from error
        try:
            if lock_if_any(descriptor) and still_there(descriptor, aside):
                return aside, descriptor
        except BaseException:
            aside.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        os.close(descriptor)


def _stem(target: Path) -> str:
    """What the names aside of a file begin with; no longer than the system takes."""
    rest = len(f"..{_END}") + 2 * _TOKEN_BYTES
    return f".{fitting_name(target.name, longest_name(target.parent) - rest)}."


def clear_aside(path: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed while it wrote this file has left aside.

    What a living process writes is left alone.
    """
    target = Path(os.path.realpath(path))
    stem = _stem(target)
    clear_abandoned(target.parent, lambda entry: _stem_of(entry) == stem)


def clear_all_aside(folder: str | os.PathLike[str]) -> None:
    """The same for all files of a folder, which need not be there; not of the folders in it."""
    clear_abandoned(folder, lambda entry: _stem_of(entry) is not None)


_ASIDE = re.compile(rf"(\..+\.)[0-9a-f]{{{2 * _TOKEN_BYTES}}}{re.escape(_END)}", re.DOTALL)


def _stem_of(entry: os.DirEntry[str]) -> str | None:
    """What the name of a file aside begins with; None for what is none."""
    found = _ASIDE.fullmatch(entry.name)
    return found[1] if found is not None and entry.is_file(follow_symlinks=False) else None


# What is there already


def _mode_of(place: Path) -> int | None:
    """Of what a path leads to; None if nothing is there."""
    try:
        return os.stat(place).st_mode
    except FileNotFoundError:
        return None


def _opened_for_writing(place: Path, mode: int) -> IO[bytes]:
    """A device or a pipe; nobody waits for a pipe's reader.

    Raises
    ------
    OSError
        If it is a folder, a disk or a socket, or a pipe that nobody reads.
    """
    where = os.fspath(place)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), where)
    if not (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        raise OSError(errno.EINVAL, f"{file_kind(mode)}, not a file", where)
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(mode):
            raise OSError(errno.ENXIO, "a pipe that nobody reads", where) from None
        raise
    os.set_blocking(descriptor, True)
    return open(descriptor, "wb")


# Flushing


@contextmanager
def _refusal_allowed() -> Iterator[None]:
    """What a file system cannot do is no error; a disk that is full or broken is."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise


def _flush_folder(target: Path) -> None:
    """The new name on the disk, too."""
    try:
        with _refusal_allowed():
            descriptor = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise FolderNotFlushed(
            error.errno,
            f"the new file is in place, but its folder cannot be flushed to the disk ({error.strerror})",
            os.fspath(target),
        ) from error
