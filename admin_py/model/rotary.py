"""Rotary positions: their checks, and in NumPy what the core does, for probabilities that are observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import MAX_COUNT, check_integer, check_number, shown
from admin_py.base.exact_math import cos_turns, exp, log

THETA = 10000.0
"""Su et al. 2021, section 3.2.2."""

Scaling = tuple[float, float, float, int]
"""Factor, low and high frequency factor, and original length, of Llama 3."""


def check_scaling(name: str, value: Any) -> Scaling:
    """The four numbers by which Llama 3 scales frequencies."""
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        raise ValueError(
            f"{name} must be (factor, low_frequency_factor, high_frequency_factor, original_length), "
            f"got {shown(value)}"
        )
    factor = check_number(f"{name}'s factor", value[0], low=1.0)
    low, high = (check_number(f"{name}'s frequency factors", one) for one in value[1:3])
    if not 0 < low < high:
        raise ValueError(
            f"{name}'s frequency factors must be 0 < low < high, got {shown(low)} and {shown(high)}"
        )
    return factor, low, high, check_integer(f"{name}'s original length", value[3], 1, MAX_COUNT)


@dataclass(frozen=True)
class Rotary:
    """The angles of a model's rotary positions."""

    width: int
    theta: float
    interleaved: bool
    scaling: Scaling | None

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Of the pairs of a head, radians a position: [width / 2].

        Examples
        --------
        >>> Rotary(4, THETA, interleaved=False, scaling=None).frequencies.round(12).tolist()
        [1.0, 0.01]
        """
        plain = exp(-(2.0 * np.arange(self.width // 2) / self.width) * log(self.theta))
        if self.scaling is None:
            return plain
        factor, low, high, length = self.scaling
        share = np.clip((length * plain / (2 * np.pi) - low) / (high - low), 0.0, 1.0)
        return np.asarray((1.0 - share) * (plain / factor) + share * plain)

    def turn(self, x: NDArray[Any]) -> NDArray[Any]:
        """Queries or keys of a sequence, [T, heads, K], turned by their positions 0 to T - 1."""
        turns = np.arange(len(x))[:, None, None] * self.frequencies / (2 * np.pi)
        turns -= np.round(turns)
        cos, sin = (part.astype(x.dtype) for part in (cos_turns(turns), cos_turns(turns - 0.25)))
        features = np.arange(self.width)
        first, second = features.reshape(-1, 2).T if self.interleaved else features.reshape(2, -1)
        result = x.copy()
        a, b = x[..., first], x[..., second]
        result[..., first] = a * cos - b * sin
        result[..., second] = b * cos + a * sin
        return result
