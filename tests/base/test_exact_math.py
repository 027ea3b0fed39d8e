"""Elementary functions by IEEE arithmetic alone: near NumPy's, and nothing of the C library's in the core."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from admin_py.base import exact_math
from admin_py.base.builds import MODULES

X = np.linspace(0, 1, 1001).reshape(7, 143)
INEXACT = {"exp", "exp2", "exp10", "expm1", "log", "log1p", "log2", "log10", "pow", "cbrt", "hypot"}
INEXACT |= {"sin", "cos", "tan", "sincos", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh"}
INEXACT |= {"asinh", "acosh", "atanh", "erf", "erfc", "tgamma", "lgamma", "lgamma_r", "gamma"}
INEXACT |= {"j0", "j1", "jn", "y0", "y1", "yn"}
"""Functions of libm whose last bits IEEE 754 leaves open."""


@pytest.mark.parametrize(
    ("ours", "numpys", "x"),
    [
        (exact_math.exp, np.exp, 100 * X - 90),
        (exact_math.tanh, np.tanh, 30 * X - 15),
        (exact_math.cos_turns, lambda turns: np.cos(2 * np.pi * turns), 2 * X - 1),
        (lambda x: exact_math.power(x, 2.5), lambda x: x**2.5, X),
        (lambda x: exact_math.power(x, 0.0), lambda x: x**0.0, X),
        (np.vectorize(exact_math.log), np.log, 1e3 * X + 1e-3),
        (exact_math.logs, np.log, 1e3 * X + 1e-3),
        (np.vectorize(exact_math.fourth_root), lambda x: x**0.25, 1e3 * X),
    ],
    ids=["exp", "tanh", "cos_turns", "power", "power 0", "log", "logs", "fourth_root"],
)
def test_near_numpys(ours: Callable[[Any], Any], numpys: Callable[[Any], Any], x: np.ndarray) -> None:
    got = ours(x)
    assert got.shape == x.shape
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, numpys(x), rtol=1e-15, atol=1e-15)  # NumPy is handed rounded angles


@pytest.mark.parametrize("dtype", MODULES)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 3, 300), (70, 130, 64), (0, 2, 3)], ids=str)
def test_a_product_is_that_of_the_exact_numbers(dtype: str, sizes: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((rows, sizes[2])).astype(dtype) for rows in sizes[:2])
    got = exact_math.product(a, b)
    assert (got.shape, got.dtype) == (sizes[:2], np.dtype(dtype))
    bound = np.abs(a) @ np.abs(b).T * sizes[2] * np.finfo(dtype).eps  # of any order of adding
    assert (np.abs(got - a.astype(np.longdouble) @ b.T.astype(np.longdouble)) <= bound).all()
    np.testing.assert_array_equal(exact_math.product(a[::-1], b), got[::-1])


def test_products_of_matrices_that_do_not_fit_are_refused() -> None:
    a = np.ones((2, 3))
    with pytest.raises(ValueError, match="b must have shape"):
        exact_math.product(a, np.ones((2, 4)))
    with pytest.raises(TypeError, match="b must have dtype float64, got float32"):
        exact_math.product(a, np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="a must have at least one column, got none"):
        exact_math.product(a[:, :0], a[:, :0])


def test_what_is_exact() -> None:
    assert exact_math.tanh(np.array([0, np.inf, -np.inf])).tolist() == [0, 1, -1]
    np.testing.assert_array_equal(exact_math.tanh(np.array([5e-324, -1e-300])), [5e-324, -1e-300])
    assert exact_math.cos_turns(np.array([0, 0.25, 0.5, 1, -0.5])).tolist() == [1, 0, -1, 1, -1]
    assert exact_math.power(np.array([0.25, 0, 1]), 1.5).tolist() == [0.125, 0, 1]
    assert exact_math.fourth_root(2**40) == 2**10
    assert exact_math.log(1) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact_math.power(np.array([1.5]), 2), "x must be numbers from 0 to 1"),
        (lambda: exact_math.power(np.array([np.nan]), 2), "x must be numbers from 0 to 1"),
        (lambda: exact_math.power(np.array([0.5]), -1), "exponent must be a number of at least 0"),
        (lambda: exact_math.cos_turns(np.array([2.0])), "turns must be numbers from -1 to 1"),
    ],
)
def test_other_ranges_are_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm, of binutils, is not installed")
@pytest.mark.parametrize("dtype", MODULES)
def test_the_core_takes_nothing_inexact_of_the_c_library(dtype: str) -> None:
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", str(MODULES[dtype].__file__)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = {line.split()[-1].partition("@")[0] for line in listed.splitlines()}
    assert "malloc" in names or "mmap" in names
    plain = {name.removesuffix(ending) for name in names for ending in ("", "f", "l")}
    assert not plain & INEXACT
