"""How text becomes ids of another library's model, and what its tokenizers read of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from admin_py.base import documents
from admin_py.base.plain_files import read_plain


class Cutter(NamedTuple):
    """How text becomes ids.

    Attributes
    ----------
    encode : callable
        From a line and whether special tokens are put around it to ids.
    decode : callable
        From ids to text.
    size : int
        Of the vocabulary.
    """

    encode: Callable[[str, bool], list[int]]
    decode: Callable[[list[int]], str]
    size: int


def read_json(path: Path) -> Any:
    """The values of a file, or a ValueError that names it."""
    try:
        return documents.parse(read_plain(path))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is no JSON: {error}") from None
