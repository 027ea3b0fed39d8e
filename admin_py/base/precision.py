"""Numbers in a model's type: what it would round to 0, to 1 or to infinity is refused by name."""

from __future__ import annotations

import math

import numpy as np

USUAL = (1e-37, 1e38)
"""Sizes that both types hold."""


def check_held(name: str, value: float, dtype: str) -> float:
    """The value if the type holds it; ValueError where it would become 0 or infinity.

    What is smaller than the smallest normal number is 0 to the core, which flushes such numbers.

    Examples
    --------
    >>> check_held("eps", 1e-9, "float32"), check_held("eps", 1e-60, "float64")
    (1e-09, 1e-60)
    >>> check_held("eps", 1e-60, "float32")
    Traceback (most recent call last):
    ValueError: eps must be a number that float32 can hold, got 1e-60, which it rounds to 0
    """
    if value == 0 or USUAL[0] < abs(value) < USUAL[1]:
        return value
    with np.errstate(over="ignore", under="ignore"):
        rounded = float(np.dtype(dtype).type(value))
    if abs(rounded) < np.finfo(dtype).smallest_normal:
        rounded = 0.0
    if rounded == 0 or not math.isfinite(rounded):
        raise ValueError(
            f"{name} must be a number that {dtype} can hold, got {value!r}, which it rounds to {rounded:g}"
        )
    return value


def check_below_one(name: str, value: float, dtype: str) -> float:
    """A decay in [0, 1) that stays below 1 in the type.

    Examples
    --------
    >>> check_below_one("betas", 1 - 1e-10, "float32")
    Traceback (most recent call last):
    ValueError: betas must be below 1 in float32, got 0.9999999999, which it rounds to 1
    """
    if float(np.dtype(dtype).type(value)) >= 1:
        raise ValueError(f"{name} must be below 1 in {dtype}, got {value!r}, which it rounds to 1")
    return check_held(name, value, dtype)
