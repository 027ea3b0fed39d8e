"""Checks of arguments: each returns the value as the plain Python type, or raises one clear error."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

SHOWN = 100
"""Characters of a value that a message shows."""


def shown(value: Any) -> str:
    """A value in an error's sentence: its repr, shortened; its type where there is none. Never raises.

    Examples
    --------
    >>> shown("a" * 200)[-20:], shown(10**5000)
    ('aaaaaaaaaaaaaaaaa...', 'an integer of about 5000 digits')
    """
    if type(value) in (str, bytes):
        return _cut(repr(value[:SHOWN]) + "..." * (len(value) > SHOWN))
    if isinstance(value, int) and abs(value) > 10**300:
        return f"an integer of about {int(value.bit_length() * math.log10(2))} digits"
    try:
        return _cut(" ".join(str(repr(value)).split()))
    except Exception:  # of any class: the value's own code has raised it
        return f"an object of type {type(value).__name__}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def kind_of(value: Any) -> str:
    """What a value is, where its repr would say too much.

    Examples
    --------
    >>> kind_of(None), kind_of([1, 2])
    ('None', 'an object of type list')
    """
    return "None" if value is None else f"an object of type {type(value).__name__}"


def attribute_of(value: Any, name: str, default: Any = None) -> Any:
    """An attribute of what a user gave; the default where it has none, or whose own code raises."""
    try:
        return getattr(value, name, default)
    except Exception:  # of any class: the value's own code has raised it
        return default


def with_article(noun: str) -> str:
    """A noun with its article.

    Examples
    --------
    >>> with_article("Optimizer"), with_article("Batch")
    ('an Optimizer', 'a Batch')
    """
    return f"{'an' if noun[:1] in 'AEIOaeio' else 'a'} {noun}"


T = TypeVar("T")


def check_instance(name: str, value: Any, *kinds: type[T]) -> T:
    """The value if it is of one of these classes, else a TypeError naming them.

    Examples
    --------
    >>> check_instance("n", 3, str)
    Traceback (most recent call last):
    TypeError: n must be a str, got an object of type int
    """
    if not isinstance(value, kinds):
        wanted = " or ".join(with_article(kind.__name__) for kind in kinds)
        raise TypeError(f"{name} must be {wanted}, got {kind_of(value)}")
    return value


def check_listed(name: str, value: Any, of: str = "values") -> list[Any]:
    """What an iterable holds, as a list; TypeError for what is none, a text included, or cannot be read.

    Examples
    --------
    >>> check_listed("steps", range(2)), check_listed("steps", (3, None))
    ([0, 1], [3, None])
    >>> check_listed("steps", 3)
    Traceback (most recent call last):
    TypeError: steps must be a list of values, got 3
    """
    if not isinstance(value, (str, bytes, bytearray, type)):
        try:
            return list(value)
        except Exception:  # of any class: the value's own code has raised it
            pass
    raise TypeError(f"{name} must be a list of {of}, got {shown(value)}")


def check_mapping(name: str, value: Any) -> Mapping[Any, Any]:
    """What a mapping holds, as a dict; TypeError for what is none or cannot be read."""
    if isinstance(value, Mapping):
        try:
            return dict(value)
        except Exception:  # of any class: the value's own code has raised it
            pass
    raise TypeError(f"{name} must be a mapping, got {shown(value)}")


def check_callable(name: str, value: Any) -> Any:
    """What may be called."""
    if not callable(value):
        raise TypeError(f"{name} must be a callable, got {shown(value)}")
    return value


def check_texts(name: str, value: Any) -> Any:
    """Several texts, as a list; one text as it is, whose characters are meant."""
    if isinstance(value, str):
        return check_unicode(name, check_text(name, value))
    several = check_listed(name, value, "strings")
    for i, one in enumerate(several):
        if not isinstance(one, str):
            raise TypeError(f"{name} must be strings, but number {i} is {shown(one)}")
        check_unicode(f"{name}: number {i}", one)
    return several


def check_unicode(name: str, text: str) -> str:
    """A string that is text."""
    if not is_unicode(text):
        raise ValueError(f"{name} has lone surrogates, which are no text: {shown(text)}")
    return text


def is_unicode(text: str) -> bool:
    """Whether a string is text: lone surrogates, as of file names that are not UTF-8, are not."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_array(name: str, value: Any, kinds: str = "iuf") -> np.ndarray:
    """The value as an array of these kinds of numbers; TypeError for anything else.

    Examples
    --------
    >>> check_array("x", [1, 2]).shape
    (2,)
    >>> check_array("x", "words")
    Traceback (most recent call last):
    TypeError: x must be an array of numbers, got 'words'
    """
    try:
        array = np.asarray(value)
        good = array.dtype.kind in kinds or (array.size == 0 and array.dtype.kind == "f")
    except Exception:  # of any class: the value's own code has raised it
        good = False
    if not good:
        raise TypeError(f"{name} must be an array of numbers, got {shown(value)}")
    return array


def check_text(name: str, value: Any) -> str:
    """The value as a plain str; TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {shown(value)}")
    return value if type(value) is str else str.__str__(value)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """The value if it is one of the choices, else a ValueError naming them."""
    if not isinstance(value, str) or check_text(name, value) not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {shown(value)}")
    return str.__str__(value)


def as_number(name: str, value: Any) -> float:
    """The value as a float: Python's and NumPy's real numbers, arrays of no dimension; TypeError otherwise.

    Examples
    --------
    >>> as_number("lr", np.float32(0.5)), as_number("lr", np.array(2))
    (0.5, 2.0)
    >>> as_number("lr", np.True_)
    Traceback (most recent call last):
    TypeError: lr must be a number, got np.True_
    """
    good = not isinstance(value, (bool, str, bytes, np.ma.MaskedArray))
    if isinstance(value, (np.ndarray, np.generic)):
        good = good and value.ndim == 0 and value.dtype.kind in "iuf"
    try:
        if good and (hasattr(type(value), "__float__") or hasattr(type(value), "__index__")):
            return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be a finite number, got {shown(value)}") from None
    except Exception:  # of any class: the value's own code has raised it
        pass
    raise TypeError(f"{name} must be a number, got {shown(value)}")


def check_number(name: str, value: Any, *, low: float = -math.inf) -> float:
    """The value as a finite float of at least ``low``; TypeError or ValueError otherwise."""
    number = as_number(name, value)
    if not math.isfinite(number) or number < low:
        bound = "" if low == -math.inf else f" of at least {low:g}"
        raise ValueError(f"{name} must be a finite number{bound}, got {number!r}")
    return number


def check_bool(name: str, value: Any) -> bool:
    """The value as a bool; TypeError for anything else, 0 and 1 included."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def as_integer(name: str, value: Any, wanted: str = "an integer") -> int:
    """The value as an int; TypeError for a float, a bool or anything else."""
    if not isinstance(value, (bool, np.ma.MaskedArray)):
        try:
            return operator.index(value)
        except Exception:  # of any class: the value's own code has raised it
            pass
    raise TypeError(f"{name} must be {wanted}, got {shown(value)}")


LARGEST = 2**63 - 1
"""The largest integer that arrays count with."""

MAX_COUNT = 2**31 - 1
"""The largest number of steps, tokens or the like that may be asked for: what int32 counts."""

MAX_DRAW_SEED = 2**128
"""The largest seed of what NumPy's bit generators draw: of as many bits as their pool of entropy."""


def check_integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """The value as an int from ``low`` to ``high``, by default `LARGEST`.

    TypeError for a float or a bool, ValueError outside.

    Examples
    --------
    >>> check_integer("seed", -1, 0)
    Traceback (most recent call last):
    ValueError: seed must be at least 0, got -1
    >>> check_integer("layer", 3, 0, 2)
    Traceback (most recent call last):
    ValueError: layer must be an integer from 0 to 2, got 3
    """
    number = as_integer(name, value)
    if low <= number <= (LARGEST if high is None else high):
        return number
    if high is not None:
        wanted = f"an integer from {low} to {high}"
    else:
        wanted = f"at least {low}" if number < low else f"at most {LARGEST}"
    raise ValueError(f"{name} must be {wanted}, got {shown(number)}")


def check_segments(name: str, value: Any) -> int:
    """Layers of a segment for the core: 0 for False, -1 for True, else an integer from 1."""
    if isinstance(value, (bool, np.bool_)):
        return -1 if value else 0
    return check_integer(name, as_integer(name, value, "True, False or an integer"), 1, MAX_COUNT)


def check_probability(name: str, value: Any) -> float:
    """The value as a float in [0, 1)."""
    probability = check_number(name, value)
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"{name} must be a probability in [0, 1), got {probability!r}")
    return probability


def is_real(value: Any) -> bool:
    """Whether it is a number with a fraction, of Python or of NumPy: what a share may be.

    Examples
    --------
    >>> is_real(np.float16(0.5)), is_real(1), is_real("0.5")
    (True, False, False)
    """
    return isinstance(value, float) or (
        isinstance(value, (np.floating, np.ndarray)) and value.ndim == 0 and value.dtype.kind == "f"
    )
