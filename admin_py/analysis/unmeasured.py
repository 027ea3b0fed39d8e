"""Measures that cannot be taken: the reason stands where the number would, and nothing else ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

REASONS = (ValueError, ArithmeticError, LookupError, Warning)
"""What a measure may raise where its arguments are known to be right, and data or model do not have it."""


class Unmeasured(ValueError):
    """What was asked for, these data or this model do not have; the message says why."""


class Measures:
    """Takes measures one after the other; one that cannot be taken is None, and why is kept.

    Parameters
    ----------
    reasons : tuple of exception types
        What means that a measure cannot be taken; others are passed on.

    Attributes
    ----------
    without : dict of str to str
        Name of a measure that is None -> the reason.

    Examples
    --------
    >>> measures = Measures()
    >>> measures.take("half", lambda: 1 / 2), measures.take("ratio", lambda: 1 / 0)
    (0.5, None)
    >>> measures.without
    {'ratio': 'division by zero'}
    """

    def __init__(self, reasons: tuple[type[Exception], ...] = REASONS) -> None:
        self.without: dict[str, str] = {}
        self._reasons = reasons

    def take(self, name: str, compute: Callable[[], T]) -> T | None:
        """The measure, or None and the reason noted."""
        try:
            return compute()
        except self._reasons as error:
            self.without[name] = str(error) or type(error).__name__
            return None

    def leave_out(self, reason: str, *names: str) -> None:
        """Measures that are not even tried, all for one reason."""
        self.without.update(dict.fromkeys(names, reason))
