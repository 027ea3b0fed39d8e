"""Initial weights: their distributions, bounds and gains, in both precisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from proofs.configurations import PRE, config, scale
from proofs.core import BUILDS

D, F, V = 96, 160, 400
P_VALUE = 1e-5  # seeds are fixed; a true draw would pass with near certainty


def parameters(
    sub: dict[str, Any], *, seed: int = 3, dtype: str = "float64", **fields: Any
) -> dict[str, np.ndarray]:
    sizes = {"d_model": D, "d_ff": F, "vocab_size": V, "heads": 4, "share_embeddings": "none"}
    core = BUILDS[dtype].Transformer(config(sub, encoder=1, decoder=1, **sizes | fields), seed=seed)
    return {name: np.array(value) for name, value in core.parameters.items()}


def bound(fan_in: int, fan_out: int) -> float:
    return float(np.sqrt(6.0 / (fan_in + fan_out)))


def expected_bounds(fused: bool) -> dict[str, float]:
    qkv = bound(D, 3 * D if fused else D)
    return {"q": qkv, "k": qkv, "v": qkv, "out": bound(D, D), "fc1": bound(D, F), "fc2": bound(F, D)}


def matrix_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[-2] if parts[-1] == "weight" and len(parts) == 5 else None


@pytest.mark.parametrize("fused", [True, False])
def test_xavier_uniform(fused: bool) -> None:
    """Every matrix uniform on +- sqrt(6 / (fan_in + fan_out)), q, k, v drawn as one or apart."""
    params = parameters({"qkv_fused_init": fused})
    seen = 0
    for name, w in params.items():
        matrix = matrix_of(name)
        if matrix:
            b = expected_bounds(fused)[matrix]
            assert np.abs(w).max() <= b
            assert stats.kstest(w.ravel(), "uniform", args=(-b, 2 * b)).pvalue > P_VALUE, name
            seen += 1
    assert seen == 2 * 6 + 4  # two stacks, and cross-attention


def test_xavier_normal_and_gains() -> None:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out))."""
    gains = {"q": 1.0, "k": 0.5, "v": 0.87, "out": 0.6, "fc1": 1.3, "fc2": 0.25}
    for name, w in parameters({"init": "xavier_normal", "gains": gains, "qkv_fused_init": False}).items():
        matrix = matrix_of(name)
        if matrix:
            sigma = gains[matrix] * expected_bounds(False)[matrix] / np.sqrt(3.0)
            assert stats.kstest(w.ravel(), "norm", args=(0.0, sigma)).pvalue > P_VALUE, name


def test_gains_scale_uniform_draws() -> None:
    plain, half = (
        parameters({}),
        parameters({"gains": dict.fromkeys(("q", "k", "v", "out", "fc1", "fc2"), 0.5)}),
    )
    for name, w in plain.items():
        factor = 0.5 if matrix_of(name) else 1.0
        np.testing.assert_allclose(half[name], factor * w, rtol=1e-15)


def test_looks_linear() -> None:
    """fc1 = [W; -W] and fc2 = [U, -U]: the feed-forward branch is linear at first."""
    params = parameters({"init": "looks_linear"})
    for stack in ("encoder", "decoder"):
        fc1, fc2 = (params[f"{stack}.0.feed_forward.{m}.weight"] for m in ("fc1", "fc2"))
        assert np.array_equal(fc1[: F // 2], -fc1[F // 2 :])
        assert np.array_equal(fc2[:, : F // 2], -fc2[:, F // 2 :])
        x = np.random.default_rng(0).standard_normal((5, D))

        def branch(x: np.ndarray, fc1: np.ndarray = fc1, fc2: np.ndarray = fc2) -> np.ndarray:
            return np.maximum(x @ fc1.T, 0.0) @ fc2.T

        np.testing.assert_allclose(branch(x), -branch(-x), atol=1e-13)
        np.testing.assert_allclose(branch(x), x @ (fc2[:, : F // 2] @ fc1[: F // 2]).T, atol=1e-13)


def test_embeddings_are_normal() -> None:
    """N(0, 1 / sqrt(D)) times the stack's gain; so are learned positions, without gain."""
    params = parameters({}, positions="learned", max_length=200)
    for name, w in params.items():
        if "embedding" in name or "positions" in name or name == "output.weight":
            assert stats.kstest(w.ravel(), "norm", args=(0.0, D**-0.5)).pvalue > P_VALUE, name


def test_constants() -> None:
    """Biases 0, gains of norms 1, DyT's scale one half, omega and alpha what the scheme says."""
    sub = {
        "norm_post": "layer", "norm_pre": "dyt", "norm_branch": "rms", "omega": scale("vector", value=1.5),
        "alpha": scale("scalar", value=0.25),
    }  # fmt: skip
    for name, w in parameters(sub).items():
        last = name.rsplit(".", 1)[-1]
        value = {"bias": 0.0, "nu": 0.0, "gamma": 1.0, "scale": 0.5, "omega": 1.5, "alpha": 0.25}.get(last)
        if value is not None:
            assert np.all(w == value), name


def test_seeds_and_precisions() -> None:
    """A seed is a model; float32 rounds what float64 draws; other parameters do not shift a draw."""
    one, again, other = parameters({}), parameters({}), parameters({}, seed=4)
    single, more = parameters({}, dtype="float32"), parameters(PRE)
    for name, w in one.items():
        assert np.array_equal(w, again[name])
        assert np.array_equal(w.astype(np.float32), single[name])
        assert np.array_equal(w, more[name])
        if w.ndim == 2:
            assert abs(np.corrcoef(w.ravel(), other[name].ravel())[0, 1]) < 4.5 / np.sqrt(w.size), name


def test_matrices_are_drawn_apart() -> None:
    """No two matrices of a model are correlated, nor rows within one."""
    params = {name: w.ravel() for name, w in parameters({}).items() if w.ndim == 2}
    names = list(params)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            n = min(params[a].size, params[b].size)
            assert abs(np.corrcoef(params[a][:n], params[b][:n])[0, 1]) < 4.5 / np.sqrt(n), (a, b)
    w = params["encoder.embedding.weight"].reshape(V, D)
    assert abs(np.corrcoef(w[1:].ravel(), w[:-1].ravel())[0, 1]) < 4.5 / np.sqrt(w.size)


def test_init_weights_draws_anew() -> None:
    core = BUILDS["float32"].Transformer(config(PRE), seed=1)
    first = core.weights.copy()
    core.init_weights(2)
    assert not np.array_equal(core.weights, first)
    core.init_weights(1)
    assert np.array_equal(core.weights, first)
