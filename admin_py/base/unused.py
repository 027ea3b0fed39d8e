"""Arguments that would do nothing are refused: a rule an argument, with what it goes with in words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from admin_py.base.checks import shown
from admin_py.base.wrapping import in_place_of

F = TypeVar("F", bound=Callable[..., Any])

Rule = tuple[str, Callable[[Mapping[str, Any]], Any]]
"""What an argument goes with, in words, and whether that is so, from all arguments with their defaults."""


def goes_with(**rules: Rule) -> Callable[[F], F]:
    """Refuse arguments that are given and not the default where their rule does not hold.

    Examples
    --------
    >>> @goes_with(seed=("a temperature", lambda given: given["temperature"] is not None))
    ... def draw(*, temperature: float | None = None, seed: int = 0) -> int:
    ...     return seed
    >>> draw(temperature=1.0, seed=3), draw(), draw(seed=0)
    (3, 0, 0)
    >>> draw(seed=3)
    Traceback (most recent call last):
    ValueError: seed goes with a temperature, got seed=3 without
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        defaults = {name: signature.parameters[name].default for name in rules}

        def wrapper(*arguments: Any, **options: Any) -> Any:
            try:
                bound = signature.bind(*arguments, **options)
            except TypeError:
                pass  # the call itself says which argument is missing or unknown
            else:
                refuse(bound)
            return function(*arguments, **options)

        def refuse(bound: inspect.BoundArguments) -> None:
            asked = [name for name in rules if name in bound.arguments]
            asked = [name for name in asked if _differs(bound.arguments[name], defaults[name])]
            bound.apply_defaults()
            for name in asked:
                words, holds = rules[name]
                if not holds(bound.arguments):
                    value = shown(bound.arguments[name])
                    raise ValueError(f"{name} goes with {words}, got {name}={value} without")

        return in_place_of(function, wrapper)

    return decorate


def _differs(value: Any, default: Any) -> bool:
    if value is default:
        return False
    try:
        return not bool(value == default)
    except Exception:  # of any class: the value's own code has raised it
        return True
