"""Models whose first weights are not drawn, where all of them are given others at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_DRAWS = ContextVar("draws", default=True)


def draws() -> bool:
    """Whether a model that is made now draws its weights."""
    return _DRAWS.get()


@contextmanager
def undrawn() -> Iterator[None]:
    """Models that this thread makes within have weights of 0: a kind of model of one's own need not know.

    Examples
    --------
    >>> with undrawn():
    ...     draws()
    False
    >>> draws()
    True
    """
    token = _DRAWS.set(False)
    try:
        yield
    finally:
        _DRAWS.reset(token)
