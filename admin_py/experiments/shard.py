"""A part of a grid's cells, for one of several calls that write the same folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from admin_py.base.checks import MAX_COUNT, check_integer, shown
from admin_py.base.locks import locked_file
from admin_py.base.paths import make_folder

T = TypeVar("T")

WANTED = "a pair such as (3, 16), or '3/16': the third of sixteen parts"


@dataclass(frozen=True)
class Shard:
    """Every so many-th cell, from one on.

    Attributes
    ----------
    number : int
        From 1.
    count : int
        Of all parts.

    Examples
    --------
    >>> Shard(2, 3).of("abcdefgh")
    ['b', 'e', 'h']
    """

    number: int
    count: int

    def of(self, items: Sequence[T]) -> list[T]:
        """The items of this part."""
        return list(items[self.number - 1 :: self.count])

    @contextmanager
    def held(self, folder: Path) -> Iterator[None]:
        """This part of a folder for this process alone, as far as the file system has locks.

        Raises
        ------
        InUse
            If another process trains the same part there.
        OSError
            If the folder cannot be written.
        """
        make_folder(folder)
        with locked_file(folder / f"part-{self.number}-of-{self.count}", "shard", patience=0.0):
            yield


def read_shard(value: Any) -> Shard | None:
    """What was given as a part.

    Raises
    ------
    TypeError, ValueError
        If it is none.

    Examples
    --------
    >>> read_shard("3/16") == read_shard((3, 16)) == Shard(3, 16)
    True
    >>> read_shard("17/16")
    Traceback (most recent call last):
    ValueError: shard: its number must be an integer from 1 to 16, got 17
    """
    if value is None:
        return None
    if isinstance(value, str):
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", value.strip())
        if found is None:
            raise ValueError(f"shard must be {WANTED}, got {shown(value)}")
        value = (int(found[1]), int(found[2]))
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"shard must be {WANTED}, got {shown(value)}")
    count = check_integer("shard: of how many", value[1], 1, MAX_COUNT)
    return Shard(check_integer("shard: its number", value[0], 1, count), count)
