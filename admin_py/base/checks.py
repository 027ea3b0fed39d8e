"""Checks of arguments: each returns the value as the plain Python type, or raises one clear error."""

from __future__ import annotations

import math
import operator
from typing import Any


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """The value if it is one of the choices, else a ValueError naming them."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def check_number(name: str, value: Any, *, low: float = -math.inf) -> float:
    """The value as a finite float of at least ``low``; TypeError or ValueError otherwise."""
    if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number, got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < low:
        bound = "" if low == -math.inf else f" of at least {low:g}"
        raise ValueError(f"{name} must be a finite number{bound}, got {number!r}")
    return number


def check_bool(name: str, value: Any) -> bool:
    """The value as a bool; TypeError for anything else, 0 and 1 included."""
    if type(value).__name__ not in ("bool", "bool_"):  # Python's and NumPy's
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_integer(name: str, value: Any, low: int, high: int) -> int:
    """The value as an int from ``low`` to ``high``; TypeError for a float or a bool, ValueError outside."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}, got {number}")
    return number


def check_segments(name: str, value: Any) -> int:
    """Layers of a segment for the core: 0 for False, -1 for True, else an integer from 1."""
    if type(value).__name__ in ("bool", "bool_"):
        return -1 if value else 0
    try:
        return check_integer(name, value, 1, 2**31 - 1)
    except TypeError:
        raise TypeError(f"{name} must be True, False or an integer, got {value!r}") from None


def check_probability(name: str, value: Any) -> float:
    """The value as a float in [0, 1)."""
    probability = check_number(name, value)
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"{name} must be a probability in [0, 1), got {probability!r}")
    return probability


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
