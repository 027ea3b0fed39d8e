"""Files of tensors: safetensors whose header says of which format of this package they are.

Written without copies, whole or not at all, with a digest of header and numbers; read with one clear error
for whatever is no such file: the header first, so that names, types and shapes are known before anything is
allocated.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from admin_py.base import documents
from admin_py.base.digests import BLOCK, BlockDigest
from admin_py.base.paths import path_of
from admin_py.base.plain_files import open_plain
from admin_py.base.whole_files import written_whole

TENSOR_TYPES = {"float64": "F64", "int64": "I64", "float32": "F32"}
"""Names of the types in a safetensors header. The widest come first, so that every tensor is aligned."""

READ_TYPES: Mapping[str, str] = {
    "F64": "<f8",
    "I64": "<i8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
}
"""Type in a header that is read -> as which its bytes are. F16 and BF16, of other writers, become float32,
which holds each of their numbers; other types (integers, the several kinds of fp8) mean nothing without what
belongs to them."""

HEADER_ALIGN = 8
"""Bytes; the specification asks that headers are padded with spaces."""

HEADER_MOST = 100_000_000
"""Bytes that a header has at most, by the specification."""

DIGEST, NO_DIGEST = "digest", "blocks:" + 64 * "0"
"""Entry of a header, and what stands there while the digest is computed."""

_DIGEST_VALUE = re.compile(r"blocks:[0-9a-f]{64}")
_DIGEST_TEXT = re.compile(rb'"digest": "(blocks:[0-9a-f]{64})"')
"""With a space, as no other writer puts one there: who wrote the file anew, with other numbers and a copy of
this header's entries, has made no promise of its digest."""


class TensorFormat(NamedTuple):
    """A kind of file: its name and version stand in the header as ``format`` and ``version``."""

    name: str
    version: str
    what: str
    """In words."""


MODEL = TensorFormat("admin-py model", "1", "a model")
CHECKPOINT = TensorFormat("admin-py checkpoint", "1", "a checkpoint of a training")
OBSERVATION = TensorFormat("admin-py observation", "1", "an observation")

FORMATS: Mapping[str, TensorFormat] = {one.name: one for one in (MODEL, CHECKPOINT, OBSERVATION)}
"""All files of tensors that this package writes, by the name in their header."""


class TensorFile(NamedTuple):
    """What a file holds: the header's entries, and name -> array."""

    header: dict[str, str]
    tensors: dict[str, NDArray[Any]]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a header says of a tensor."""

    dtype: str
    """As the specification names types."""
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def looks_like_tensors(head: bytes) -> bool:
    """Whether a file with these first bytes may be a safetensors file: a header's length, then its JSON.

    Examples
    --------
    >>> looks_like_tensors((2).to_bytes(8, "little") + b"{}"), looks_like_tensors(b'{"kind": "history"}')
    (True, False)
    """
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= HEADER_MOST


def read_header(path: str | os.PathLike[str]) -> dict[str, str]:
    """The entries of a file's header, without its tensors.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is cut off or not a safetensors file.
    """
    with opened_foreign(path) as file:
        return file.header


def read(path: str | os.PathLike[str], expected: TensorFormat) -> TensorFile:
    """Read a file of a format.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is cut off, damaged, not a safetensors file, or of another format or version.
    """
    with opened(path, expected) as file:
        return TensorFile(file.header, file.read())


@contextmanager
def opened(path: str | os.PathLike[str], expected: TensorFormat) -> Iterator[OpenedTensors]:
    """A file of a format whose header is read; its tensors are read when they are asked for.

    Raises
    ------
    OSError, ValueError
        As `read`.
    """
    with opened_foreign(path) as file:
        file.check_format(expected)
        yield file


class OpenedTensors:
    """A file whose header has been read.

    Attributes
    ----------
    header : dict
        The entries of this package, name -> text.
    entries : dict
        Name of a tensor -> its `Entry`, in the order of the file.
    """

    def __init__(self, where: str, stream: IO[bytes], start: bytes, text: bytes) -> None:
        self._where, self._stream, self._start, self._text = where, stream, start, text
        try:
            found = documents.parse(text)
            told = documents.convert(found.pop("__metadata__", None) or {}, dict[str, str], "$.__metadata__")
            entries = documents.convert(found, dict[str, Entry])
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{where!r} has a damaged header: {error}") from None
        self.header: dict[str, str] = told
        self.entries = dict(sorted(entries.items(), key=lambda one: one[1].data_offsets))

    def check_format(self, expected: TensorFormat) -> None:
        """That it is of a format, in a version that is read; ValueError otherwise."""
        where, found = self._where, self.header.get("format", "")
        if found != expected.name:
            if found in FORMATS:
                raise ValueError(
                    f"{where!r} is {FORMATS[found].what}, not {expected.what}; admin_py.load opens it"
                )
            raise ValueError(f"{where!r} is a safetensors file, but not {expected.what} of admin-py")
        version = self.header.get("version")
        if version != expected.version:
            raise ValueError(
                f"{where!r} is {expected.what} of version {version!r} of the format, expected "
                f"{expected.version!r}"
            )

    def read(self) -> dict[str, NDArray[Any]]:
        """Name -> array: float64, float32 or int64.

        Raises
        ------
        ValueError
            If a tensor is of another type, or the digest does not fit.
        MemoryError
            Naming the tensor for which there is no memory.
        """
        for name, entry in self.entries.items():
            if entry.dtype not in READ_TYPES:
                raise ValueError(
                    f"{self._where!r} must hold tensors of {', '.join(READ_TYPES)}, got {entry.dtype} for "
                    f"{name!r}"
                )
        digest = self._new_digest()
        tensors = {name: self._read_one(name, entry, digest) for name, entry in self.entries.items()}
        if digest is not None and f"blocks:{digest.hexdigest()}" != self.header[DIGEST]:
            raise ValueError(f"{self._where!r} is damaged: its digest does not fit what it holds")
        return tensors

    def read_one(self, name: str) -> NDArray[Any]:
        """One tensor of a file that has no digest, of any writer.

        Raises
        ------
        ValueError
            If it is of a type that is not read, or the file is damaged.
        MemoryError
            Naming the tensor.
        """
        entry = self.entries[name]
        if entry.dtype not in READ_TYPES:
            raise ValueError(
                f"{self._where!r}: {name!r} must be of {', '.join(READ_TYPES)}, got {entry.dtype}"
            )
        self._stream.seek(len(self._start) + len(self._text) + entry.data_offsets[0])
        return self._read_one(name, entry, None)

    def _new_digest(self) -> BlockDigest | None:
        """None where none was written: by an earlier version, or who wrote the tensors anew."""
        told = [(name, value) for name, value in self.header.items() if _DIGEST_VALUE.fullmatch(value)]
        if (DIGEST in self.header) != bool(told) or any(name != DIGEST for name, _ in told):
            raise ValueError(f"{self._where!r} is damaged: its digest is not to be read")
        found, text = _DIGEST_TEXT.search(self._text), self._text
        if found is None:
            return None
        return BlockDigest(self._start + text[: found.start(1)] + NO_DIGEST.encode() + text[found.end(1) :])

    def _read_one(self, name: str, entry: Entry, digest: BlockDigest | None) -> NDArray[Any]:
        dtype = np.dtype(READ_TYPES[entry.dtype])
        begin, end = entry.data_offsets
        if math.prod(entry.shape) * dtype.itemsize != end - begin:
            raise ValueError(
                f"{self._where!r} is damaged: the size of the tensor {name!r} is not its shape's"
            )
        wide = WIDENED.get(entry.dtype)
        try:
            array = np.empty(entry.shape, dtype if wide is None else np.float32)
            block = array.reshape(-1) if wide is None else np.empty(min(array.size, BLOCK), dtype)
        except MemoryError:
            raise MemoryError(
                f"{self._where!r}: no memory for the tensor {name!r} of {end - begin:,} bytes"
            ) from None
        if wide is None:
            self._fill(name, block, digest)
            return array.astype(array.dtype.newbyteorder("="), copy=False)
        flat = array.reshape(-1)
        for first in range(0, array.size, BLOCK):  # beside a large embedding there may be no room for another
            part = block[: array.size - first]
            self._fill(name, part, digest)
            flat[first : first + len(part)] = wide(part)
        return array

    def _fill(self, name: str, array: NDArray[Any], digest: BlockDigest | None) -> None:
        """Read the next bytes of a tensor."""
        left = array.view(np.uint8).data
        while len(left):
            count = self._stream.readinto(left[:BLOCK])  # type: ignore[attr-defined]
            if not count:
                raise ValueError(f"{self._where!r} is cut off in the tensor {name!r}")
            if digest is not None:
                digest.update(left[:count])
            left = left[count:]


def _of_bfloat16(values: NDArray[Any]) -> NDArray[np.float32]:
    """The upper halves of a float32's bits."""
    return (values.astype(np.uint32) << 16).view(np.float32)


WIDENED: Mapping[str, Callable[[NDArray[Any]], NDArray[np.float32]]] = {
    "F16": lambda values: values.astype(np.float32),
    "BF16": _of_bfloat16,
}
"""Type in a header that is not kept -> its numbers as float32."""


@contextmanager
def opened_foreign(path: str | os.PathLike[str]) -> Iterator[OpenedTensors]:
    """A safetensors file of any writer, whose header is read.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is cut off or not a safetensors file.
    """
    where = str(path_of(path))
    with open_plain(where) as stream:  # an OSError that says why, where safetensors has its own
        try:
            with safe_open(where, framework="numpy"):  # the layout is right: nothing overlaps or is cut off
                pass
        except SafetensorError as error:
            raise ValueError(f"{where!r} is cut off or not a safetensors file: {error}") from None
        start = stream.read(8)
        text = stream.read(int.from_bytes(start, "little"))
        yield OpenedTensors(where, stream, start, text)


def write(
    path: str | os.PathLike[str],
    kind: TensorFormat,
    tensors: Mapping[str, NDArray[Any]],
    header: Mapping[str, str],
) -> None:
    """Write a file of a format, whole or not at all; its folder must be there.

    Raises
    ------
    OSError
        If it cannot be written; an older one is as before.
    """
    metadata = {DIGEST: NO_DIGEST, "format": kind.name, "version": kind.version, **header}
    with written_whole(path) as stream:
        _write_tensors(stream, tensors, metadata)


def write_foreign(path: str | os.PathLike[str], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a plain safetensors file, as others read them, whole or not at all; its folder must be there.

    Raises
    ------
    OSError
        If it cannot be written; an older one is as before.
    """
    with written_whole(path) as stream:
        _write_tensors(stream, tensors, {"format": "pt"})


def _write_tensors(
    stream: IO[bytes], tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """The safetensors format, without copies: beside a deep model there may be no room for them.

    The numbers are gone over twice, for the digest stands before them, and a pipe takes no second thoughts.
    """
    order = sorted(tensors, key=lambda name: list(TENSOR_TYPES).index(tensors[name].dtype.name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name in order:
        array = tensors[name]
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": TENSOR_TYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.replace(f'"{DIGEST}":"{NO_DIGEST}"'.encode(), f'"{DIGEST}": "{NO_DIGEST}"'.encode(), 1)
    text += b" " * (-len(text) % HEADER_ALIGN)
    start = len(text).to_bytes(8, "little")
    digest = BlockDigest(start + text)
    for name in order:
        digest.update(_bytes_of(tensors[name]))
    stream.write(start)
    stream.write(text.replace(NO_DIGEST.encode(), f"blocks:{digest.hexdigest()}".encode(), 1))
    for name in order:
        stream.write(_bytes_of(tensors[name]))


def _bytes_of(array: NDArray[Any]) -> memoryview:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data
