"""Reading plain files: a pipe or a device, which may give nothing or have no end, is one error at once."""

from __future__ import annotations

import errno
import io
import os
import stat

from admin_py.base.paths import descriptor_of

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
"""What is no plain file, in words."""

_NO_WAITING = os.O_NONBLOCK | os.O_CLOEXEC


class WrongFile(ValueError):
    """A file is not what it should be; what is said names it."""


def file_kind(mode: int) -> str | None:
    """What a file of this mode is, in words; None for a plain one.

    Examples
    --------
    >>> file_kind(os.stat(os.devnull).st_mode), file_kind(os.stat(__file__).st_mode)
    ('a device', None)
    """
    return None if stat.S_ISREG(mode) else KINDS.get(stat.S_IFMT(mode), "of a kind that is not known")


def open_plain(path: str | os.PathLike[str], name: str = "path") -> io.BufferedReader:
    """Open a plain file for reading.

    Parameters
    ----------
    path : path
    name : str
        Of the argument, for the error.

    Raises
    ------
    OSError
        If it is missing, a folder, or cannot be read.
    WrongFile
        If it is a pipe, a device or a socket.

    Examples
    --------
    >>> open_plain(os.devnull)
    Traceback (most recent call last):
    admin_py.base.plain_files.WrongFile: path: '/dev/null' is a device, expected a file
    """
    where = os.fspath(path)
    descriptor = os.open(where, os.O_RDONLY | _NO_WAITING)
    try:
        kind = file_kind(os.fstat(descriptor).st_mode)
        if kind == "a folder":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), where)
        if kind is not None:
            raise WrongFile(f"{name}: {where!r} is {kind}, expected a file")
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_text(path: str | os.PathLike[str], name: str = "path") -> io.BufferedReader:
    """As `open_plain`; ``/dev/stdin`` and ``/dev/fd/N``, which are open already, may be pipes.

    Raises
    ------
    OSError, WrongFile
        As `open_plain`.
    """
    descriptor = descriptor_of(path)
    return open_plain(path, name) if descriptor is None else open(os.dup(descriptor), "rb")


def read_plain(path: str | os.PathLike[str], name: str = "path") -> bytes:
    """All of a plain file.

    Raises
    ------
    OSError, WrongFile
        As `open_plain`.

    Examples
    --------
    >>> read_plain(__file__)[3:10]
    b'Reading'
    """
    with open_plain(path, name) as stream:
        return stream.read()
