"""Mappings that do not change: what results and models hand out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ReadOnlyMapping(Mapping[K, V]):
    """A mapping whose entries stay, and that, unlike Python's own read-only view, can be copied and pickled.

    A deep copy and what comes out of a pickle share nothing with it.

    Parameters
    ----------
    entries : mapping
        A plain dict of them is kept as it is: nobody else may have it.

    Examples
    --------
    >>> import copy, pickle
    >>> names = ReadOnlyMapping({"a": [1]})
    >>> names["b"] = 2
    Traceback (most recent call last):
        ...
    TypeError: 'ReadOnlyMapping' object does not support item assignment
    >>> copied, pickled = copy.deepcopy(names), pickle.loads(pickle.dumps(names))
    >>> copied == pickled == names, copied["a"] is names["a"], names | {"b": 2}
    (True, False, {'a': [1], 'b': 2})
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[K, V]) -> None:
        self._entries = entries if type(entries) is dict else dict(entries)

    def __getitem__(self, key: K) -> V:
        return self._entries[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __reversed__(self) -> Iterator[K]:
        return reversed(self._entries)

    def __or__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        return {**self, **other} if isinstance(other, Mapping) else NotImplemented

    def __ror__(self, other: Mapping[Any, Any]) -> dict[Any, Any]:
        return {**other, **self} if isinstance(other, Mapping) else NotImplemented

    def copy(self) -> dict[K, V]:
        """A dict of the same entries."""
        return dict(self._entries)

    def __copy__(self) -> ReadOnlyMapping[K, V]:
        return self  # it does not change

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self._entries),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._entries!r})"
