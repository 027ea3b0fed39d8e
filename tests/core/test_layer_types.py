"""EncoderLayer, DecoderLayer and Optimizer of the core: what they do, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from core_objects import (
    MODULES,
    D,
    both,
    core_batch,
    core_config,
    decoder_layer,
    hidden,
    layer_config,
    lengths,
    transformer,
)


@both
def test_a_decoder_layer_goes_forward_and_back(dtype: str) -> None:
    layer = decoder_layer(dtype)
    x, memory, counts, memory_counts = hidden(dtype, 5), hidden(dtype, 7, 2), lengths(2, 3), lengths(4, 3)
    y = layer.forward(x, counts, memory, memory_counts, training=True, step=2)
    assert (y.shape, y.dtype) == ((5, D), np.dtype(dtype))
    dy = hidden(dtype, 5, 3)
    dx, dmemory = layer.backward(dy)
    assert (dx.shape, dmemory.shape) == ((5, D), (7, D))
    once = layer.gradient_buffer.copy()
    again, _ = layer.backward(dy, accumulate=True)
    assert np.array_equal(again, dx)
    assert np.allclose(layer.gradient_buffer, 2 * once, rtol=1e-5, atol=1e-7)
    profile = layer.profile(x, counts, memory, memory_counts, method="paper")
    assert {name: value.shape for name, value in profile.items()} == dict.fromkeys(
        ("omega", "var_input", "var_branch"), (3,)
    )
    with pytest.raises(RuntimeError, match="backward must come after a forward pass"):
        layer.backward(dy)


@both
def test_an_encoder_layer_goes_forward_and_back(dtype: str) -> None:
    layer = MODULES[dtype].EncoderLayer(layer_config("encoder"), seed=1)
    with pytest.raises(RuntimeError, match="backward must come after a forward pass"):
        layer.backward(hidden(dtype, 5))
    y = layer.forward(hidden(dtype, 5), lengths(2, 3), observe=True)
    assert layer.backward(y).shape == (5, D)
    assert set(layer.observations()) == {"encoder"}
    assert layer.observations()["encoder"]["grad_norm"].all()
    assert np.array_equal(layer.activation("encoder", 2, "output"), y)


@both
def test_weights_that_change_before_the_backward_pass_are_read_as_they_are_then(dtype: str) -> None:
    """Products of many rows read packed weights, those of few rows do not: their gradients are the same."""
    layer = MODULES[dtype].EncoderLayer(layer_config("encoder"), seed=1)
    counts, rows = lengths(*[5] * 20), 100
    x, dy = hidden(dtype, rows), hidden(dtype, rows, 2)

    def gradient(first: int, last: int) -> np.ndarray:
        layer.init_weights(1)
        layer.forward(x[first:last], counts[: (last - first) // 5])
        layer.weights[...] *= 3
        return layer.backward(dy[first:last])

    apart = np.concatenate([gradient(first, first + 5) for first in range(0, rows, 5)])
    assert np.allclose(gradient(0, rows), apart, rtol=1e-3, atol=1e-3 * abs(apart).max())


@both
def test_what_is_not_finite_passes_through_a_layer(dtype: str) -> None:
    layer, x = MODULES[dtype].EncoderLayer(layer_config("encoder"), seed=1), hidden(dtype, 5)
    x[0, 0] = np.nan
    y = layer.forward(x, lengths(2, 3))
    assert np.isnan(y[:2]).all()
    assert np.isfinite(y[2:]).all()


X32 = hidden("float32", 5)
BAD_HIDDEN: list[tuple[tuple[Any, ...], type[Exception], str]] = [
    ((X32.tolist(), lengths(5)), TypeError, "x must be a NumPy array of float32, got an object of type list"),
    ((X32.astype(np.float64), lengths(5)), TypeError, "x must have dtype float32, got float64"),
    ((X32[:, :4].copy(), lengths(5)), ValueError, r"x must have shape \(\?, 8\), got \(5, 4\)"),
    ((X32[0], lengths(5)), ValueError, r"x must have shape \(\?, 8\), got \(8,\)"),
    ((np.asfortranarray(X32), lengths(5)), ValueError, "x must be a C-contiguous array, got one that is not"),
    ((X32, lengths(5).astype(np.int32)), TypeError, "lengths must have dtype int64, got int32"),
    ((X32, lengths(2, 2)), ValueError, "lengths must add up to the number of rows, 5, got 4"),
    ((X32, lengths(2, 4)), ValueError, "lengths must add up to the number of rows, 5, got more"),
    ((X32, lengths(2, 0, 3)), ValueError, r"lengths\[1\] must be from 1 to max_length=16, got 0"),
    (
        (X32, lengths(2**62, 2**62)),
        ValueError,
        rf"lengths\[0\] must be .* max_length=16, got {2**62}$",
    ),
    ((X32, lengths()), ValueError, "lengths must name at least one sequence, got none"),
    ((X32[:0], lengths()), ValueError, "lengths must name at least one sequence, got none"),
    (
        (hidden("float32", 17), lengths(17)),
        ValueError,
        r"lengths\[0\] must be from 1 to max_length=16, got 17",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "words"), BAD_HIDDEN)
@pytest.mark.parametrize("call", ["forward", "profile"])
def test_a_layer_refuses(call: str, arguments: tuple[Any, ...], error: type[Exception], words: str) -> None:
    layer = MODULES["float32"].EncoderLayer(layer_config("encoder"))
    y = layer.forward(X32, lengths(2, 3))
    with pytest.raises(error, match=words):
        getattr(layer, call)(*arguments)
    assert layer.backward(y).shape == (5, D)  # the pass before is still there


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        ((), "memory and memory_lengths must be given: the layer has cross-attention"),
        ((X32,), "memory and memory_lengths must be given"),
        ((X32, lengths(5)), r"memory_lengths must have shape \(2,\), got \(1,\)"),
        ((X32, lengths(2, 2)), "memory_lengths must add up to the number of rows, 5, got 4"),
        ((X32[:, 0], lengths(2, 3)), r"memory must have shape \(\?, 8\), got \(5,\)"),
    ],
)
def test_cross_attention_needs_its_memory(memory: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decoder_layer("float32").forward(X32, lengths(2, 3), *memory)
    alone = MODULES["float32"].DecoderLayer(layer_config("decoder"))
    with pytest.raises(ValueError, match="must be None: the layer has no cross-attention"):
        alone.forward(X32, lengths(2, 3), X32, lengths(2, 3))


def test_backward_checks_its_gradient() -> None:
    layer = MODULES["float32"].EncoderLayer(layer_config("encoder"))
    layer.forward(X32, lengths(5))
    for dy, error in ((X32[:4], ValueError), (X32.astype(np.float64), TypeError), (X32[:, ::-1], ValueError)):
        with pytest.raises(error, match="dy must"):
            layer.backward(dy)
    assert layer.backward(X32).shape == (5, D)


def test_layers_are_made_from_one_layer_of_their_stack() -> None:
    module = MODULES["float32"]
    with pytest.raises(ValueError, match="1 layer in its encoder and 0 in the other stack, got 0 and 1"):
        module.EncoderLayer(layer_config("decoder"))
    with pytest.raises(ValueError, match="vocab_size of a layer must be 0, got 20"):
        module.DecoderLayer(core_config())
    with pytest.raises(ValueError, match="vocab_size must be at least 1, got 0"):
        module.Transformer(layer_config("encoder"))


# Optimizer

KINDS = ("sgd", "adam", "adamw", "radam", "novograd")
MOMENTS = {
    "sgd": ("m",),
    "adam": ("m", "v"),
    "adamw": ("m", "v"),
    "radam": ("m", "v"),
    "novograd": ("m", "v"),
}


def ready(dtype: str) -> Any:
    """A model with gradients."""
    model = transformer(dtype)
    model.backward(core_batch(MODULES[dtype]))
    return model


@both
@pytest.mark.parametrize("kind", KINDS)
def test_an_optimizer_has_moments_after_its_first_step(dtype: str, kind: str) -> None:
    optimizer, model = MODULES[dtype].Optimizer(kind), ready(dtype)
    assert optimizer.state == {"step": 0, "m": None, "v": None}
    optimizer.step(model, lr=0.1)
    state = optimizer.state
    assert state["step"] == 1
    assert repr(optimizer).endswith(f'Optimizer "{kind}" after 1 steps, {dtype}>')
    for name in ("m", "v"):
        if name not in MOMENTS[kind]:
            assert state[name] is None
            continue
        by_tensor = kind == "novograd" and name == "v"
        assert state[name].shape == (len(model.parameters) if by_tensor else model.trained_length,)
        assert state[name].dtype == dtype
    optimizer.step(model, 0.1)
    assert optimizer.state["step"] == 2
    assert np.shares_memory(optimizer.state["m"], state["m"])


@both
def test_sgd_without_momentum_keeps_nothing(dtype: str) -> None:
    optimizer = MODULES[dtype].Optimizer("sgd", beta1=0.0)
    optimizer.step(ready(dtype), 0.1)
    assert optimizer.state == {"step": 1, "m": None, "v": None}
    optimizer.load_state({"step": 7, "m": None, "v": None})
    assert optimizer.state["step"] == 7


@both
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("begun", [False, True])
def test_an_optimizer_goes_on_from_a_state(dtype: str, kind: str, begun: bool) -> None:
    make = MODULES[dtype].Optimizer
    model, copy, first, second = ready(dtype), ready(dtype), make(kind), make(kind)
    for _ in range(7):
        first.step(model, 0.01)
    if begun:
        second.step(copy, 0.5)
    second.load_state(first.state)
    copy.weights[...] = model.weights
    assert second.step(copy, 0.01) == first.step(model, 0.01) > 0
    assert np.array_equal(copy.weights, model.weights)
    state, other = first.state, second.state
    assert all(np.array_equal(state[name], other[name]) for name in MOMENTS[kind])
    assert not np.shares_memory(state["m"], other["m"])
    first.load_state(first.state)  # its own views
    assert all(np.array_equal(state[name], first.state[name]) for name in MOMENTS[kind])
    first.load_state({"step": 0, "m": None, "v": None})
    assert not np.any(first.state["m"])


@both
def test_an_optimizer_belongs_to_one_size_of_model(dtype: str) -> None:
    optimizer, larger = MODULES[dtype].Optimizer("adam"), transformer(dtype, encoder=2)
    optimizer.step(ready(dtype), 0.1)
    with pytest.raises(RuntimeError, match="model must have gradients, got one without: call backward first"):
        optimizer.step(larger, 0.1)
    larger.backward(core_batch(MODULES[dtype]))
    before = larger.weights.copy()
    needed, had = larger.trained_length, ready(dtype).trained_length
    told = (
        f"belongs to, got one that needs {needed} and {needed} moments where the state has {had} and {had}$"
    )
    with pytest.raises(ValueError, match=told):
        optimizer.step(larger, 0.1)
    assert np.array_equal(larger.weights, before)
    assert optimizer.state["step"] == 1


def test_an_optimizer_changes_layers_too() -> None:
    layer = decoder_layer("float64")
    layer.forward(hidden("float64", 5), lengths(5), hidden("float64", 4), lengths(4))
    layer.backward(hidden("float64", 5))
    before = layer.weights.copy()
    norm = MODULES["float64"].Optimizer("adam").step(layer, 0.1)
    assert norm == pytest.approx(np.linalg.norm(layer.weights - before), rel=1e-12)
    assert norm > 0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"kind": "adagrad"}, ValueError, 'kind must be "sgd", "adam", "adamw", "radam" or "novograd", got'),
        ({"kind": None}, TypeError, "kind must be a string, got None of type NoneType"),
        ({"beta1": 1.0}, ValueError, r"beta1 must be in \[0, 1\) in float32, got 1"),
        ({"beta1": 1 - 1e-9}, ValueError, r"beta1 must be in \[0, 1\) in float32, got 0.999999999"),
        ({"beta2": -0.1}, ValueError, r"beta2 must be in \[0, 1\) in float.., got -0.1"),
        ({"beta2": np.nan}, ValueError, "beta2 must be a finite number, got nan"),
        ({"eps": 0.0}, ValueError, "eps must be above 0 and a normal number of float32, got 0$"),
        ({"eps": 1e-50}, ValueError, "eps must be above 0 and a normal number of float32, got 1e-50"),
        ({"weight_decay": -1}, ValueError, "weight_decay must be at least 0 and finite in float32, got -1$"),
        ({"weight_decay": True}, TypeError, "weight_decay must be a real number, got True of type bool"),
        ({"nesterov": True}, ValueError, 'nesterov must be False unless kind is "sgd" with beta1 above 0'),
        ({"kind": "sgd", "beta1": 0.0, "nesterov": True}, ValueError, "nesterov must be False unless"),
        ({"kind": "radam", "beta2": 0.6}, ValueError, "beta2 must be above 2/3 for RAdam, .* got 0.6$"),
        ({"momentum": 0.9}, TypeError, "momentum"),
    ],
)
def test_an_optimizer_refuses_options(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        MODULES["float32"].Optimizer(**{"kind": "adam", **options})


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((None, 0.1), TypeError, r"model must be a Transformer or a layer of admin_py\._core, got an object"),
        (("model", -0.1), ValueError, "lr must be a number of at least 0, got -0.1"),
        (("model", np.inf), ValueError, "lr must be a finite number, got inf"),
        (("model", "0.1"), TypeError, "lr must be a real number, got '0.1'"),
        (("model", 0.1, np.nan), ValueError, "grad_scale must be a finite number, got nan"),
        (("model", np.ones(1)), TypeError, r"lr must be a real number, got array\(\[1\.\]\)"),
        (("model",), TypeError, "lr"),
    ],
)
def test_a_step_refuses(arguments: tuple[Any, ...], error: type[Exception], words: str) -> None:
    model, optimizer = ready("float32"), MODULES["float32"].Optimizer("adam")
    before = model.weights.copy()
    with pytest.raises(error, match=words):
        optimizer.step(*(model if item == "model" else item for item in arguments))
    assert np.array_equal(model.weights, before)
    assert optimizer.state == {"step": 0, "m": None, "v": None}


V = np.ones(5, np.float32)
BAD_STATES: list[tuple[Any, type[Exception], str]] = [
    (None, TypeError, "state must be a dict, got an object of type NoneType"),
    ({}, ValueError, 'state must have exactly the keys "step", "m" and "v"'),
    ({"step": 1, "m": V, "v": V, "w": V}, ValueError, "state must have exactly the keys"),
    ({"step": -1, "m": V, "v": V}, ValueError, r"step must be an integer from 0 to \d+, got -1$"),
    ({"step": 2**60, "m": V, "v": V}, ValueError, rf"step must be an integer from 0 to \d+, got {2**60}$"),
    ({"step": 1.0, "m": V, "v": V}, TypeError, "step must be an integer, got 1.0"),
    ({"step": 1, "m": None, "v": None}, ValueError, "m must be an array after 1 steps, got None"),
    ({"step": 0, "m": V, "v": None}, ValueError, "m and v must both be arrays or both be None"),
    ({"step": 1, "m": V.astype(np.float64), "v": V}, TypeError, "m must have dtype float32, got float64"),
    ({"step": 1, "m": V, "v": V[:, None]}, ValueError, r"v must have shape \(\?,\), got \(5, 1\)"),
    (
        {"step": 1, "m": V, "v": np.ones(10, np.float32)[::2]},
        ValueError,
        "v must be a C-contiguous array, got",
    ),
]


@pytest.mark.parametrize(("state", "error", "words"), BAD_STATES)
def test_load_state_refuses(state: Any, error: type[Exception], words: str) -> None:
    optimizer = MODULES["float32"].Optimizer("adam")
    with pytest.raises(error, match=words):
        optimizer.load_state(state)
    assert optimizer.state == {"step": 0, "m": None, "v": None}


def test_a_state_of_another_size_is_refused() -> None:
    optimizer, model = MODULES["float32"].Optimizer("adam"), ready("float32")
    optimizer.step(model, 0.1)
    before = optimizer.state["m"].copy()
    with pytest.raises(ValueError, match=rf"m must have shape \({model.trained_length},\), got \(5,\)"):
        optimizer.load_state({"step": 3, "m": V, "v": V})
    assert optimizer.state["step"] == 1
    assert np.array_equal(optimizer.state["m"], before)
    fresh = MODULES["float32"].Optimizer("adam")
    fresh.load_state({"step": 3, "m": V, "v": V})
    with pytest.raises(ValueError, match=r"got one that needs .* moments where the state has 5 and 5"):
        fresh.step(model, 0.1)


def test_a_state_that_changes_while_it_is_read_does_no_harm() -> None:
    optimizer, model = MODULES["float32"].Optimizer("adam"), ready("float32")

    class Step:
        def __index__(self) -> int:
            state.clear()
            optimizer.step(model, 0.1)
            return 3

    state = {"step": Step(), "m": np.ones(5, np.float32), "v": np.ones(5, np.float32)}
    with pytest.raises(ValueError, match=rf"m must have shape \({model.trained_length},\), got \(5,\)"):
        optimizer.load_state(state)
    assert optimizer.state["step"] == 1
