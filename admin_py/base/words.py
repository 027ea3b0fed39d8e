"""Numbers and lists as words in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np


def number(value: float) -> str:
    """Three significant digits, without an exponent where people would not use one.

    Examples
    --------
    >>> number(2.7249), number(0.1604), number(12345.6), number(float("nan")), number(3.8e-4)
    ('2.72', '0.160', '12,346', 'n/a', '3.8e-04')
    >>> number(0.0), number(float("inf")), number(2.5e9)
    ('0', 'inf', '2.5e+09')
    """
    if math.isnan(value):
        return "n/a"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    if not 1e-3 <= abs(value) < 1e7:
        return f"{value:.1e}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def listing(words: Iterable[str]) -> str:
    """Words as a list in a sentence.

    Examples
    --------
    >>> listing(["a", "b", "c"]), listing(["a"])
    ('a, b and c', 'a')
    """
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def spread(values: np.ndarray) -> str:
    """Mean of the finite values, with their range where there are several.

    Examples
    --------
    >>> spread(np.array([1.0, 2.0])), spread(np.array([0.5])), spread(np.array([np.nan]))
    ('1.50 (1.00 to 2.00)', '0.500', 'n/a')
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "n/a"
    mean = number(float(finite.mean()))
    return (
        mean
        if len(finite) == 1
        else f"{mean} ({number(float(finite.min()))} to {number(float(finite.max()))})"
    )


def sentence(parts: Sequence[str]) -> str:
    """Parts as one sentence.

    Examples
    --------
    >>> sentence(["one trains", "two do not"])
    'One trains; two do not.'
    """
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
