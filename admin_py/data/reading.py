"""Lines of UTF-8 text files, plain or compressed with gzip, with errors that name file and line."""

from __future__ import annotations

import errno
import gzip
import io
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Union

from admin_py.base.arguments import check_path
from admin_py.base.checks import shown

Path = Union[str, "os.PathLike[str]"]

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class LinePairs:
    """Lines of two files that belong together; `blank` pairs had no text on a side and were left out."""

    sources: list[str]
    targets: list[str]
    blank: int = 0


def read_pairs(source: Path, target: Path, *, max_lines: int | None = None, names: str = "") -> LinePairs:
    """Reads two files line by line; pairs in which a side is blank are left out and counted.

    Parameters
    ----------
    source, target : path
        Line-aligned files.
    max_lines : int, optional
        Read no further than so many lines of each.
    names : str
        What errors say before "source" and "target".

    Raises
    ------
    OSError
        If a file is missing, a directory or cannot be read.
    ValueError
        If a file is empty or not UTF-8, if the files differ in their number of lines, or if no pair has text.
    """
    left, right = f"{names}source", f"{names}target"
    sources, targets = [], []
    counts = [0, 0]
    pairs = zip_longest(read_lines(source, left), read_lines(target, right))
    for a, b in islice(pairs, max_lines):
        counts[0] += a is not None
        counts[1] += b is not None
        if a is not None and b is not None and a.strip() and b.strip():
            sources.append(a)
            targets.append(b)
    for name, path, count in ((left, source, counts[0]), (right, target, counts[1])):
        if count == 0:
            raise ValueError(f"{name}: {os.fspath(path)!r} is empty")
    if counts[0] != counts[1]:
        raise ValueError(
            f"{left} and {right} must have the same number of lines, but {os.fspath(source)!r} has "
            f"{counts[0]} and {os.fspath(target)!r} has {counts[1]}"
        )
    if not sources:
        raise ValueError(
            f"{left} and {right}: no line has text in both files, {os.fspath(source)!r} and "
            f"{os.fspath(target)!r}"
        )
    return LinePairs(sources, targets, blank=counts[0] - len(sources))


def read_lines(path: Path, name: str = "path") -> Iterator[str]:
    """The lines of a file, without their ends (a line feed, or carriage return and line feed).

    Only a line feed ends a line, so that other separators inside a sentence cannot shift what follows.

    Parameters
    ----------
    path : path
        Compressed if its name ends in .gz or it begins like a gzip file.
    name : str
        The argument that errors name.
    """
    with _open(path, name) as raw:
        stream = _uncompressed(raw, path, name)
        number = 0
        try:
            for number, line in enumerate(stream, start=1):
                text = line.decode("utf-8").removesuffix("\n").removesuffix("\r")
                yield text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise ValueError(
                f"{name}: line {number} of {os.fspath(path)!r} is not UTF-8 (byte 0x{byte:02x} at position "
                f"{error.start + 1} of the line)"
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{name}: {os.fspath(path)!r} is damaged after line {number}: {error}"
            ) from error


def _open(path: Path, name: str) -> io.BufferedReader:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{name} must be the path of a file, got {shown(path)}")
    check_path(name, path)
    try:
        return open(path, "rb")
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, f"{name}: no such file", os.fspath(path)) from error
    except IsADirectoryError as error:
        raise IsADirectoryError(errno.EISDIR, f"{name}: a directory, not a file", os.fspath(path)) from error
    except OSError as error:
        raise type(error)(error.errno, f"{name}: {error.strerror}", os.fspath(path)) from error


def _uncompressed(raw: io.BufferedReader, path: Path, name: str) -> Iterable[bytes]:
    start = raw.peek(len(_GZIP_MAGIC))
    if start.startswith(_GZIP_MAGIC):
        return gzip.open(raw)
    if start and os.fspath(path).endswith(".gz"):
        raise ValueError(f"{name}: {os.fspath(path)!r} is not a gzip file, as its name says")
    return raw
