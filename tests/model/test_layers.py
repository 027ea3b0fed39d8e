"""EncoderLayer and DecoderLayer as parts: against whole models, finite differences, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_models import both, config

import admin_py as ap
from admin_py import schemes

D = 8


def states(rows: int, dtype: str = "float64", seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, D)).astype(dtype)


def encoder_layer(dtype: str = "float64", **options: Any) -> ap.EncoderLayer:
    return ap.EncoderLayer(D, 2, 16, **{"seed": 1, "dtype": dtype, **options})


def decoder_layer(dtype: str = "float64", **options: Any) -> ap.DecoderLayer:
    return ap.DecoderLayer(D, 2, 16, **{"seed": 1, "dtype": dtype, **options})


def copy_layer(layer: ap.EncoderLayer | ap.DecoderLayer, model: ap.Transformer, prefix: str) -> None:
    """Weights of one layer of a model."""
    layer.load_state({name: model.parameters[f"{prefix}.{name}"] for name in layer.parameters})


BATCH = ap.Batch([[4, 5, 6], [7, 8]], [[1, 9, 10, 2], [1, 11, 2]])


@both
@pytest.mark.parametrize("scheme", ["admin", "pre_ln", "rezero", "deepnorm"])
def test_encoder_layers_one_after_another_are_the_encoder(dtype: str, scheme: str) -> None:
    model = ap.Transformer(config(scheme=scheme), seed=1, dtype=dtype)
    seen = model.observe(BATCH)
    x = seen["encoder.input"]
    for index in range(2):
        layer = encoder_layer(dtype, scheme=scheme, layer=index, num_layers=2)
        copy_layer(layer, model, f"encoder.{index}")
        x = layer.forward(x, [3, 2])
        assert np.array_equal(x, seen[f"encoder.{index}.feed_forward.output"])


@both
@pytest.mark.parametrize("scheme", ["admin", "rezero", "deepnorm"])
def test_decoder_layers_one_after_another_are_the_decoder(dtype: str, scheme: str) -> None:
    """Without a final norm the memory is the output of the encoder's last sub-layer."""
    model = ap.Transformer(config(scheme=scheme), seed=1, dtype=dtype)
    seen = model.observe(BATCH)
    y, memory = seen["decoder.input"], seen["encoder.1.feed_forward.output"]
    for index in range(2):
        layer = decoder_layer(dtype, scheme=scheme, layer=index, num_layers=2)
        copy_layer(layer, model, f"decoder.{index}")
        y = layer.forward(y, [3, 2], memory, [3, 2])
        assert np.array_equal(y, seen[f"decoder.{index}.feed_forward.output"])


ATTENTION: dict[str, dict[str, Any]] = {
    "shared keys": {"kv_heads": 1, "head_width": 3, "attention_scale": 0.4},
    "caps and norms": {"score_cap": 1.5, "qk_norm": "layer"},
    "a norm of all heads, a window": {"qk_norm": "rms", "qk_norm_whole": True, "attention_window": 2},
}


@both
@pytest.mark.parametrize("name", ATTENTION)
def test_layers_have_the_attention_of_models(dtype: str, name: str) -> None:
    blocks = ATTENTION[name]
    model = ap.Transformer(config(scheme="post_ln", **blocks), seed=1, dtype=dtype)
    seen = model.observe(BATCH)
    y, memory = seen["decoder.input"], seen["encoder.1.feed_forward.output"]
    layers = (
        encoder_layer(dtype, scheme="post_ln", **blocks),
        decoder_layer(dtype, scheme="post_ln", **blocks),
    )
    for layer, stack in zip(layers, ("encoder", "decoder"), strict=True):
        copy_layer(layer, model, f"{stack}.0")
    first = layers[0].forward(seen["encoder.input"], [3, 2])
    assert np.array_equal(first, seen["encoder.0.feed_forward.output"])
    assert np.array_equal(layers[1].forward(y, [3, 2], memory, [3, 2]), seen["decoder.0.feed_forward.output"])


def test_attention_of_layers_that_is_wrong_is_named() -> None:
    for make, kind in ((encoder_layer, "EncoderLayer"), (decoder_layer, "DecoderLayer")):
        with pytest.raises(
            TypeError, match=f"{kind} has no argument 'kv_head'; of attention it takes head_w"
        ):
            make(kv_head=1)
        with pytest.raises(ValueError, match="kv_heads"):
            make(kv_heads=3)


@pytest.mark.parametrize(
    ("gated", "attention"), [(False, ""), (True, ""), *((False, one) for one in ATTENTION)]
)
def test_backward_agrees_with_finite_differences(gated: bool, attention: str) -> None:
    """Central differences of sum(dy * forward) along random directions of every input and parameter."""
    blocks = {"gated": gated, **ATTENTION.get(attention, {})}
    layer, rng = decoder_layer(dropout=0.3, activation="gelu", **blocks), np.random.default_rng(5)
    x, memory, dy = states(5), states(7, seed=2), states(5, seed=3)

    def value() -> float:
        return float(np.sum(dy * layer.forward(x, [2, 3], memory, [3, 4], training=True, step=4)))

    value()
    dx, dmemory = layer.backward(dy)
    pairs = [("x", x, dx), ("memory", memory, dmemory)]
    pairs += [(name, array, layer.gradients[name].copy()) for name, array in layer.parameters.items()]
    for name, array, gradient in pairs:
        direction = rng.standard_normal(array.shape)
        step = 1e-6
        array += step * direction
        above = value()
        array -= 2 * step * direction
        below = value()
        array += step * direction
        expected = (above - below) / (2 * step)
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=1e-6, abs=1e-7), f"{name}, seed 5"


def test_causal_layers_see_nothing_after_a_token() -> None:
    x = states(5)
    changed = x.copy()
    changed[4] += 1
    for layer, memory in ((encoder_layer(causal=True), ()), (decoder_layer(), (states(3, seed=2), [3]))):
        one, two = (layer.forward(value, [5], *memory) for value in (x, changed))
        assert np.array_equal(one[:4], two[:4])
        assert not np.array_equal(one[4], two[4])
    open_layer = encoder_layer()
    assert not np.array_equal(open_layer.forward(x, [5])[0], open_layer.forward(changed, [5])[0])
    assert np.array_equal(open_layer.forward(x, [5], causal=False), open_layer.forward(x, [5]))
    with pytest.raises(ValueError, match="causal must be False, as the layer was made, got True"):
        open_layer.forward(x, [5], causal=True)


@both
def test_omega_of_a_layer(dtype: str) -> None:
    layer = decoder_layer(dtype)
    assert layer.omega.shape == (3, D)
    assert np.array_equal(decoder_layer(dtype, omega=2.0).omega, np.full((3, D), 2.0))
    assert decoder_layer(dtype, omega=[1, 2, 3]).omega[:, 0].tolist() == [1, 2, 3]
    vectors = np.random.default_rng(1).uniform(0.5, 2, (3, D)).astype(dtype)
    assert np.array_equal(decoder_layer(dtype, omega=vectors).omega, vectors)
    with pytest.raises(
        ValueError, match=r"omega of the decoder must have shape \(3,\) or \(3, 8\), got \(2,\)"
    ):
        decoder_layer(dtype, omega=[1, 2])
    with pytest.raises(ValueError, match=r"omega of encoder.0.self_attn must be 1, for its scheme has none"):
        encoder_layer(dtype, scheme="post_ln", omega=2.0)


@both
def test_a_layer_is_profiled(dtype: str) -> None:
    layer, x, memory = decoder_layer(dtype), states(5, dtype), states(4, dtype, 2)
    before = layer.omega
    profile = layer.profile(x, [5], memory, [4], dropout=False, apply=False)
    assert np.array_equal(layer.omega, before)
    assert profile.kinds("decoder") == ("self_attn", "cross_attn", "feed_forward")
    assert profile.var_input("decoder")[0] == pytest.approx(np.var(x.astype(np.float64)), rel=1e-6)
    applied = layer.profile(x, [5], memory, [4], dropout=False, method="paper")
    assert np.allclose(layer.omega[:, 0], applied.omega("decoder"), rtol=1e-6)
    single = encoder_layer(dtype).profile(x, [2, 3])
    assert single.stacks == ("encoder",)
    assert single.omega("encoder")[0] == 1


def test_a_scheme_knows_the_place_of_a_layer() -> None:
    """DS-Init divides the bound of the first weights by the root of the 1-based layer."""
    spread = [
        float(
            np.abs(
                ap.EncoderLayer(64, 4, 64, scheme="ds_init", layer=n, num_layers=9).parameters[
                    "feed_forward.fc1.weight"
                ]
            ).max()
        )
        for n in (0, 3, 8)
    ]
    assert spread[0] / spread[1] == pytest.approx(2, rel=0.02)
    assert spread[0] / spread[2] == pytest.approx(3, rel=0.02)
    deep = encoder_layer(scheme="admin_torch", num_layers=18).omega
    assert np.allclose(deep, schemes.admin_torch_omega(36), rtol=1e-15)


def test_a_decoder_layer_without_cross_attention() -> None:
    layer = decoder_layer(cross=False)
    y = layer.forward(states(5), [5])
    assert layer.backward(y).shape == (5, D)
    assert layer.omega.shape == (2, D)
    with pytest.raises(ValueError, match="must be None: the layer has no cross-attention"):
        layer.forward(states(5), [5], states(3), [3])


@both
def test_an_optimizer_trains_a_layer(dtype: str) -> None:
    """A layer learns to give what another gives."""
    teacher, layer, optimizer = encoder_layer(dtype), encoder_layer(dtype, seed=2), ap.Adam(0.01)
    x = states(30, dtype)
    goal = teacher.forward(x, [10] * 3)
    losses = []
    for _ in range(60):
        error = layer.forward(x, [10] * 3) - goal
        losses.append(float((error**2).mean()))
        layer.backward(2 * error / error.size)
        optimizer.step(layer)
    assert losses[-1] < 0.2 * losses[0]


def test_a_layer_says_what_it_is() -> None:
    layer = encoder_layer()
    assert repr(layer) == (
        "EncoderLayer(d_model=8, heads=2, d_ff=16, scheme='admin', "
        f"{layer.num_parameters} parameters, float64)"
    )
    assert (layer.d_model, layer.dtype, layer.seed) == (8, "float64", 1)
    layer.seed = 4
    assert layer.seed == 4
    assert set(layer.parameters) == set(layer.gradients)
    assert "self_attn.q.weight" in layer.parameters


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((8, 3, 16), {}, ValueError, "heads must divide d_model, got heads=3 and d_model=8"),
        ((8, 2, 0), {}, ValueError, "d_ff must be an integer from 1"),
        ((8.0, 2, 16), {}, TypeError, "d_model must be an integer, got 8.0"),
        ((8, 2, 16), {"layer": 1}, ValueError, "layer must be an integer from 0 to 0, got 1"),
        ((8, 2, 16), {"num_layers": 0}, ValueError, "num_layers must be an integer from 1"),
        ((8, 2, 16), {"scheme": "admni"}, ValueError, "unknown scheme 'admni'; did you mean 'admin'"),
        ((8, 2, 16), {"causal": 1}, TypeError, "causal must be True or False, got 1"),
        ((8, 2, 16), {"dropout": 1.0}, ValueError, r"dropout must be a probability in \[0, 1\), got 1.0"),
        (
            (8, 2, 16),
            {"activation": "tanh"},
            ValueError,
            "activation must be one of 'relu', 'gelu', ",
        ),
        ((8, 2, 16), {"dtype": "float16"}, ValueError, "dtype must be one of 'float32', 'float64'"),
        ((8, 2, 16), {"seed": -1}, ValueError, "seed must be an integer from 0"),
    ],
)
@pytest.mark.parametrize("kind", [ap.EncoderLayer, ap.DecoderLayer])
def test_making_one_refuses(
    kind: Any, arguments: Any, options: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        kind(*arguments, **options)


@pytest.mark.parametrize(
    ("x", "lengths", "error", "words"),
    [
        (states(5, "float32"), [5], TypeError, "x must have dtype float64, got float32"),
        (
            states(5).tolist(),
            [5],
            TypeError,
            "x must be a NumPy array of float64, got an object of type list",
        ),
        (states(5)[:, ::-1], [5], ValueError, "x must be a C-contiguous array"),
        (states(5), [4], ValueError, "lengths must add up to the number of rows, 5, got 4"),
        (states(5), [5, 0], ValueError, r"lengths\[1\] must be from 1 to"),
        (states(5), [5.0], TypeError, "lengths must be integers, got float64"),
        (states(5), 5, ValueError, "lengths must have 1 dimension, got 0"),
        (states(5), [[5]], ValueError, "lengths must have 1 dimension, got 2"),
        (states(5), [2**63], ValueError, r"lengths\[0\] must be from 1 to .* got 9223372036854775808"),
        (states(5), ["5"], TypeError, "lengths must be integers, got <U1"),
    ],
)
def test_forward_refuses(x: Any, lengths: Any, error: type[Exception], words: str) -> None:
    layer = encoder_layer()
    for act in (layer.forward, layer.profile):
        with pytest.raises(error, match=words):
            act(x, lengths)
