"""The check of whole-number arguments that have a least value but no greatest."""

from __future__ import annotations

import operator
from typing import Any


def checked_integer(name: str, value: Any, *, minimum: int) -> int:
    """value as an int of at least minimum; TypeError for what is no integer, ValueError for one too small.

    Examples
    --------
    >>> checked_integer("seed", -1, minimum=0)
    Traceback (most recent call last):
    ValueError: seed must be at least 0, got -1
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, got {value!r:.80}")
    number = operator.index(value)
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {number}")
    return number
