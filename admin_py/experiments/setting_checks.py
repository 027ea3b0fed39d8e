"""Checks of single values of settings, and how values are read from a command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from admin_py.base.checks import check_choice, check_integer, check_number, shown
from admin_py.model.config import MAX_LAYERS
from admin_py.schemes import Scheme
from admin_py.training.named_optimizers import OPTIMIZERS
from admin_py.training.optimizers import Optimizer

Check = Callable[[str, Any], Any]
"""From a setting's name and one value to the value as it is kept; raises naming both."""


def check_layers(name: str, value: Any) -> int | tuple[int, int]:
    """Layers of a stack, or of the encoder and the decoder.

    Examples
    --------
    >>> check_layers("layers", 6), check_layers("layers", (6, 12)), check_layers("layers", (6, 6))
    (6, (6, 12), 6)
    """
    if not isinstance(value, tuple):
        return check_integer(name, value, 1, MAX_LAYERS)
    if len(value) != 2:
        raise ValueError(
            f"{name} must be one number, or two as one model's encoder and decoder, got {shown(value)}; "
            "a list compares several"
        )
    encoder, decoder = (check_integer(name, one, 1, MAX_LAYERS) for one in value)
    return encoder if encoder == decoder else (encoder, decoder)


def check_scheme(name: str, value: Any) -> Any:
    """A scheme's name, a scheme, or a pair; the configuration says whether there is such a scheme.

    Examples
    --------
    >>> check_scheme("schemes", ("post_ln", "pre_ln")), check_scheme("schemes", ("admin",))
    (('post_ln', 'pre_ln'), 'admin')
    """
    if isinstance(value, tuple) and len(value) == 1:
        return check_scheme(name, value[0])
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(
                f"{name} must be one scheme, or two as a model's encoder and decoder, got {shown(value)}; "
                "a list compares several"
            )
    elif not isinstance(value, (str, Scheme)):
        raise TypeError(f"{name} must be a name, a Scheme or a pair of these, got {shown(value)}")
    return value


def check_optimizer(name: str, value: Any) -> Any:
    """A name, an optimiser, or what makes one of a learning rate."""
    if isinstance(value, str):
        return check_choice(name, value, tuple(OPTIMIZERS))
    if not (isinstance(value, Optimizer) or callable(value)):
        raise TypeError(
            f"{name} must be a name ({', '.join(map(repr, OPTIMIZERS))}), an optimiser, or a callable that "
            f"takes lr= and returns one, got {shown(value)}"
        )
    return value


def positive(name: str, value: Any) -> float:
    """A number above 0."""
    number = check_number(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {number!r}")
    return number


def integer(low: int, high: int) -> Check:
    """An integer in this range."""
    return lambda name, value: check_integer(name, value, low, high)


def choice(choices: Iterable[str]) -> Check:
    """One of these words."""
    return lambda name, value: check_choice(name, value, tuple(choices))


def optional(check: Check) -> Check:
    """None, or what the check takes."""
    return lambda name, value: None if value is None else check(name, value)


def beta(name: str, value: Any) -> float:
    """A decay of moments."""
    number = check_number(name, value)
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be in [0, 1), got {number!r}")
    return number


def parse_layers(text: str) -> int | tuple[int, int]:
    """Layers as they are typed: a number, or two as ``18,6``.

    Examples
    --------
    >>> parse_layers("18"), parse_layers("18,6")
    (18, (18, 6))
    """
    numbers = [int(part) for part in text.split(",")]
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise ValueError(text)
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])
