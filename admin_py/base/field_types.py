"""The types that a class declares for its fields, as msgspec checks values by them."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from admin_py.base import documents


class _ByTest(type):
    """Of types whose values are told by a test: what msgspec does not know it asks isinstance of."""

    test: Callable[[Any], bool]

    def __instancecheck__(cls, value: Any) -> bool:
        return cls.test(value)


def _told_by(name: str, test: Callable[[Any], bool]) -> Any:
    return _ByTest(name, (), {"test": staticmethod(test), "__module__": "builtins"})


def _array(dtype: Any) -> Any:
    """The type of arrays of this dtype, of any where it is None."""
    if dtype is None:
        return _told_by("array", lambda value: isinstance(value, np.ndarray))
    kind = np.dtype(dtype).kind
    return _told_by(
        f"array of {np.dtype(dtype)}",
        lambda value: isinstance(value, np.ndarray) and value.dtype.kind == kind,
    )


def _checked(hint: Any) -> Any:
    """A hint as msgspec takes it: arrays and dataclasses are told by isinstance, not built anew."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is np.ndarray or origin is np.ndarray:
        scalar = typing.get_args(arguments[1])[0] if arguments else Any
        known = isinstance(scalar, type) and issubclass(scalar, np.generic)
        return _array(scalar if known else None)
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_checked(one) for one in arguments)]  # noqa: UP007  made at run time
    if arguments and isinstance(origin, type):
        return origin[tuple(one if one is ... else _checked(one) for one in arguments)]  # type: ignore[index]
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return _told_by(hint.__name__, lambda value: isinstance(value, hint))
    return hint


@cache
def _fields_type(kind: type) -> Any:
    """A mapping of a dataclass's fields; None where its annotations cannot be resolved, as in a notebook."""
    try:
        hints = typing.get_type_hints(kind)
    except (NameError, TypeError):
        return None
    names = [field.name for field in dataclasses.fields(kind)]
    return typing.TypedDict(kind.__name__, {name: _checked(hints[name]) for name in names})  # type: ignore


def check_fields(kind: type, values: Mapping[str, Any]) -> None:
    """That values are of the types that a dataclass declares for its fields.

    Raises
    ------
    ValueError
        Saying the place, what was expected and what stands there.

    Examples
    --------
    >>> import dataclasses
    >>> @dataclasses.dataclass
    ... class Curve:
    ...     name: str
    ...     values: np.ndarray
    ...     seeds: tuple[int, ...] = ()
    >>> check_fields(Curve, {"name": "loss", "values": np.zeros(2), "seeds": (1, 2)})
    >>> check_fields(Curve, {"name": "loss", "values": np.zeros(2), "seeds": (1, "2")})
    Traceback (most recent call last):
        ...
    ValueError: at $.seeds[1]: expected `int`, got `str`
    """
    expected = _fields_type(kind)
    if expected is not None:
        documents.convert(dict(values), expected)
