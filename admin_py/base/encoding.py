"""Arrays and numbers that are not finite, as what strict JSON can hold, and back."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from admin_py.base import documents

NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
"""How such numbers stand in a file."""

Dtype = Literal[
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "longdouble", "float128",
]  # fmt: skip
"""Those that `encode_array` writes."""


class ArrayDocument(msgspec.Struct, forbid_unknown_fields=True, rename={"dtype": "__array__"}):
    """An array as it stands in a file."""

    dtype: Dtype
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(max_length=32)]
    data: list[Any]


class FloatDocument(msgspec.Struct, forbid_unknown_fields=True, rename={"text": "__float__"}):
    """A number that is not finite as it stands in a file."""

    text: Literal["nan", "inf", "-inf"]


def encode_array(array: np.ndarray) -> dict[str, Any]:
    """An array of numbers as what JSON can hold; TypeError for any other.

    Examples
    --------
    >>> encode_array(np.array([1.0, np.nan]))
    {'__array__': 'float64', 'shape': [2], 'data': [1.0, 'nan']}
    """
    if array.dtype.kind not in "biuf":
        raise TypeError(f"value: no JSON for an array of dtype {array.dtype}")
    flat = array.reshape(-1).tolist()
    if array.dtype.kind == "f":
        flat = [item if math.isfinite(item) else str(item) for item in flat]
    return {"__array__": array.dtype.name, "shape": list(array.shape), "data": flat}


def decode_array(value: Any, path: str = "$") -> np.ndarray:
    """What `encode_array` was given, read-only. Nothing is allocated before type, shape and data fit.

    Raises
    ------
    ValueError
        Saying the place and what is wrong there.

    Examples
    --------
    >>> decode_array({"__array__": "float64", "shape": [2], "data": [1.0, "nan"]})
    array([ 1., nan])
    >>> decode_array({"__array__": "int64", "shape": [10, 10], "data": [1]}, "$.steps")
    Traceback (most recent call last):
        ...
    ValueError: at $.steps: an array of shape [10, 10] has 100 elements, got 1
    """
    told = documents.convert(value, ArrayDocument, path)
    count = math.prod(told.shape)
    if count != len(told.data):
        raise ValueError(
            f"at {path}: an array of shape {told.shape} has {count} elements, got {len(told.data)}"
        )
    dtype = np.dtype(told.dtype)
    kinds: dict[str, set[type]] = {"b": {bool}, "f": {int, float, str}}
    allowed = kinds.get(dtype.kind, {int})
    if not set(map(type, told.data)) <= allowed:
        index = next(i for i, item in enumerate(told.data) if type(item) not in allowed)
        raise ValueError(f"at {path}.data[{index}]: no number of {dtype}: {told.data[index]!r:.60}")
    data = told.data
    if dtype.kind == "f":
        for index, item in enumerate(data):
            if type(item) is str and item not in NOT_FINITE:
                raise ValueError(f"at {path}.data[{index}]: no number of {dtype}: {item!r:.60}")
        data = [NOT_FINITE[item] if type(item) is str else item for item in data]
    try:
        array = np.array(data, dtype=dtype).reshape(told.shape)
    except OverflowError:
        raise ValueError(f"at {path}.data: a number does not fit into {dtype}") from None
    except ValueError as error:  # a shape without elements, yet beyond what can be counted
        raise ValueError(f"at {path}.shape: {error}") from None
    array.flags.writeable = False
    return array


def decode_float(value: Any, path: str = "$") -> float:
    """A number that is not finite, of its mapping; ValueError for what is none."""
    return NOT_FINITE[documents.convert(value, FloatDocument, path).text]
