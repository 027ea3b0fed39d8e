"""Statistics of dropout: the masks that the core draws, and the bits of the hash they come from.

Every test runs on fixed seeds, so none fails by chance; the bounds are those that a true random source would
pass with near certainty (4.5 standard deviations, or a p-value of a hundred thousandth).
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from reference.dropout import CoreDropout
from scipy import stats

from proofs.configurations import config
from proofs.core import BUILDS

SIGMAS = 4.5
P_VALUE = 1e-5
M, D = 512, 64


def draw_mask(
    p: float, *, seed: int = 1, step: int = 0, site: str = "feed_forward", dtype: str = "float32"
) -> np.ndarray:
    """Factors [M, D] as the core applies them: one branch of a layer puts out ones, all else zeros."""
    made = config({}, decoder=0, vocab_size=0, d_model=D, heads=4, d_ff=D, max_length=M)
    made["activation_dropout" if site == "activation" else "dropout"] = p
    layer = BUILDS[dtype].EncoderLayer(made, seed=seed)
    params = layer.parameters
    for value in params.values():
        value[...] = 0.0
    if site == "activation":
        params["encoder.0.feed_forward.fc1.bias"][...] = 1.0
        params["encoder.0.feed_forward.fc2.weight"][...] = np.eye(D)
    else:
        params[f"encoder.0.{site}.{'fc2' if site == 'feed_forward' else 'out'}.bias"][...] = 1.0
    zeros = np.zeros((M, D), dtype=dtype)
    return np.asarray(layer.forward(zeros, np.array([M - 100, 60, 40]), training=True, step=step))


def within(value: float, expected: float, sigma: float) -> bool:
    return abs(value - expected) < SIGMAS * sigma


@pytest.mark.parametrize("site", ["self_attn", "feed_forward", "activation"])
@pytest.mark.parametrize("p", [0.05, 0.1, 0.3, 0.5, 0.9])
def test_keep_rate_and_scale(p: float, site: str) -> None:
    """Factors are 0 or 1 / (1 - p), 1 on average, kept with probability 1 - p in every row and column."""
    masks = np.stack([draw_mask(p, seed=seed, site=site) for seed in range(4)])
    keep = 1.0 - p
    assert set(np.unique(masks)) == {np.float32(0.0), np.float32(1.0 / keep)}
    kept = masks > 0
    sigma = np.sqrt(p * keep)
    assert within(kept.mean(), keep, sigma / np.sqrt(kept.size))
    assert within(masks.mean(dtype=np.float64), 1.0, sigma / keep / np.sqrt(kept.size))
    for axes in ((0, 1), (0, 2)):  # by feature, by token
        rates = kept.mean(axis=axes)
        worst = np.abs(rates - keep).max() / (sigma / np.sqrt(kept.size / rates.size))
        assert worst < SIGMAS + 1.0, axes  # the largest of some hundreds


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """In standard deviations of independent samples."""
    return float(np.corrcoef(x.ravel(), y.ravel())[0, 1] * np.sqrt(x.size))


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_elements_are_independent(p: float) -> None:
    """No correlation of neighbours in either direction, nor at powers of two."""
    kept = draw_mask(p) > 0
    for rows, columns in itertools.product((0, 1, 2, 4, 16, 64, 256), (0, 1, 2, 3, 4, 8, 16, 32)):
        if rows or columns:
            a, b = kept[: M - rows, : D - columns], kept[rows:, columns:]
            assert abs(correlation(a, b)) < SIGMAS, (rows, columns)
    assert abs(correlation(kept[:, :-1], kept[:, 1:][:, ::-1])) < SIGMAS


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_steps_seeds_and_sites_are_independent(p: float) -> None:
    """Masks of neighbouring steps, seeds and sites have nothing in common, shifted or not."""
    masks = {f"step {step}": draw_mask(p, step=step) for step in (0, 1, 2, 3, 4, 1000, 2**31, 2**63)}
    masks |= {f"seed {seed}": draw_mask(p, seed=seed) for seed in (0, 2, 3, 4, 2**32 + 1, 2**63)}
    masks |= {site: draw_mask(p, site=site) for site in ("self_attn", "activation")}
    for (a, x), (b, y) in itertools.combinations(masks.items(), 2):
        assert abs(correlation(x, y)) < SIGMAS + 0.5, (a, b)
        assert abs(correlation(x[1:], y[:-1])) < SIGMAS + 0.5, (a, b)
        assert abs(correlation(x[:, 1:], y[:, :-1])) < SIGMAS + 0.5, (a, b)


def test_the_same_number_means_the_same_mask() -> None:
    """Masks depend on seed, step and site alone: neither on the precision nor on what ran before."""
    assert np.array_equal(draw_mask(0.5), draw_mask(0.5))
    assert np.array_equal(draw_mask(0.5), draw_mask(0.5, dtype="float64"))
    expected = CoreDropout(1, 7, heads=4).rows("encoder", "branch", (M, D), 0.5, 1)
    assert np.array_equal(draw_mask(0.5, step=7), expected)
    # a mask at a higher rate drops all that one at a lower rate drops: one hash decides
    assert np.all((draw_mask(0.1) > 0) >= (draw_mask(0.3) > 0))


def test_streaks() -> None:
    """Lengths of runs of dropped elements along a row are geometric: p^k (1 - p)."""
    p = 0.5
    runs = []
    for seed in range(8):
        for row in draw_mask(p, seed=seed) > 0:
            runs += [len(list(group)) for kept, group in itertools.groupby(row[:-1]) if not kept]
    longest = 9
    counts = np.bincount(np.minimum(runs, longest), minlength=longest + 1)[1:]
    # In a row of n elements a run of k < n starts at (n - k - 1) inner places and ends at 2 edges.
    n = D - 1
    k = np.arange(1, n + 1)
    rate = np.where(k < n, (n - k - 1) * p**k * (1 - p) ** 2 + 2 * p**k * (1 - p), p**n)
    expected = np.append(rate[: longest - 1], rate[longest - 1 :].sum())
    assert stats.chisquare(counts, expected / expected.sum() * counts.sum()).pvalue > P_VALUE


def test_patterns_of_eight_neighbours() -> None:
    """All 256 patterns of eight neighbours, along a row or a column, are equally frequent."""
    kept = np.stack([draw_mask(0.5, seed=seed) for seed in range(4)]) > 0
    for x in (kept, np.swapaxes(kept, 1, 2)):
        words = np.packbits(x.reshape(-1, 8), axis=1).ravel()
        assert stats.chisquare(np.bincount(words, minlength=256)).pvalue > P_VALUE


def test_bits_of_the_hash() -> None:
    """Every bit is one half of the time 1, bytes are uniform, pairs of bits are independent."""
    x = CoreDropout(3, 5, heads=1).hashes(0, np.arange(1024), 128)
    bits = (
        ((x[..., None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)).astype(np.float64).reshape(-1, 32)
    )
    assert np.abs(bits.mean(axis=0) - 0.5).max() < (SIGMAS + 0.5) * 0.5 / np.sqrt(len(bits))
    pairs = np.corrcoef(bits.T) * np.sqrt(len(bits))
    assert np.abs(pairs[np.triu_indices(32, 1)]).max() < SIGMAS + 0.5
    for shift in (0, 8, 16, 24):
        counts = np.bincount(((x >> np.uint32(shift)) & np.uint32(255)).ravel(), minlength=256)
        assert stats.chisquare(counts).pvalue > P_VALUE
    assert stats.kstest(x.ravel() / 2.0**32, "uniform").pvalue > P_VALUE


def test_avalanche() -> None:
    """One more in the column, the row, the step or the seed flips half of the bits, each of them."""
    rows, columns = np.arange(512), 128
    base = CoreDropout(3, 5, heads=1).hashes(8, rows, columns)
    others = {
        "column": CoreDropout(3, 5, 1).hashes(8, rows, columns + 1)[:, 1:],
        "row": CoreDropout(3, 5, 1).hashes(8, rows + 1, columns),
        "step": CoreDropout(3, 6, 1).hashes(8, rows, columns),
        "seed": CoreDropout(4, 5, 1).hashes(8, rows, columns),
        "site": CoreDropout(3, 5, 1).hashes(9, rows, columns),
        "stack": CoreDropout(3, 5, 1).hashes(8 + (1 << 32), rows, columns),
    }
    for name, other in others.items():
        flips = ((base ^ other)[..., None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
        rates = flips.reshape(-1, 32).mean(axis=0)
        assert np.abs(rates - 0.5).max() < (SIGMAS + 0.5) * 0.5 / np.sqrt(base.size), name


def test_dropped_attention_is_unbiased() -> None:
    """Dropout of probabilities keeps the mean of attention's output and has the variance it must have."""
    made = config({}, decoder=0, vocab_size=0, d_model=D, heads=4, d_ff=D, max_length=M)
    made["attention_dropout"] = p = 0.3
    layer = BUILDS["float64"].EncoderLayer(made, seed=1)
    params = layer.parameters
    for value in params.values():
        value[...] = 0.0
    params["encoder.0.self_attn.v.bias"][...] = 1.0
    params["encoder.0.self_attn.out.weight"][...] = np.eye(D)
    T = 50
    out = layer.forward(np.zeros((20 * T, D)), np.full(20, T), training=True)
    heads = out.reshape(-1, 4, D // 4)
    assert np.ptp(heads, axis=2).max() < 1e-12  # one mask for all features of a head
    sums = heads[:, :, 0]  # the mean of T factors each
    sigma = np.sqrt(p / (1 - p) / T)
    assert within(sums.mean(), 1.0, sigma / np.sqrt(sums.size))
    assert sums.std() == pytest.approx(sigma, rel=0.05)
    assert abs(correlation(sums[:, 0], sums[:, 1])) < SIGMAS  # heads draw apart
    assert abs(correlation(sums[1:], sums[:-1])) < SIGMAS
