"""The exponential moving average of a training's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 15
"""Numbers that are taken at once, so that what is in between stays in the cache."""


class MovingAverage:
    """The mean of the weights after every step so far, in which each step counts `decay` times the next.

    So it is the mean of steps that were made, from the first on, and the weights before them have no part in
    it: after t steps the sum over i = 1, ..., t of decay^(t-i) w_i, over that of decay^(t-i). It is kept in
    float64, for in float32 a decay of .9999 would lose to rounding what a step adds, and rounded to the
    model's type where it is used. Every element is computed alone: the same bits whatever computes.

    Parameters
    ----------
    decay : float
        From 0 to below 1.

    Examples
    --------
    >>> average = MovingAverage(0.5)
    >>> for weights in (1.0, 4.0):
    ...     average.add(np.array([weights]))
    >>> average.mean
    array([3.])
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._total = 0.0
        self.mean: NDArray[np.float64] | None = None
        """None before the first step."""

    def add(self, weights: NDArray[Any]) -> None:
        """Take in the weights after a step."""
        self._total = 1.0 + self._decay * self._total
        if self.mean is None:
            self.mean = weights.astype(np.float64)
            return
        share = 1.0 / self._total
        for begin in range(0, len(weights), BLOCK):
            part = self.mean[begin : begin + BLOCK]
            part += share * (weights[begin : begin + BLOCK] - part)

    def restore(self, mean: NDArray[np.float64] | None, steps: int) -> None:
        """Go on from the mean after so many steps."""
        self.mean, self._total = mean, 0.0
        for _ in range(steps):
            before, self._total = self._total, 1.0 + self._decay * self._total
            if before == self._total:  # as it stays
                break

    @contextmanager
    def in_place_of(self, weights: NDArray[Any]) -> Iterator[None]:
        """Write the average over the weights inside the ``with`` block, and put them back."""
        if self.mean is None:
            yield
            return
        before = weights.copy()
        try:
            weights[...] = self.mean
            yield
        finally:
            weights[...] = before
