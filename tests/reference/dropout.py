"""Dropout as a factor: 0 with probability ``rate``, else 1 / (1 - rate).

The oracle multiplies by whatever factors it is given. ``RandomDropout`` draws them from NumPy, for the checks
of the oracle itself; ``CoreDropout`` computes those of the compute core from its counter hash.
"""

from __future__ import annotations

import zlib

import numpy as np


class NoDropout:
    """Evaluation: every factor is 1."""

    def rows(
        self, stack: str, site: str, shape: tuple[int, int], rate: float, sublayer: int = -1
    ) -> np.ndarray:
        """Factors [M, N] of a matrix of rows; site is "embedding", "branch" or "activation"."""
        return np.ones(shape)

    def scores(
        self,
        stack: str,
        sublayer: int,
        b: int,
        head: int,
        first: tuple[int, int],
        shape: tuple[int, int],
        rate: float,
    ) -> np.ndarray:
        """Factors [T, S] of the attention probabilities of one sequence and head.

        ``first`` holds the packed rows at which the queries and the keys of sequence b begin.
        """
        return np.ones(shape)


class RandomDropout(NoDropout):
    """Factors drawn from (seed, site): the same whenever they are asked for again."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def _draw(self, key: str, shape: tuple[int, int], rate: float) -> np.ndarray:
        rng = np.random.default_rng([self.seed, zlib.crc32(key.encode())])
        return (rng.random(shape) >= rate) / (1.0 - rate)

    def rows(
        self, stack: str, site: str, shape: tuple[int, int], rate: float, sublayer: int = -1
    ) -> np.ndarray:
        return self._draw(f"{stack}.{sublayer}.{site}", shape, rate)

    def scores(
        self,
        stack: str,
        sublayer: int,
        b: int,
        head: int,
        first: tuple[int, int],
        shape: tuple[int, int],
        rate: float,
    ) -> np.ndarray:
        return self._draw(f"{stack}.{sublayer}.scores.{b}.{head}", shape, rate)
