"""The one door for paths that users give, and names that every file system takes."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from admin_py.base.checks import shown

NAME_MAX = 255
"""Bytes of a file's name, where the system does not tell its limit."""

_DIGEST = 8
"""Hexadecimal digits that tell shortened names apart."""

_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}

_MOST_LINKS = 40
"""As Linux follows them."""


def is_path(given: Any) -> bool:
    """Whether something is meant as a path."""
    return isinstance(given, (str, bytes, os.PathLike))


def path_of(given: Any, name: str = "path", *, what: str = "a path") -> Path:
    """The path that a user means: ``~`` and ``~user`` are home directories, bytes are taken as they are.

    Parameters
    ----------
    given : path
    name : str
        Of the argument, for errors.
    what : str
        What is expected, for errors.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If it is empty, no file can have its name, or there is no such home directory.

    Examples
    --------
    >>> path_of("run/model.safetensors") == Path("run/model.safetensors"), path_of("~") == Path.home()
    (True, True)
    >>> path_of("", "out")
    Traceback (most recent call last):
    ValueError: out must be a path, got an empty one
    """
    if not is_path(given):
        raise TypeError(f"{name} must be {what}, got {shown(given)}")
    try:
        text = os.fsdecode(given)
    except Exception as error:  # of any class: the value's own code has raised it
        raise TypeError(f"{name} must be {what}, got {shown(given)}") from error
    if not text:
        raise ValueError(f"{name} must be {what}, got an empty one")
    try:
        possible = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        possible = False
    if not possible:
        raise ValueError(f"{name} must be {what}, got {shown(text)}, which no file can be called")
    return Path(_at_home(text, name))


def _at_home(text: str, name: str) -> str:
    """With the home directory that it begins with."""
    if text.startswith("~"):
        found = os.path.expanduser(text)
        first, slash, _ = text.partition("/")
        if found == text and (first == "~" or slash) and not os.path.isdir(first):
            raise ValueError(
                f"{name}: {text!r} begins with {first}, and there is no such home directory; of a folder of "
                "that name give the whole path"
            )
        text = found
    if text.startswith(("~", "./~")):  # a name in this folder, whoever looks at it next
        return os.path.abspath(text)
    return text


def absolute_path(given: Any, name: str = "path", *, what: str = "a path") -> Path:
    """As `path_of`, and the same file whatever the working directory becomes.

    Examples
    --------
    >>> absolute_path("run") == Path.cwd() / "run"
    True
    """
    return path_of(given, name, what=what).absolute()


def descriptor_of(path: str | os.PathLike[str]) -> int | None:
    """The open file of this process that a path such as ``/dev/stdout`` or ``/dev/fd/3`` leads to.

    Examples
    --------
    >>> descriptor_of("/dev/stdout"), descriptor_of("/dev/fd/63"), descriptor_of("/dev/null")
    (1, 63, None)
    """
    place = os.fspath(path)
    for _ in range(_MOST_LINKS):
        place = os.path.abspath(place)
        if place in _STREAMS:
            return _STREAMS[place]
        folder, last = os.path.split(place)
        if folder in ("/dev/fd", "/proc/self/fd", f"/proc/{os.getpid()}/fd") and last.isdecimal():
            return int(last)
        try:
            place = os.path.join(folder, os.readlink(place))
        except OSError:
            return None
    return None


def make_folder(folder: str | os.PathLike[str]) -> None:
    """Make a folder if it is not there, with those above it; of a link the one that it leads to.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    Path(os.path.realpath(folder)).mkdir(parents=True, exist_ok=True)


# Names


def fitting_name(name: str, most: int) -> str:
    """A name of at most so many bytes: a longer one is cut, between letters, and ends in its digest.

    Parameters
    ----------
    name : str
        Of a file.
    most : int
        Bytes.

    Examples
    --------
    >>> fitting_name("short.json", 20), fitting_name("ü" * 20, 20)
    ('short.json', 'üüüüü~aa01a07e')
    """
    whole = os.fsencode(name)
    if len(whole) <= most:
        return name
    end = most - _DIGEST - 1
    while end > 0 and whole[end] & 0xC0 == 0x80:  # inside a letter
        end -= 1
    return f"{os.fsdecode(whole[:end])}~{sha256(whole).hexdigest()[:_DIGEST]}"


def longest_name(folder: str | os.PathLike[str]) -> int:
    """Bytes that a name in this folder has at most.

    Examples
    --------
    >>> longest_name(".") >= 14
    True
    """
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):  # no such folder yet, no such limit
        return NAME_MAX
