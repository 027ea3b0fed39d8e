"""What fails leaves a model or an optimiser as it was; what is given may be a view of what is changed."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from small_models import PAIRS, both, small

import admin_py as ap

Q, K = "encoder.0.self_attn.q.weight", "encoder.0.self_attn.k.weight"


def same_state(model: Any, before: dict[str, Any]) -> bool:
    return all(
        np.array_equal(value, before[name], equal_nan=True) for name, value in model.parameters.items()
    )


@both
def test_two_parameters_are_swapped(dtype: str) -> None:
    model = small(dtype)
    q, k = model.parameters[Q].copy(), model.parameters[K].copy()
    state = dict(model.parameters)
    state[Q], state[K] = state[K], state[Q]
    model.load_state(state)
    np.testing.assert_equal((model.parameters[Q], model.parameters[K]), (k, q))


@pytest.mark.parametrize(
    "turn", [lambda x: x[::-1], lambda x: x.T, lambda x: x[:, ::-1], lambda x: x[::-1].T]
)
def test_a_view_of_a_parameter_is_taken_as_it_was(turn: Any) -> None:
    model = small()
    expected = turn(model.parameters[Q]).copy()
    model.load_state({**model.parameters, Q: turn(model.parameters[Q]), K: turn(model.parameters[K])})
    np.testing.assert_equal(model.parameters[Q], expected)


def test_layers_swap_too() -> None:
    layer = ap.EncoderLayer(8, 2, 16)
    first, second = "self_attn.q.weight", "self_attn.k.weight"
    q, k = layer.parameters[first].copy(), layer.parameters[second].copy()
    layer.load_state({**layer.parameters, first: layer.parameters[second], second: layer.parameters[first]})
    np.testing.assert_equal((layer.parameters[first], layer.parameters[second]), (k, q))


def test_a_view_that_somebody_made_read_only_stops_nothing_halfway() -> None:
    model, other = small(), ap.Transformer(small().config, seed=2)
    model.parameters[K].flags.writeable = False
    model.load_state(other.state)
    assert same_state(model, other.state)
    model.parameters["decoder.0.self_attn.omega"].flags.writeable = False
    model.set_omega({stack: 2 * value for stack, value in other.omega.items()})
    np.testing.assert_equal(model.omega, {stack: 2 * value for stack, value in other.omega.items()})


@pytest.mark.parametrize("make", [lambda: ap.Adam(lr=0.1), lambda: ap.RAdam(lr=0.1)])
@both
def test_moments_are_swapped(make: Any, dtype: str) -> None:
    model, optimizer = small(dtype), make()
    model.backward(PAIRS)
    optimizer.step(model)
    own = optimizer.state
    m, v = own["m"].copy(), own["v"].copy()
    optimizer.load_state({"step": 4, "m": own["v"], "v": own["m"]})
    np.testing.assert_equal((optimizer.state["m"], optimizer.state["v"]), (v, m))
    assert optimizer.state["step"] == 4


@pytest.mark.parametrize("state", [None, 3, [1], {"step": 1}, {"step": -1, "m": None, "v": None}])
def test_a_state_that_is_none_leaves_an_optimiser_as_it_was(state: Any) -> None:
    model, optimizer = small(), ap.Adam(lr=0.1)
    model.backward(PAIRS)
    optimizer.step(model)
    before = copy.deepcopy(optimizer.state)
    with pytest.raises((TypeError, ValueError)):
        optimizer.load_state(state)
    np.testing.assert_equal(optimizer.state, before)


WRONG = (np.nan, np.inf, -np.inf)


@pytest.mark.parametrize("method", ["clinic", "paper", "admin_torch"])
@pytest.mark.parametrize(
    "name",
    [
        Q,
        "decoder.1.feed_forward.fc2.weight",
        "embedding.weight",
        "decoder.0.self_attn.norm_post.gamma",
        "decoder.1.cross_attn.omega",
    ],
)
@pytest.mark.parametrize("value", WRONG)
def test_a_profile_names_the_bad_weight_and_changes_nothing(method: str, name: str, value: float) -> None:
    model = small()
    model.parameters[name].reshape(-1)[0] = value
    before = model.state
    with pytest.raises(ValueError, match=f"model: the weight {name} must be finite"):
        model.profile(PAIRS, method=method)
    assert same_state(model, before)


@pytest.mark.parametrize("method", ["clinic", "paper"])
def test_a_profile_that_overflows_changes_nothing(method: str) -> None:
    model = small()
    model.parameters["encoder.0.feed_forward.fc1.weight"][::2] = 3e38
    model.parameters["encoder.0.feed_forward.fc2.weight"][...] *= 1e30
    before = model.state
    with pytest.raises(ValueError, match="omega"):
        model.profile(PAIRS, method=method)
    assert same_state(model, before)


def test_a_layer_that_cannot_be_profiled_is_as_before() -> None:
    layer = ap.EncoderLayer(8, 2, 16, scheme="admin")
    layer.parameters["feed_forward.fc1.weight"][0, 0] = np.nan
    before = {name: value.copy() for name, value in layer.parameters.items()}
    with pytest.raises(ValueError, match=r"feed_forward\.fc1\.weight must be finite"):
        layer.profile(np.ones((3, 8), np.float32), lengths=[3])
    assert same_state(layer, before)


@pytest.mark.parametrize("of", ["parameters", "gradients"])
@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["deepcopy", "pickle"]
)
def test_what_a_model_hands_out_can_be_copied(of: str, way: Any) -> None:
    model = small()
    model.backward(PAIRS)
    own = getattr(model, of)
    copied = way(own)
    assert list(copied) == list(own)
    assert type(copied) is type(own)
    for name, value in copied.items():
        np.testing.assert_equal(value, own[name])
        assert not np.shares_memory(value, own[name])
    with pytest.raises(TypeError):
        copied["new"] = np.zeros(1)


def test_mappings_of_results_can_be_copied() -> None:
    seen = small().observe(PAIRS)
    for own in (seen.metadata, seen.activations, seen.var_input):
        np.testing.assert_equal(dict(pickle.loads(pickle.dumps(own))), dict(own))
        np.testing.assert_equal(dict(copy.deepcopy(own)), dict(own))
