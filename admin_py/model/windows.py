"""Windows of self-attention: how far a token sees, in every layer or layer by layer."""

from __future__ import annotations

from typing import Any

from admin_py.base.checks import check_integer, shown

MAX_WINDOW = 2**30

Window = int | None
"""Tokens that a token sees, itself the last of them; None for all."""


def check_windows(name: str, value: Any, layers: int) -> Window | tuple[Window, ...]:
    """One window for all layers, or one for each; a tuple of None alone is None.

    Raises
    ------
    ValueError, TypeError
        If there are more or fewer than layers, or one is no positive integer.

    Examples
    --------
    >>> check_windows("it", 8, 2), check_windows("it", [8, None], 2), check_windows("it", [None, None], 2)
    (8, (8, None), None)
    """
    if not isinstance(value, (tuple, list)):
        return None if value is None else check_integer(name, value, 1, MAX_WINDOW)
    if len(value) != layers:
        raise ValueError(
            f"{name} must be one for all layers or one for each of {layers}, the encoder's first, got "
            f"{shown(value)}"
        )
    found = tuple(
        None if one is None else check_integer(f"{name}[{layer}]", one, 1, MAX_WINDOW)
        for layer, one in enumerate(value)
    )
    return found if any(found) else None
