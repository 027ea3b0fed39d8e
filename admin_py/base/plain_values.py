"""Plain values, of which results are made: frozen, made plain again, compared throughout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from admin_py.base.mappings import ReadOnlyMapping


def frozen_array(values: Any, dtype: Any = np.float64) -> np.ndarray:
    """Read-only copy of an array.

    Examples
    --------
    >>> frozen_array([1, 2]).flags.writeable
    False
    """
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal throughout: arrays by dtype, shape and every element, nan like nan.

    Examples
    --------
    >>> same({"x": np.array([np.nan])}, {"x": np.array([np.nan])})
    True
    >>> same([1, 2.0], (1, 2.5))
    False
    """
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)) or a.dtype != b.dtype:
            return False
        return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b):
        return True
    return bool(a == b)


def freeze(value: Any) -> Any:
    """Read-only mapping for a mapping, tuple for a list, read-only copy of an array that could change."""
    if isinstance(value, np.ndarray):
        return frozen_array(value, value.dtype) if value.flags.writeable or not value.flags.owndata else value
    if isinstance(value, Mapping):
        return ReadOnlyMapping({key: freeze(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return tuple(freeze(item) for item in value)
    return value


def freeze_field(name: str, value: Any) -> Any:
    """`freeze` for what a user gave as the field of this name.

    Raises
    ------
    TypeError, ValueError
        Naming the field, if it cannot be read.
    """
    try:
        return freeze(value)
    except RecursionError:
        raise ValueError(f"{name} must not be nested so deeply") from None
    except Exception as error:  # of any class: the value's own code has raised it
        raise TypeError(f"{name} cannot be read: {type(error).__name__}") from error


def thaw(value: Any) -> Any:
    """Plain dicts for the read-only mappings that `freeze` makes.

    Examples
    --------
    >>> thaw(freeze({"a": [1, {"b": 2}]}))
    {'a': (1, {'b': 2})}
    """
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(thaw(item) for item in value)
    return value
