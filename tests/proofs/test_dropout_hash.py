"""Quality of dropout's random numbers on large samples: as a fair coin's, and nothing that repeats.

The samples come from the reference's hash, which is shown first to be the core's. A statistic that is normal
must lie within 6 standard deviations (2e-9), and a chi-square's p-value must not be below 1e-8. There are
some 160,000 of the former and 130 of the latter: true random numbers would break a bound of all these tests
together with a probability of 0.0005. Seeds are fixed and printed, so nothing here fails by chance.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from reference.dropout import CoreDropout
from scipy import stats

from proofs.test_dropout import D, M, draw_mask

SIGMAS = 6.0
P_VALUE = 1e-8
RATES = (0.05, 0.1, 0.3, 0.5, 0.9)
SEEDS = (0, 1, 20_201, 2**63 + 5)
R, N = 1024, 512  # rows and columns of a sample


@cache
def sample(seed: int) -> np.ndarray:
    """Hashes [R, N] of one site, which is another one for each seed, as is the step."""
    print(f"seed {seed}")
    return CoreDropout(seed, seed % 1000, heads=1).hashes(seed % 7, np.arange(R), N)


def kept(hashes: np.ndarray, p: float) -> np.ndarray:
    return hashes >= np.uint32(int(p * 2.0**32))


def standard(mask: np.ndarray, p: float) -> np.ndarray:
    """Of mean 0 and variance 1, if kept with probability 1 - p."""
    return ((mask - (1 - p)) / np.sqrt(p * (1 - p))).astype(np.float32)


def chi_square_is_likely(value: float, freedom: int) -> bool:
    """Neither too large nor too small."""
    return min(stats.chi2.sf(value, freedom), stats.chi2.cdf(value, freedom)) > P_VALUE / 2


@pytest.mark.parametrize("site", ["self_attn", "feed_forward"])
@pytest.mark.parametrize(("seed", "step", "p"), [(0, 0, 0.1), (7, 2**40, 0.05), (2**63 + 5, 999, 0.9)])
def test_the_reference_draws_the_masks_of_the_core(seed: int, step: int, p: float, site: str) -> None:
    sublayer = 0 if site == "self_attn" else 1
    expected = CoreDropout(seed, step, heads=4).rows("encoder", "branch", (M, D), p, sublayer)
    assert np.array_equal(draw_mask(p, seed=seed, step=step, site=site, dtype="float64"), expected)


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("seed", SEEDS)
def test_means(seed: int, p: float) -> None:
    """Of all elements; of every row and every column, whose squared deviations add up to a chi-square."""
    z = standard(kept(sample(seed), p), p).astype(np.float64)
    assert abs(z.sum()) < SIGMAS * np.sqrt(z.size)
    for axis in (0, 1):
        sums = z.sum(axis=axis) / np.sqrt(z.shape[axis])
        assert np.abs(sums).max() < SIGMAS + 0.5, axis  # binomial: a little wider than normal
        assert chi_square_is_likely((sums**2).sum(), sums.size), axis


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("seed", SEEDS)
def test_elements_of_a_mask_are_uncorrelated(seed: int, p: float) -> None:
    """Neighbours in a row, in a column and across, near ones and at powers of two."""
    z = standard(kept(sample(seed), p), p)
    steps = (0, 1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 256)
    for rows, columns in itertools.product(steps, (*steps, *(-step for step in steps if step))):
        if (rows, columns) == (0, 0):
            continue
        right = z[rows:, max(columns, 0) : N + min(columns, 0)]
        left = z[: R - rows, max(-columns, 0) : N + min(-columns, 0)]
        together = np.vdot(left, right)
        assert abs(together) < SIGMAS * np.sqrt(left.size), (rows, columns)


def streams() -> dict[tuple[int, int, int], np.ndarray]:
    """Hashes [32, 512] of neighbouring and of far (seed, step, site)."""
    near, powers = range(20), [2**k for k in range(5, 64, 2)]
    keys = [(seed, 0, 0) for seed in (*near, *powers)]
    keys += [(0, step, 0) for step in (*near[1:], *powers)]
    stacks = [(1 << 32) + site for site in range(8)]
    keys += [(0, 0, site) for site in (*near[1:], *powers[:13], 0xFFFFFFFF, 0x1FFFFFFFF, *stacks)]
    keys += [(k, k, k) for k in near[1:]]
    return {key: CoreDropout(key[0], key[1], 1).hashes(key[2], np.arange(32), 512) for key in keys}


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_seeds_steps_and_sites_are_uncorrelated(p: float) -> None:
    """Every pair of masks, one upon the other, moved by a row and moved by a column."""
    found = streams()
    z = np.stack([standard(kept(hashes, p), p) for hashes in found.values()])
    for name, left, right in (
        ("in place", z, z),
        ("a row on", z[:, :-1], z[:, 1:]),
        ("a column on", z[:, :, :-1], z[:, :, 1:]),
    ):
        a, b = left.reshape(len(z), -1), right.reshape(len(z), -1)
        together = a @ b.T / np.sqrt(a.shape[1])
        np.fill_diagonal(together, 0.0)  # of a mask with itself: the test above
        i, j = np.unravel_index(np.abs(together).argmax(), together.shape)
        assert abs(together[i, j]) < SIGMAS, (name, list(found)[i], list(found)[j])


def lengths_of_runs(sequence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of dropped and of kept elements; the first and the last run are left out."""
    changes = np.flatnonzero(np.diff(sequence)) + 1
    lengths, of_kept = np.diff(changes), sequence[changes[:-1]]
    return lengths[~of_kept], lengths[of_kept]


@pytest.mark.parametrize("p", RATES)
@pytest.mark.parametrize("seed", SEEDS)
def test_streaks(seed: int, p: float) -> None:
    """Along rows and down columns, runs of an outcome of probability q: length k with (1 - q) q^(k - 1)."""
    mask = kept(sample(seed), p)
    for way, x in (("rows", mask), ("columns", mask.T)):
        for lengths, q in zip(lengths_of_runs(np.ascontiguousarray(x).ravel()), (p, 1 - p)):
            # the last bin has all that is longer; it is expected to hold 20
            last = max(int(np.log(20 / len(lengths)) / np.log(q)), 1) + 1
            chances = np.append((1 - q) * q ** np.arange(last - 1), q ** (last - 1))
            counts = np.bincount(np.minimum(lengths, last), minlength=last + 1)[1:]
            value = ((counts - len(lengths) * chances) ** 2 / (len(lengths) * chances)).sum()
            assert chi_square_is_likely(value, last - 1), (way, q)


def test_no_two_masks_are_the_same() -> None:
    """4096 masks of 256 elements by (seed, step, site), and 32768 keys."""
    near = range(16)
    masks = {
        np.packbits(kept(CoreDropout(seed, step, 1).hashes(site, np.arange(8), 32), 0.5)).tobytes()
        for seed, step, site in itertools.product(near, repeat=3)
    }
    assert len(masks) == 16**3
    keys = {
        CoreDropout(seed, step, 1).key(site) for seed, step, site in itertools.product(range(32), repeat=3)
    }
    assert len(keys) == 32**3


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_rows_and_no_two_columns_are_the_same(seed: int) -> None:
    mask = kept(sample(seed), 0.5)
    for x in (mask, mask.T):
        assert len(np.unique(np.packbits(x, axis=1), axis=0)) == len(x)
        z = standard(x, 0.5)
        alike = z @ z.T / np.sqrt(x.shape[1])  # of every pair of rows
        np.fill_diagonal(alike, 0.0)
        pairs = len(x) * (len(x) - 1) // 2
        assert np.abs(alike).max() < 7.0  # 3e-12 each, of 2.6 million in all tests
        assert chi_square_is_likely((np.triu(alike, 1).astype(np.float64) ** 2).sum(), pairs)
