"""Arguments that are wrong nearly everywhere: each is made anew for its call."""

from __future__ import annotations

import datetime
import decimal
import fractions
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


class HostileError(Exception):
    """What hostile objects raise: of no type that a function of the package documents."""


def raising(*names: str) -> Any:
    """An object whose methods of these names raise."""

    def fail(self: Any, *arguments: Any, **options: Any) -> Any:
        raise HostileError(f"from {', '.join(names)}")

    return type("Hostile", (), {**dict.fromkeys(names, fail), "__hash__": object.__hash__})()


class RaisingAttributes:
    """Whatever is asked for raises."""

    def __getattr__(self, name: str) -> Any:
        raise HostileError(f"from the attribute {name}")


class RaisingMapping(Mapping[str, Any]):
    """A mapping that has no entries when it is read."""

    def __getitem__(self, key: str) -> Any:
        raise HostileError("from an entry")

    def __iter__(self) -> Any:
        return iter(("lr", "kind", "m"))

    def __len__(self) -> int:
        return 3


class RaisingText(str):
    """A text whose words cannot be printed."""

    def __repr__(self) -> str:
        raise HostileError("from a text")


def nested(depth: int, *, mapping: bool = False) -> Any:
    """Lists, or mappings, in each other."""
    value: Any = {} if mapping else []
    for _ in range(depth):
        value = {"a": value} if mapping else [value]
    return value


def itself() -> list[Any]:
    """A list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


def failing_iterator() -> Any:
    """An iterator that raises when it is read."""
    yield 1
    raise HostileError("from an iterator")


def no_rows() -> Any:
    """An empty table."""
    import pandas as pd

    return pd.DataFrame({"a": []})


METHODS = (
    ("__repr__",),
    ("__repr__", "__str__", "__float__"),
    ("__float__",),
    ("__index__",),
    ("__index__", "__int__", "__float__"),
    ("__len__",),
    ("__len__", "__getitem__"),
    ("__eq__",),
    ("__iter__",),
    ("__iter__", "__len__", "__getitem__"),
    ("__bool__",),
    ("__array__",),
    ("__fspath__",),
    ("__contains__",),
    ("__call__",),
    ("__hash__", "__eq__"),
)

HOSTILE: Mapping[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "0": lambda: 0,
    "-1": lambda: -1,
    "-3": lambda: -3,
    "2**63": lambda: 2**63,
    "2**64": lambda: 2**64,
    "2**70": lambda: 2**70,
    "-(2**63) - 1": lambda: -(2**63) - 1,
    "10**400": lambda: 10**400,
    "-(10**5000)": lambda: -(10**5000),
    "0.5": lambda: 0.5,
    "-0.0": lambda: -0.0,
    "1e300": lambda: 1e300,
    "-1e-300": lambda: -1e-300,
    "5e-324": lambda: 5e-324,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: -float("inf"),
    "1j": lambda: 1 + 1j,
    "np.float16": lambda: np.float16(0.1),
    "np.float32": lambda: np.float32(0.1),
    "np.longdouble": lambda: np.longdouble("1e4000"),
    "np.int8": lambda: np.int8(3),
    "np.uint64": lambda: np.uint64(2**64 - 1),
    "np.True_": lambda: np.True_,
    "np.complex64": lambda: np.complex64(1e-3 + 1j),
    "np.str_": lambda: np.str_("no such name"),
    "np.datetime64": lambda: np.datetime64("2020-01-01"),
    "np.timedelta64": lambda: np.timedelta64(3, "s"),
    "array of none": lambda: np.zeros(0),
    "array of one": lambda: np.array([1e-3]),
    "array 0-d": lambda: np.array(1e-3),
    "array 0-d of an integer": lambda: np.array(2),
    "array 0-d bool": lambda: np.array(True),
    "array 0-d complex": lambda: np.array(1j),
    "array 0-d of an object": lambda: np.array(None, dtype=object),
    "array 2 x 3": lambda: np.ones((2, 3)),
    "array 2 x 3 integers": lambda: np.ones((2, 3), np.int64),
    "array of nan": lambda: np.full(5, np.nan),
    "array of objects": lambda: np.array([None, "a", 1], dtype=object),
    "array of texts": lambda: np.array(["a", "b"]),
    "array of records": lambda: np.zeros(2, [("a", "i4"), ("b", "f8")]),
    "array of 30 dimensions": lambda: np.zeros((1,) * 30),
    "masked array": lambda: np.ma.masked_array([1.0, 2.0], [True, False]),
    "masked": lambda: np.ma.masked,
    "empty text": lambda: "",
    "text": lambda: "no such name",
    "blanks": lambda: " \t\n",
    "long text": lambda: "word " * 200_000,
    "surrogate": lambda: "\ud800",
    "zero": lambda: "a\0b",
    "text without words": lambda: RaisingText("unprintable"),
    "bytes": lambda: b"\xff\x00",
    "bytearray": lambda: bytearray(b"ab"),
    "memoryview": lambda: memoryview(b"abcd"),
    "Decimal": lambda: decimal.Decimal("1e500"),
    "Decimal sNaN": lambda: decimal.Decimal("sNaN"),
    "Fraction": lambda: fractions.Fraction(10**400, 3),
    "date": lambda: datetime.date(2020, 1, 1),
    "lambda": lambda: lambda: None,
    "lambda of all": lambda: lambda *arguments, **options: None,
    "class": lambda: dict,
    "abstract class": lambda: Mapping,
    "module": lambda: np,
    "object": object,
    "Ellipsis": lambda: ...,
    "NotImplemented": lambda: NotImplemented,
    "lock": threading.Lock,
    "exception": lambda: ValueError("no"),
    "path": lambda: Path("no such folder/no such file"),
    "folder": lambda: Path("."),
    "empty list": list,
    "list of None": lambda: [None],
    "list of nan": lambda: [float("nan")] * 2,
    "list of texts": lambda: ["a", "b"],
    "list of bool": lambda: [True, False],
    "list of 10**400": lambda: [10**400],
    "list of lists": lambda: [[1, 2], [3]],
    "list of hostile": lambda: [raising("__repr__", "__index__", "__float__")],
    "tuple of none": tuple,
    "pair": lambda: (0.9, 0.98),
    "pair of texts": lambda: ("a", "b"),
    "triple": lambda: (1, 2, 3),
    "dict": dict,
    "dict of texts": lambda: {"a": 1},
    "dict of numbers": lambda: {1: 2},
    "dict of None": lambda: {None: None},
    "dict of hostile": lambda: {"m": raising("__repr__", "__array__"), "kind": raising("__eq__", "__repr__")},
    "set": lambda: {1, 2},
    "range": lambda: range(3),
    "iterator": lambda: iter([1, None]),
    "failing iterator": failing_iterator,
    "table": no_rows,
    "deep list": lambda: nested(100_000),
    "deep dict": lambda: nested(100_000, mapping=True),
    "list of itself": itself,
    "raising attributes": RaisingAttributes,
    "raising mapping": RaisingMapping,
    **{f"raising {' '.join(names)}": (lambda names=names: raising(*names)) for names in METHODS},
}
"""Label -> what makes one."""
