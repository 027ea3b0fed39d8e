"""What is kept from training for the splits "valid" and "test": how much of a text, or which lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import as_number, check_integer, is_real, shown
from admin_py.data.batching import random_bits, random_order

HELD_OUT = ("valid", "test")
"""Splits beside "train", in the order in which datasets have them."""

# Held out for "valid" by default: this share of the lines, but no more than so many.
SHARE, MOST = 0.05, 1000


def check_part(name: str, value: Any, of: str) -> float:
    """A share that is held out of what there is, in [0, 1)."""
    share = float(value)
    if not 0 <= share < 1:
        raise ValueError(f"{name} as a share of {of} must be at least 0 and below 1, got {share}")
    return share


def counts_of(given: Mapping[str, object], count: int, *, ready: str, unit: str) -> dict[str, int]:
    """How many of count lines each split is to get.

    Parameters
    ----------
    given : mapping of str to object
        Split to a share (a float), a number (an integer) or None.
    count : int
        Lines with text.
    ready : str
        What else may be given, for errors: "a pair of files".
    unit : str
        What the lines are called: "pairs".

    Raises
    ------
    TypeError
        If something else is given.
    ValueError
        If a share or number is out of range, or nothing is left to train on.

    Examples
    --------
    >>> counts_of({"valid": None, "test": 0.25}, 40, ready="a pair of files", unit="pairs")
    {'valid': 2, 'test': 10}
    """
    counts = {name: _count(name, value, count, ready) for name, value in given.items()}
    taken = {name: number for name, number in counts.items() if number}
    if count and sum(taken.values()) >= count:
        raise ValueError(
            f"{' + '.join(taken)} is {sum(taken.values())}, but only {count} {unit} have text: none is left "
            "to train on"
        )
    return taken


def _count(name: str, value: object, count: int, ready: str) -> int:
    if value is None:
        return min(MOST, max(1, int(SHARE * count))) if name == "valid" and count > 1 else 0
    if is_real(value):
        share = check_part(name, as_number(name, value), "the lines")
        return min(max(1, round(share * count)), count - 1) if share else 0
    try:
        return check_integer(name, value, 0)
    except TypeError:
        raise TypeError(f"{name} must be {ready}, a share or a number of lines, got {shown(value)}") from None


def parted(count: int, counts: Mapping[str, int], seed: int) -> dict[str, NDArray[np.int64]]:
    """Which lines are whose, drawn at random: int64 arrays, each in the order of the lines.

    A split's lines depend on those before it alone: a test split takes from the training lines, and the
    validation lines stay.
    """
    order = random_order(count, random_bits(seed))
    parts = {}
    start = 0
    for name, number in counts.items():
        parts[name] = np.sort(order[start : start + number])
        start += number
    return {"train": np.sort(order[start:]), **parts}
