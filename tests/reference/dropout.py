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


PLACES = {"branch": 0, "scores": 1, "activation": 2}  # of a sub-layer, whose fourth number is free


class CoreDropout(NoDropout):
    """The factors of the compute core, written anew from the formula of its hash.

    The hash reads (seed, step, site, row, column). A site is a place of a sub-layer, a row the number of a
    token in the packed batch (for attention, of token and head: token * H + head), a column the feature (for
    attention, the key's place in its sequence). There is no state: any element can be had in any order.
    """

    GOLDEN_GAMMA = 0x9E3779B97F4A7C15
    WORD = (1 << 64) - 1

    def __init__(self, seed: int, step: int, heads: int) -> None:
        self.seed, self.step, self.heads = seed, step, heads

    @staticmethod
    def mix(x: int) -> int:
        """SplitMix64's finaliser."""
        word = CoreDropout.WORD
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & word
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & word
        return x ^ (x >> 31)

    def key(self, site: int) -> int:
        """Of the stream of random numbers (seed, step, site)."""
        golden, word = self.GOLDEN_GAMMA, self.WORD
        key = self.mix((self.seed + golden) & word)
        key = self.mix(key ^ ((self.step * golden + 1) & word))
        return self.mix(key ^ ((site * golden + 2) & word))

    def hashes(self, site: int, rows: np.ndarray, columns: int) -> np.ndarray:
        """32 random bits for each of the rows [M] and each column: uint32 [M, columns]."""
        key = self.key(site)
        mixed = [self.mix((key + (int(row) + 1) * self.GOLDEN_GAMMA) & self.WORD) for row in rows]
        a = np.array([m & 0xFFFFFFFF for m in mixed], dtype=np.uint32)[:, None]
        b = np.array([m >> 32 for m in mixed], dtype=np.uint32)[:, None]
        x = np.arange(columns, dtype=np.uint32)[None, :] * np.uint32(0x9E3779B1) + a
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD)
        x = ((x ^ (x >> np.uint32(15))) + b) * np.uint32(0xD35A2D97)
        return np.asarray(x ^ (x >> np.uint32(15)))

    def factors(self, site: int, rows: np.ndarray, columns: int, rate: float) -> np.ndarray:
        """0 where the hash is below rate 2^32, else 1 / (1 - rate)."""
        if rate <= 0.0:
            return np.ones((len(rows), columns))
        kept = self.hashes(site, rows, columns) >= np.uint32(int(rate * 2.0**32))
        return kept / (1.0 - rate)

    def site(self, stack: str, place: str, sublayer: int) -> int:
        """The number of a place."""
        base = (0 if stack == "encoder" else 1) << 32
        if place == "embedding":
            return base + 0xFFFFFFFF  # above all sub-layers
        return base + 4 * sublayer + PLACES[place]

    def rows(
        self, stack: str, site: str, shape: tuple[int, int], rate: float, sublayer: int = -1
    ) -> np.ndarray:
        return self.factors(self.site(stack, site, sublayer), np.arange(shape[0]), shape[1], rate)

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
        rows = (first[0] + np.arange(shape[0])) * self.heads + head
        return self.factors(self.site(stack, "scores", sublayer), rows, shape[1], rate)
