"""Fits of the theory: least squares against NumPy's, and the cases without an answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_py.analysis.theory import Fit, amplification, fit, fits, scale_to

SEED = 7


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.sampled_from(["linear", "logarithmic"]))
def test_a_fit_is_least_squares(values: list[float], form: str) -> None:
    y = np.array(values)
    n = np.arange(1, len(y) + 1)
    x = np.log(n) if form == "logarithmic" else n.astype(float)
    found = fit(y, form=form)
    slope, intercept = np.polyfit(x, y, 1)
    # polyfit solves by an SVD of [x, 1]: a few roundings of the largest value apart
    room = 1e-10 * (1.0 + np.abs(y).max())
    assert found.slope == pytest.approx(slope, abs=room)
    assert found.intercept == pytest.approx(intercept, abs=room)
    np.testing.assert_allclose(found(n), slope * x + intercept, atol=10 * room)
    assert np.isnan(found.r2) or found.r2 <= 1.0


def test_r2_is_the_share_of_variance_explained() -> None:
    random = np.random.default_rng(SEED)
    n = np.arange(1, 101)
    y = 3.0 * np.log(n) + random.normal(0, 0.1, 100)
    both = fits(y)
    residual = y - both.logarithmic(n)
    assert both.logarithmic.r2 == pytest.approx(1 - residual.var() / y.var(), rel=1e-12)
    assert both.logarithmic.r2 > 0.99 > both.linear.r2
    assert both.better == "logarithmic"
    assert fits(n).better == "linear"


def test_values_that_do_not_vary_or_are_not_finite_have_no_r2() -> None:
    flat = fit([2.0, 2.0, 2.0])
    assert (flat.slope, flat.intercept) == (0.0, 2.0)
    assert np.isnan(flat.r2)
    lost = fit([1.0, np.inf, 2.0], form="logarithmic")
    assert np.isnan([lost.slope, lost.intercept, lost.r2]).all()
    assert fits([1.0, np.nan]).better == "linear"


def test_what_cannot_be_fitted_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"values must be at least two numbers, got shape \(1,\)"):
        fit([1.0])
    with pytest.raises(ValueError, match="form must be one of 'linear', 'logarithmic', got 'square'"):
        fit([1.0, 2.0], form="square")


def test_curves_of_the_theory() -> None:
    np.testing.assert_array_equal(amplification([0.5, 0.5, 1.0]), [0.5, 1.0, 2.0])
    curve = np.array([1.0, 2.0, 4.0])
    assert scale_to(curve, 0.25 * curve) == 0.25
    assert scale_to(np.zeros(3), curve) == 0.0
    random = np.random.default_rng(SEED)
    y = random.normal(size=3)
    best = scale_to(curve, y)
    error = [((y - c * curve) ** 2).sum() for c in (best - 1e-3, best, best + 1e-3)]
    assert error[1] < min(error[0], error[2])
    assert Fit(1.0, 0.0, 1.0, "logarithmic")(1) == 0.0
