"""JSON that comes from files: one value of known types, or one ValueError that says where it is wrong.

The text is read strictly: no key twice, no number that is not finite, no integer beyond 64 bits, no nesting
without end. Types are checked by msgspec. Places are said as paths: ``$.axes.lr[3]``.

A document that this package writes ends with a digest of the text before it, so that a flipped bit or an edit
is noticed; one without it, from an earlier version, is read as it stands.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from admin_py.base.paths import path_of
from admin_py.base.plain_files import WrongFile, read_plain
from admin_py.base.whole_files import write_whole

T = TypeVar("T")

DIGEST = "digest"
"""Key of a document's last entry."""

MAX_DEPTH = 64
"""Levels of nesting; what this package writes has a dozen."""

LOWEST, HIGHEST = -(2**63), 2**64 - 1
"""Integers that numbers of 64 bits can hold, seeds among them."""

_SEAL = re.compile(rb',\n"digest": "sha256:([0-9a-f]{64})"\n\}\n\Z')
_SEAL_LENGTH = 200
"""More than the bytes that a seal has."""


class NotJSON(ValueError):
    """Text is cut off, or is not JSON."""


class Damaged(ValueError):
    """A document's digest does not fit it."""


class _Pairs(list):
    """The entries of an object in which a key stands twice, kept until its place is known."""


def place_in(path: str, key: str | int) -> str:
    """The path of an entry.

    Examples
    --------
    >>> place_in("$.axes", "lr"), place_in("$.runs", 3), place_in("$", "a b")
    ('$.axes.lr', '$.runs[3]', "$['a b']")
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if key.isidentifier() else f"{path}[{key!r:.60}]"


def parse(text: bytes | str) -> Any:
    """The value of strict JSON, as Python's json has it.

    Raises
    ------
    ValueError
        If it is not JSON, or has what it may not have: the message says where.

    Examples
    --------
    >>> parse('{"a": [1, {"b": 2, "b": 3}]}')
    Traceback (most recent call last):
        ...
    ValueError: at $.a[1]: the key 'b' stands there twice
    >>> parse('{"lr": 1e999}')
    Traceback (most recent call last):
        ...
    ValueError: at $.lr: the number is too large
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(decoded, object_pairs_hook=_as_object, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise NotJSON(f"cut off or not JSON: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise NotJSON(f"cut off or not JSON: {error}") from None
    except RecursionError:
        raise NotJSON(f"cut off or not JSON: nested more than {MAX_DEPTH} levels deep") from None
    _check(value, "$", MAX_DEPTH)
    return value


def convert(value: Any, kind: Any, path: str = "$") -> Any:
    """A value that was parsed as what its type says, by msgspec.

    Raises
    ------
    ValueError
        Saying the place, what was expected and what stands there.

    Examples
    --------
    >>> convert({"lr": [1, "x"]}, dict[str, list[float]])
    Traceback (most recent call last):
        ...
    ValueError: at $[...][1]: expected `float`, got `str`
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        told, _, place = str(error).partition(" - at ")
        where = path + place.replace("`", "").removeprefix("key in ").removeprefix("$")
        raise ValueError(f"at {where}: {told[:1].lower()}{told[1:]}") from None


def within(path: str, error: Exception) -> str:
    """What is wrong with a part of a document, with the place of that part.

    Examples
    --------
    >>> within("$.runs[3]", ValueError("at $.lr: expected `float`, got `str`"))
    'at $.runs[3].lr: expected `float`, got `str`'
    >>> within("$.runs[3]", ValueError("layers must be at least 1"))
    'at $.runs[3]: layers must be at least 1'
    """
    told = str(error)
    return f"at {path}{told[len('at $') :]}" if told.startswith("at $") else f"at {path}: {told}"


def _as_object(pairs: list[tuple[str, Any]]) -> Any:
    entries = dict(pairs)
    return entries if len(entries) == len(pairs) else _Pairs(pairs)


def _refuse_constant(name: str) -> Any:
    raise NotJSON(f"cut off or not JSON: the number {name} has no place in it")


def _check(value: Any, path: str, levels: int) -> None:
    """That no key stands twice, and that numbers and nesting have bounds."""
    kind = type(value)
    if kind is float:
        if not math.isfinite(value):
            raise ValueError(f"at {path}: the number is too large")
    elif kind is int:
        if not LOWEST <= value <= HIGHEST:
            raise ValueError(f"at {path}: the integer does not fit into 64 bits")
    elif kind is _Pairs:
        seen: set[str] = set()
        for key, _ in value:
            if key in seen:
                raise ValueError(f"at {path}: the key {key!r:.60} stands there twice")
            seen.add(key)
    elif kind is dict or kind is list:
        if levels == 0:
            raise ValueError(f"at {path[:60]}...: nested more than {MAX_DEPTH} levels deep")
        for key, item in value.items() if kind is dict else enumerate(value):
            if not (type(item) is str or (type(item) is float and math.isfinite(item))):
                _check(item, place_in(path, key), levels - 1)


# Files


def dump(data: Mapping[str, Any]) -> str:
    """Mapping as strict JSON, one line for each entry.

    Examples
    --------
    >>> print(dump({"a": 1, "b": [1, 2]}), end="")
    {
    "a": 1,
    "b": [1, 2]
    }
    """
    lines = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in data.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def sealed(data: Mapping[str, Any]) -> bytes:
    """Mapping as strict JSON whose last entry is the digest of all before it.

    Examples
    --------
    >>> print(sealed({"a": 1}).decode()[:28])
    {
    "a": 1,
    "digest": "sha256:
    """
    text = dump(data)[: -len("\n}\n")].encode("utf-8")
    return text + f',\n"{DIGEST}": "sha256:{hashlib.sha256(text).hexdigest()}"\n}}\n'.encode("ascii")


def write(path: str | os.PathLike[str], data: Mapping[str, Any]) -> None:
    """Write a document with its digest, whole or not at all. Missing folders are made.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    write_whole(path, sealed(data))


def unsealed(text: bytes) -> Any:
    """The value of a document, without its digest.

    Raises
    ------
    Damaged
        If the digest does not fit.
    ValueError
        As `parse`.

    Examples
    --------
    >>> unsealed(sealed({"a": 1})), unsealed(b'{"a": 1}')
    ({'a': 1}, {'a': 1})
    >>> unsealed(sealed({"a": 1}).replace(b"1", b"2", 1))
    Traceback (most recent call last):
        ...
    admin_py.base.documents.Damaged: its digest does not fit: it is damaged, or was changed after it was...
    """
    return _opened(text)[0]


def _opened(text: bytes) -> tuple[Any, bool]:
    """As `unsealed`, and whether there was a digest."""
    found = _SEAL.search(text, max(0, len(text) - _SEAL_LENGTH))
    if found is not None and hashlib.sha256(text[: found.start()]).hexdigest().encode() != found[1]:
        raise Damaged(
            "its digest does not fit: it is damaged, or was changed after it was written (without its last "
            f"entry, {DIGEST!r}, it is read as it stands)"
        )
    value = parse(text)
    if isinstance(value, dict) and DIGEST in value:
        if found is None:
            raise Damaged(f"its {DIGEST} is damaged, or is not the last entry")
        del value[DIGEST]
    return value, found is not None


_UNFIT = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What is raised where a value is not what was expected."""


@dataclass(frozen=True)
class Document:
    """A file's value, parsed, of which something is made.

    Attributes
    ----------
    path : Path
    value : object
        As JSON has it, without the digest.
    has_digest : bool
        Whether it ended with one, which fits.
    """

    path: Path
    value: Any
    has_digest: bool

    @classmethod
    def of(cls, path: Path, text: bytes) -> Document:
        """From what a file holds; raises as `unsealed`."""
        return cls(path, *_opened(text))

    def made(self, build: Callable[[Any], T], doubt: Callable[[T], None] | None = None) -> T:
        """What `build` makes of the value; `doubt` looks closely at it where who wrote it is not known.

        Raises
        ------
        WrongFile
            If they refuse it; the file is named.
        """
        try:
            built = build(self.value)
            if doubt is not None and not self.has_digest:
                doubt(built)
            return built
        except WrongFile:
            raise  # of another file, which this one needs
        except _UNFIT as error:
            raise _wrong(self.path, error) from error


def _wrong(path: Path, error: BaseException) -> WrongFile:
    told = error if isinstance(error, (ValueError, TypeError)) else f"{type(error).__name__}: {error}"
    return WrongFile(f"path: {str(path)!r} is not what was expected: {told}")


def read(
    path: str | os.PathLike[str], build: Callable[[Any], T], doubt: Callable[[T], None] | None = None
) -> T:
    """Read a JSON file and hand its value to `build`; what is wrong with it names the file.

    Parameters
    ----------
    path : path
    build : callable
        Makes of the value what is returned.
    doubt : callable, optional
        Looks closely at what was made where there is no digest: who wrote that is not known.

    Raises
    ------
    OSError
        If the file cannot be read.
    WrongFile
        If it is not JSON, its digest does not fit, or `build` or `doubt` refuse it.
    """
    place = path_of(path)
    text = read_plain(place)
    try:
        document = Document.of(place, text)
    except ValueError as error:
        raise _wrong(place, error) from error
    return document.made(build, doubt)
