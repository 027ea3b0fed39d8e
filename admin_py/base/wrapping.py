"""Functions around functions, which look like the inner one to help, doctest and signatures."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def in_place_of(function: F, wrapper: Callable[..., Any]) -> F:
    """The wrapper with the name, text, signature and module's globals of the function.

    By the globals doctest finds what is of a module; `functools.wraps` alone leaves those of the wrapper.
    """
    made = types.FunctionType(
        wrapper.__code__, function.__globals__, function.__name__, None, wrapper.__closure__
    )
    return functools.wraps(function)(made)  # type: ignore[return-value]
