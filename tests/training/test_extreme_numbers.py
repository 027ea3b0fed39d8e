"""Numbers at the ends of a type: squares that overflow, options that round away, decay that is small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_models import PAIRS, both, small

import admin_py as ap
from admin_py.base.builds import MODULES

ADAPTIVE = [ap.Adam, ap.AdamW, ap.RAdam, ap.NovoGrad]
HUGE = {"float32": 1e25, "float64": 1e200}
"""Numbers whose squares the type, and for float64 a double, cannot hold."""


def with_gradients(value: float, dtype: str = "float32") -> ap.Transformer:
    model = small(dtype, dropout=0.0)
    model.backward(PAIRS)
    model._core.gradient_buffer[...] = value
    return model


@both
@pytest.mark.parametrize("make", ADAPTIVE)
def test_a_second_moment_that_overflows_is_no_step_of_zero(make: Any, dtype: str) -> None:
    model, optimizer = with_gradients(HUGE[dtype], dtype), make(lr=1e-3)
    norms = [optimizer.step(model) for _ in range(8)]
    moved = [norm for norm in norms if norm != 0.0]  # RAdam's first steps move nothing by its rule
    assert moved
    assert not any(np.isfinite(norm) and norm < 1e-6 for norm in moved)
    assert not np.isfinite(norms[-1])


@both
def test_the_norm_of_huge_gradients_is_right(dtype: str) -> None:
    value, size = HUGE[dtype], 1000
    array = np.full(size, value, dtype)
    np.testing.assert_allclose(MODULES[dtype].norm2(array), value * np.sqrt(size), rtol=1e-6)
    assert MODULES[dtype].norm2(np.full(3, np.inf, dtype)) != MODULES[dtype].norm2(np.zeros(3, dtype))
    assert not np.isfinite(MODULES[dtype].norm2(np.array([1.0, np.inf], dtype)))
    assert np.isnan(MODULES[dtype].norm2(np.array([1.0, np.nan], dtype)))
    model = with_gradients(value, dtype)
    for name, norm in zip(model.parameters, model._core.norms("gradients"), strict=True):
        np.testing.assert_allclose(norm, value * np.sqrt(model.parameters[name].size), rtol=1e-6)


@both
@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_rows_whose_squares_overflow_are_normed_as_others(norm: str, dtype: str) -> None:
    scheme = ap.Scheme("normed", lambda site: ap.Residual(norm_pre=norm))
    layer = ap.EncoderLayer(8, 2, 16, scheme=scheme, dropout=0.0, dtype=dtype, seed=1)
    x = np.random.default_rng(2).normal(size=(5, 8)).astype(dtype)
    seen = [
        layer.observe(x * np.array(factor, dtype), [5], activations="self_attn.normed")["self_attn.normed"]
        for factor in (1e4, HUGE[dtype])
    ]
    np.testing.assert_allclose(seen[1], seen[0], rtol=1e-4, atol=1e-6)
    assert np.abs(seen[0]).max() > 0.5


@pytest.mark.parametrize(("lr", "decay"), [(1e-4, 1e-4), (1e-4, 1e-2), (1e-3, 1e-2)])
def test_small_decoupled_decay_is_the_same_in_both_types(lr: float, decay: float) -> None:
    noise = np.random.default_rng(2).standard_normal((16, 20, 8))
    shares = {}
    for dtype in ("float32", "float64"):
        ends = {}
        for used in (0.0, decay):
            model = with_gradients(0.0, dtype)
            start = model.parameters["embedding.weight"].astype("f8")
            optimizer = ap.AdamW(lr=lr, weight_decay=used, betas=(0.9, 0.98))
            for step in range(800):
                model.gradients["embedding.weight"][...] = noise[step % 16]
                optimizer.step(model)
            ends[used] = model.parameters["embedding.weight"].astype("f8")
        shares[dtype] = ((ends[0.0] - ends[decay]) * start).sum() / (start**2).sum()
    np.testing.assert_allclose(shares["float32"], shares["float64"], rtol=0.1)
    assert shares["float64"] > 0


@pytest.mark.parametrize("make", ADAPTIVE)
@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"eps": 1e-46}, "eps"),
        ({"eps": 1e-40}, "eps"),
        ({"eps": 1e39}, "eps"),
        ({"weight_decay": 1e-60}, "weight_decay"),
        ({"weight_decay": 1e200}, "weight_decay"),
        ({"betas": (0.9, 1 - 1e-9)}, "betas"),
        ({"betas": (1 - 1e-12, 0.98)}, "betas"),
        ({"lr": 1e-50}, "lr"),
        ({"lr": 1e300}, "lr"),
    ],
)
def test_options_that_the_models_type_cannot_hold(make: Any, options: dict[str, Any], name: str) -> None:
    optimizer, model = make(**{"lr": 1e-3, **options}), with_gradients(1.0)
    with pytest.raises(ValueError, match=rf"^{name} must be .* float32"):
        optimizer.step(model)
    data = ap.data.copy_task(symbols=8, train=20, valid=4)
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    with pytest.raises(ValueError, match=rf"^{name} must be .* float32"):
        ap.train(ap.Transformer(config), data, optimizer=make(**{"lr": 1e-3, **options}), progress=False)


def test_the_same_options_are_taken_in_float64() -> None:
    model = with_gradients(1.0, "float64")
    assert ap.Adam(lr=1e-3, eps=1e-60, betas=(0.9, 1 - 1e-9)).step(model) > 0


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"norm_eps": 1e-50}, "norm_eps"),
        ({"norm_eps": 1e-40}, "norm_eps"),
        ({"init_gain": 1e60}, "init_gain"),
        ({"scheme": ap.Scheme("huge", lambda site: ap.Residual(kappa=1e60))}, "kappa of encoder.0.self_attn"),
    ],
)
def test_configurations_that_the_models_type_cannot_hold(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a number that float32 can hold"):
        small(**changes)
    small("float64", **{**changes, "init_gain": 1.0})


def test_a_training_that_moves_nothing_says_so() -> None:
    data = ap.data.copy_task(symbols=8, train=20, valid=4)
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    model = ap.Transformer(config.replace(scheme="post_ln"), seed=1)
    for value in model.parameters.values():
        value[...] += 1.0  # far above 1e-30
    with pytest.warns(UserWarning, match="no weight moved in 6 steps") as told:
        ap.train(model, data, optimizer=ap.Adam(lr=1e-30), steps=6, progress=False)
    assert told[0].filename == __file__


@pytest.mark.parametrize("beta2", [0.0, 0.5, 2 / 3])
def test_an_radam_that_would_never_move_is_refused(beta2: float) -> None:
    with pytest.raises(ValueError, match="betas must have a beta2 above 2/3 for RAdam"):
        ap.RAdam(betas=(0.9, beta2))


@pytest.mark.parametrize("short", [0.3, 1e-3, 1.1e-4, 9e-5, 1e-6, 1.1e-7, 1e-9, 1e-11, 1e-14])
def test_radam_begins_where_exact_arithmetic_has_it_begin(short: float) -> None:
    from fractions import Fraction

    beta2, optimizer = 1 - short, ap.RAdam(lr=1e-3, betas=(0.9, 1 - short))
    exact = Fraction(beta2)
    expected = next(t for t in range(1, 100) if 2 / (1 - exact) - 1 - 2 * t * exact**t / (1 - exact**t) >= 5)
    model = with_gradients(1.0, "float64")
    moved = [optimizer.step(model) > 0 for _ in range(expected + 1)]
    assert moved == [False] * (expected - 1) + [True] * 2
