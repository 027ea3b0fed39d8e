"""Lines of UTF-8 text files, plain or compressed with gzip, with errors that name file and line."""

from __future__ import annotations

import errno
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import IO, Union

from admin_py.base.paths import path_of
from admin_py.base.plain_files import open_text
from admin_py.base.printable import printable

Path = Union[str, "os.PathLike[str]"]

LINE_MOST = 2**28
"""Bytes that a line may have: a longer one is no text, and would take memory without end."""

INFLATED_LINE, INFLATED_TEXT, RATIO_MOST = 2**24, 2**28, 300
"""A compressed line of more bytes than the first, or text of more than the second, may have no more than so
many times the bytes that it was read from: no text has, and a small file would fill the memory."""

WHOLE_MOST = 2**29
"""Bytes of a file that is read as a whole."""

_READ_AT_ONCE = 2**20
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
    source, target = _given(source, left), _given(target, right)
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
            raise ValueError(f"{name}: {path!r} is empty")
    if counts[0] != counts[1]:
        raise ValueError(
            f"{left} and {right} must have the same number of lines, but {source!r} has "
            f"{counts[0]} and {target!r} has {counts[1]}"
        )
    if not sources:
        raise ValueError(f"{left} and {right}: no line has text in both files, {source!r} and {target!r}")
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

    Raises
    ------
    OSError
        If the file is missing, a directory, or cannot be read.
    ValueError
        If it is not UTF-8 or damaged; if a line has more than 256 MiB; if a line of more than 16 MiB, or text
        of more than 256 MiB, has come out of compressed bytes of which there are 300 times less.
    """
    path = _given(path, name)
    with _open(path, name) as raw:
        stream = _uncompressed(raw, path, name)
        number = 0
        try:
            for number, line in enumerate(_bounded(stream, raw, path, name), start=1):
                text = line.decode("utf-8").removesuffix("\n").removesuffix("\r")
                yield text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise ValueError(
                f"{name}: line {number} of {path!r} is not UTF-8 (byte 0x{byte:02x} at position "
                f"{error.start + 1} of the line)"
            ) from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{name}: {path!r} is damaged after line {number}: {error}") from error


def _given(path: Path, name: str) -> str:
    return str(path_of(path, name, what="the path of a file"))


def name_of(path: Path) -> str:
    """The name of a file, for people.

    Examples
    --------
    >>> name_of("corpus/train.en")
    'train.en'
    """
    return printable(path_of(path).name)


def read_whole(path: Path, name: str) -> bytes:
    """All bytes of a file; errors are those of `read_lines`.

    Raises
    ------
    OSError
        If it is missing, a directory, or cannot be read.
    ValueError
        If it is a pipe or a device, or has more than 512 MiB.
    """
    path = _given(path, name)
    with _open(path, name) as stream:
        data = stream.read(WHOLE_MOST + 1)
    if len(data) > WHOLE_MOST:
        raise ValueError(f"{name}: {path!r} has more than {WHOLE_MOST:,} bytes")
    return data


def _bounded(stream: IO[bytes], raw: io.BufferedReader, path: str, name: str) -> Iterator[bytes]:
    """The lines of a stream. What would fill the memory is an error before it has."""
    number = total = told = 0
    compressed = stream is not raw and raw.seekable()
    while line := stream.readline(_READ_AT_ONCE):
        number += 1
        where = (f"{name}: line {number} of {path!r}", raw if compressed else None)
        if len(line) == _READ_AT_ONCE and not line.endswith(b"\n"):
            line = _long_line(line, stream, *where)
        yield line
        total += len(line)
        if total >= told + _READ_AT_ONCE:
            told = total
            _check_ratio(total, INFLATED_TEXT, *where)


def _long_line(begun: bytes, stream: IO[bytes], where: str, raw: io.BufferedReader | None) -> bytes:
    """A line of which more than a first part is to be read."""
    line = bytearray(begun)
    while not line.endswith(b"\n") and (part := stream.readline(_READ_AT_ONCE)):
        line += part
        if len(line) > LINE_MOST:
            raise ValueError(f"{where} has more than {LINE_MOST:,} bytes: text has line feeds")
        _check_ratio(len(line), INFLATED_LINE, where, raw)
    return bytes(line)


def _check_ratio(size: int, most: int, where: str, raw: io.BufferedReader | None) -> None:
    """ValueError if more than `most` bytes came out of far less; raw is None where none is compressed."""
    if raw is not None and size > max(most, RATIO_MOST * raw.tell()):
        raise ValueError(
            f"{where}: {size:,} bytes have come out of {raw.tell():,} compressed ones, more than those of "
            "any text; if it is meant, decompress the file before"
        )


def _open(path: str, name: str) -> io.BufferedReader:
    try:
        return open_text(path, name)
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, f"{name}: no such file", path) from error
    except IsADirectoryError as error:
        raise IsADirectoryError(errno.EISDIR, f"{name}: a directory, not a file", path) from error
    except OSError as error:
        raise type(error)(error.errno, f"{name}: {error.strerror}", path) from error


def _uncompressed(raw: io.BufferedReader, path: str, name: str) -> IO[bytes]:
    start = raw.peek(len(_GZIP_MAGIC))
    if start.startswith(_GZIP_MAGIC):
        return gzip.open(raw)  # type: ignore[return-value]  # a stream of bytes in all but its declaration
    if start and path.endswith(".gz"):
        raise ValueError(f"{name}: {path!r} is not a gzip file, as its name says")
    return raw
