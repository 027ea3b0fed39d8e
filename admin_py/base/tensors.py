"""Files of tensors: safetensors whose header says of which format of this package they are.

Written without copies, whole or not at all; read with one clear error for whatever is no such file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from admin_py.base.paths import path_of
from admin_py.base.plain_files import open_plain
from admin_py.base.whole_files import written_whole

TENSOR_TYPES = {"float64": "F64", "int64": "I64", "float32": "F32"}
"""Names of the types in a safetensors header. The widest come first, so that every tensor is aligned."""

HEADER_ALIGN = 8
"""Bytes; the specification asks that headers are padded with spaces."""

HEADER_MOST = 100_000_000
"""Bytes that a header has at most, by the specification."""


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
    return _read(path, None).header


def read(path: str | os.PathLike[str], expected: TensorFormat) -> TensorFile:
    """Read a file of a format.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is cut off, not a safetensors file, or of another format or version.
    """
    return _read(path, expected)


def _read(path: str | os.PathLike[str], expected: TensorFormat | None) -> TensorFile:
    where = str(path_of(path))
    with open_plain(where):  # an OSError that says why, where safetensors has its own
        pass
    try:
        with safe_open(where, framework="numpy") as file:
            header = file.metadata() or {}
            if expected is None:
                return TensorFile(header, {})
            _check_format(where, header, expected)
            # Not a mapping, so its names are asked for.
            return TensorFile(header, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{where!r} is cut off or not a safetensors file: {error}") from None


def _check_format(where: str, header: Mapping[str, str], expected: TensorFormat) -> None:
    found = header.get("format", "")
    if found != expected.name:
        if found in FORMATS:
            raise ValueError(
                f"{where!r} is {FORMATS[found].what}, not {expected.what}; admin_py.load opens it"
            )
        raise ValueError(f"{where!r} is a safetensors file, but not {expected.what} of admin-py")
    if header.get("version") != expected.version:
        raise ValueError(
            f"{where!r} is {expected.what} of version {header.get('version')!r} of the format, expected "
            f"{expected.version!r}"
        )


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
    metadata = {"format": kind.name, "version": kind.version, **header}
    with written_whole(path) as stream:
        _write_tensors(stream, tensors, metadata)


def _write_tensors(
    stream: IO[bytes], tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """The safetensors format, without copies: beside a deep model there may be no room for them."""
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
    text += b" " * (-len(text) % HEADER_ALIGN)
    stream.write(len(text).to_bytes(8, "little"))
    stream.write(text)
    for name in order:
        little = tensors[name].astype(tensors[name].dtype.newbyteorder("<"), copy=False)
        stream.write(np.ascontiguousarray(little).reshape(-1).view(np.uint8).data)
