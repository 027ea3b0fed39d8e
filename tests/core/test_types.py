"""The types of the core one by one: what they do, and what they refuse with which words."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest
from core_objects import (
    MODULES,
    VOCAB,
    D,
    both,
    core_batch,
    decoder_layer,
    lengths,
    packed,
    transformer,
)

STACK_COLUMNS = {"var_input", "var_branch", "grad_norm"}


# Batch


@both
def test_a_batch_keeps_copies_of_its_arrays(dtype: str) -> None:
    tokens, offsets = packed(3, 5)
    batch = MODULES[dtype].Batch(tokens, offsets)
    before = tokens.copy()
    tokens[...] = 0
    assert np.array_equal(batch.source_tokens, before)
    assert np.array_equal(batch.source_offsets, [0, 3, 8])
    assert (batch.source_tokens.dtype, batch.source_offsets.dtype) == (np.int32, np.int64)
    assert batch.num_sequences == 2
    assert batch.target_tokens is None
    assert batch.target_offsets is None
    assert repr(batch) == "<Batch of 2 sequences, 8 tokens>"


@both
def test_arrays_of_a_batch_stay_read_only(dtype: str) -> None:
    batch = core_batch(MODULES[dtype])
    for name in ("source_tokens", "source_offsets", "target_tokens", "target_offsets"):
        array = getattr(batch, name)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)
        with pytest.raises(AttributeError):
            setattr(batch, name, array)


TOKENS, OFFSETS = packed(3, 5)
BAD_BATCHES: list[tuple[tuple[Any, ...], type[Exception], str]] = [
    (
        (TOKENS.tolist(), OFFSETS),
        TypeError,
        "source_tokens must be a NumPy array of int32, got an object of type list",
    ),
    ((TOKENS.astype(np.int64), OFFSETS), TypeError, "source_tokens must have dtype int32, got int64"),
    ((TOKENS.astype(">i4"), OFFSETS), TypeError, "source_tokens must have dtype int32, got >i4"),
    ((TOKENS.reshape(2, 4), OFFSETS), ValueError, r"source_tokens must have shape \(\?,\), got \(2, 4\)"),
    ((np.repeat(TOKENS, 2)[::2], OFFSETS), ValueError, "source_tokens must be a C-contiguous array"),
    ((TOKENS, OFFSETS.astype(np.int32)), TypeError, "source_offsets must have dtype int64, got int32"),
    ((TOKENS, OFFSETS[:1]), ValueError, "source_offsets must have one element more .* got 1"),
    ((TOKENS, OFFSETS[:0]), ValueError, "source_offsets must have one element more .* got 0"),
    ((TOKENS, OFFSETS + 1), ValueError, "source_offsets must begin with 0, got 1"),
    ((TOKENS, lengths(0, 3, 3, 8)), ValueError, "no sequence may be empty"),
    ((TOKENS, lengths(0, 5, 3, 8)), ValueError, "source_offsets must increase .* got 3 at 2 after 5"),
    ((TOKENS, lengths(0, 3)), ValueError, "source_offsets must end with the number of tokens, 8, got 3"),
    ((TOKENS[:0], lengths(0)), ValueError, "source_offsets must have one element more"),
    (
        (TOKENS, OFFSETS, TOKENS),
        ValueError,
        "target_tokens and target_offsets must be given both or not at all",
    ),
    ((TOKENS, OFFSETS, TOKENS, lengths(0, 8)), ValueError, "as many sequences as the source, got 1 and 2"),
    (
        (TOKENS, OFFSETS, TOKENS, lengths(0, 9)),
        ValueError,
        "target_offsets must end with the number of tokens, 8, got 9",
    ),
    ((), TypeError, "source_tokens"),
]


@both
@pytest.mark.parametrize(("arguments", "error", "words"), BAD_BATCHES)
def test_a_batch_refuses(dtype: str, arguments: tuple[Any, ...], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        MODULES[dtype].Batch(*arguments)


# Transformer


@both
def test_parameters_are_views_in_the_order_of_the_table(dtype: str) -> None:
    model = transformer(dtype)
    parameters, flat = model.parameters, model.weights
    assert sum(parameters[name].size for name in model.trained) == model.num_parameters
    assert model.num_parameters <= model.trained_length <= flat.size
    places = [value.__array_interface__["data"][0] for value in parameters.values()]
    assert places == sorted(places)
    assert all(value.dtype == dtype and np.shares_memory(value, flat) for value in parameters.values())
    parameters["encoder.0.self_attn.q.weight"][0, 0] = 7.5
    assert model.parameters["encoder.0.self_attn.q.weight"][0, 0] == 7.5
    assert np.count_nonzero(flat == 7.5) == 1


@both
def test_gradients_come_at_the_first_use(dtype: str) -> None:
    model = transformer(dtype)
    assert model.memory["gradients"] == 0
    with pytest.raises(RuntimeError, match="there are no gradients yet"):
        model.find_nonfinite("gradients")
    gradients = model.gradients
    assert not any(np.any(value) for value in gradients.values())
    model.backward(core_batch(MODULES[dtype]))
    assert np.any(gradients["embedding.weight"])
    assert np.shares_memory(gradients["embedding.weight"], model.gradient_buffer)
    assert model.memory["gradients"] == model.weights.nbytes
    assert list(gradients) == list(model.parameters)


@both
def test_forward_is_apart_from_dropout_and_its_step(dtype: str) -> None:
    model, batch = transformer(dtype, dropout=0.5), core_batch(MODULES[dtype])
    plain = model.forward(batch)
    assert plain.shape == (4, VOCAB)
    assert plain.dtype == dtype
    assert np.array_equal(plain, model.forward(batch, step=3))
    one, two = (model.forward(batch, training=True, step=step) for step in (1, 2))
    assert not np.array_equal(one, two)
    assert np.array_equal(one, model.forward(batch, training=np.True_, step=np.int64(1)))
    model.seed = 2**64 - 1
    assert model.seed == 2**64 - 1
    assert not np.array_equal(one, model.forward(batch, training=True, step=1))


@both
def test_an_encoder_gives_hidden_states_and_no_loss(dtype: str) -> None:
    model, batch = transformer(dtype, decoder=0), core_batch(MODULES[dtype], target=False)
    assert model.forward(batch).shape == (8, D)
    with pytest.raises(RuntimeError, match="no loss"):
        model.loss(batch)
    with pytest.raises(RuntimeError, match="no loss"):
        model.backward(batch)


@both
def test_a_language_model_reads_the_source(dtype: str) -> None:
    model, batch = transformer(dtype, encoder=0), core_batch(MODULES[dtype], target=False)
    assert model.forward(batch).shape == (6, VOCAB)
    assert model.loss(batch)[2] == 6


@both
def test_loss_and_backward_agree_and_accumulate(dtype: str) -> None:
    model, batch = transformer(dtype, dropout=0.0), core_batch(MODULES[dtype])
    loss, nll, count = model.loss(batch, label_smoothing=0.1)
    assert (type(loss), type(nll), count) == (float, float, 4)
    assert model.loss(batch) == (nll, nll, 4)
    assert model.backward(batch, label_smoothing=0.1) == pytest.approx((loss, nll, 4), rel=1e-6)
    once = model.gradient_buffer.copy()
    model.backward(batch, label_smoothing=0.1, accumulate=True)
    assert np.allclose(model.gradient_buffer, 2 * once, rtol=1e-5, atol=1e-7)
    model.backward(batch, label_smoothing=0.1, scale=-0.5)
    assert np.allclose(model.gradient_buffer, -0.5 * once, rtol=1e-5, atol=1e-7)


@both
def test_weights_are_drawn_anew_from_a_seed(dtype: str) -> None:
    model = transformer(dtype)
    first = model.weights.copy()
    model.init_weights(2)
    assert not np.array_equal(model.weights, first)
    model.init_weights(1)
    assert np.array_equal(model.weights, first)


@both
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_parameter_that_is_not_finite_is_named(dtype: str, value: float) -> None:
    model = transformer(dtype)
    model.gradient_buffer[...] = 0.0
    assert model.find_nonfinite("weights") is None
    assert model.find_nonfinite("gradients") is None
    for name in ("decoder.0.feed_forward.fc2.bias", "encoder.0.self_attn.k.weight"):
        model.parameters[name].flat[-1] = value
        assert model.find_nonfinite("weights") == name
    assert model.find_nonfinite("gradients") is None


@both
def test_a_profile_sets_omega_unless_it_shall_not(dtype: str) -> None:
    model, batch = transformer(dtype), core_batch(MODULES[dtype])
    before = model.weights.copy()
    profile = model.profile(batch, method="paper", dropout=False, seed=3, apply=False)
    assert np.array_equal(model.weights, before)
    assert {stack: {k: v.shape for k, v in table.items()} for stack, table in profile.items()} == {
        "encoder": dict.fromkeys(("omega", "var_input", "var_branch"), (2,)),
        "decoder": dict.fromkeys(("omega", "var_input", "var_branch"), (3,)),
    }
    profile = model.profile(batch)
    omega = model.parameters["decoder.0.feed_forward.omega"]
    assert np.allclose(omega, profile["decoder"]["omega"][2])


@both
def test_norms_are_those_of_every_parameter(dtype: str) -> None:
    model, batch = transformer(dtype), core_batch(MODULES[dtype])
    with pytest.raises(RuntimeError, match="no gradients yet"):
        model.norms("gradients")
    model.backward(batch)
    for which, views in (("weights", model.parameters), ("gradients", model.gradients)):
        norms = model.norms(which)
        assert norms.dtype == np.float64
        # float64 sums in another order
        expected = [np.linalg.norm(view.astype(np.float64)) for view in views.values()]
        np.testing.assert_allclose(norms, expected, rtol=1e-13)
    before = model.weights.copy()
    assert not model.norms("weights", before).any()
    model.parameters["encoder.0.feed_forward.fc1.weight"][0, 0] += 2.0
    change = dict(zip(model.parameters, model.norms("weights", before=before), strict=True))
    assert change.pop("encoder.0.feed_forward.fc1.weight") == pytest.approx(2.0, rel=1e-6)
    assert not any(change.values())


@both
def test_norms_refuse_what_is_no_copy_of_the_weights(dtype: str) -> None:
    model = transformer(dtype)
    other = "float64" if dtype == "float32" else "float32"
    with pytest.raises(ValueError, match="which must be"):
        model.norms("updates")
    for wrong in (model.weights[:-1].copy(), model.weights.astype(other), model.weights[::-1], [1.0]):
        with pytest.raises((TypeError, ValueError), match="before must"):
            model.norms("weights", wrong)


@both
def test_observations_and_activations_belong_to_observed_passes(dtype: str) -> None:
    model, batch = transformer(dtype), core_batch(MODULES[dtype])
    with pytest.raises(RuntimeError, match="no pass has been observed"):
        model.observations()
    with pytest.raises(RuntimeError, match="observed pass only"):
        model.activation("encoder", 0, "output")
    output = model.forward(batch, observe=True)
    seen = model.observations()
    assert set(seen) == {"encoder", "decoder"}
    assert set(seen["encoder"]) == STACK_COLUMNS
    assert not seen["encoder"]["grad_norm"].any()
    x0 = model.activation("encoder", 0, "output")
    assert x0.shape == (8, D)
    assert np.var(x0.astype(np.float64)) == pytest.approx(seen["encoder"]["var_input"][0], rel=1e-5)
    branch = model.activation("decoder", index=3, site="branch")
    assert np.var(branch.astype(np.float64)) == pytest.approx(seen["decoder"]["var_branch"][2], rel=1e-4)
    assert output.shape == (4, VOCAB)
    model.backward(batch, observe=True)
    assert model.observations()["decoder"]["grad_norm"].all()
    model.forward(batch)
    with pytest.raises(RuntimeError, match="until the next pass"):
        model.activation("encoder", 0, "output")
    assert model.observations()["decoder"]["grad_norm"].all()


@both
@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("encoder", 3, "output"), IndexError, "index must be from 0 to 2, got 3"),
        (("encoder", 0, "branch"), IndexError, "index must be from 1 to 2, got 0"),
        (("encoder", -(2**70), "output"), ValueError, "index must be an integer from"),
        (("middle", 0, "output"), ValueError, 'stack must be "encoder" or "decoder", got \'middle\''),
        (("encoder", 0, "input"), ValueError, 'site must be "output", "branch", .* got \'input\''),
        (("encoder", 0.0, "output"), TypeError, "index must be an integer, got 0.0 of type float"),
        ((1, 0, "output"), TypeError, "stack must be a string, got 1 of type int"),
        (("decoder", 0, "output"), ValueError, "no such stack"),
    ],
)
def test_activation_refuses(
    dtype: str, arguments: tuple[Any, ...], error: type[Exception], words: str
) -> None:
    model = transformer(dtype, decoder=0)
    model.forward(core_batch(MODULES[dtype], target=False), observe=True)
    with pytest.raises(error, match=words):
        model.activation(*arguments)


def bad_batch(module: Any, case: str) -> Any:
    """Batches that are well-formed, and not for a model of 20 ids and 16 positions."""
    tokens, offsets = packed(3, 5)
    if case == "no target":
        return module.Batch(tokens, offsets)
    if case == "one target token":
        return module.Batch(tokens, offsets, *packed(1, 4))
    if case == "too long":
        return module.Batch(*packed(3, 17), tokens, offsets)
    tokens[4] = VOCAB if case == "id too large" else -1
    return module.Batch(tokens, offsets, *packed(3, 2))


@both
@pytest.mark.parametrize(
    ("case", "error", "words"),
    [
        ("no target", ValueError, "target"),
        ("one target token", ValueError, "target: sequence 0 has 1 tokens"),
        ("too long", ValueError, "source: sequence 1 has 17 tokens, longer than max_length=16"),
        ("id too large", IndexError, "source: token id 20 of sequence 1 at position 1"),
        ("id negative", IndexError, "source: token id -1 of sequence 1 at position 1"),
    ],
)
@pytest.mark.parametrize("call", ["forward", "loss", "backward", "profile"])
def test_a_model_refuses_batches_it_cannot_read(
    dtype: str, call: str, case: str, error: type[Exception], words: str
) -> None:
    model, module = transformer(dtype), MODULES[dtype]
    model.backward(core_batch(module), step=1)
    before = model.weights.copy(), model.gradient_buffer.copy()
    with pytest.raises(error, match=words):
        getattr(model, call)(bad_batch(module, case))
    assert np.array_equal(model.weights, before[0])
    assert np.array_equal(model.gradient_buffer, before[1])


@both
@pytest.mark.parametrize(
    ("call", "options", "error", "words"),
    [
        ("forward", {"training": 1}, TypeError, "training must be True or False, got 1 of type int"),
        ("forward", {"step": -1}, ValueError, r"step must be an integer from 0 to 2\*\*64 - 1, got -1"),
        ("forward", {"step": 2**64}, ValueError, "step must be an integer from 0"),
        ("forward", {"step": True}, TypeError, "step must be an integer, got True of type bool"),
        ("forward", {"step": 1.0}, TypeError, "step must be an integer, got 1.0 of type float"),
        ("forward", {"observe": None}, TypeError, "observe must be True or False"),
        ("forward", {"stp": 1}, TypeError, "stp"),
        (
            "loss",
            {"label_smoothing": 1.5},
            ValueError,
            "label_smoothing must be a number from 0 to 1, got 1.5",
        ),
        ("loss", {"label_smoothing": np.nan}, ValueError, "label_smoothing must be a finite number, got nan"),
        ("loss", {"label_smoothing": "0.1"}, TypeError, "label_smoothing must be a real number, got '0.1'"),
        ("loss", {"z_loss": -0.1}, ValueError, "z_loss must be a number of at least 0, got -0.1"),
        ("backward", {"z_loss": np.inf}, ValueError, "z_loss must be a finite number, got inf"),
        ("backward", {"scale": np.inf}, ValueError, "scale must be a finite number, got inf"),
        ("backward", {"scale": 10**400}, ValueError, "scale must be a finite number"),
        ("backward", {"accumulate": "yes"}, TypeError, "accumulate must be True or False"),
        ("profile", {"method": "admin"}, ValueError, 'method must be "clinic" or "paper", got \'admin\''),
        ("profile", {"seed": 1.5}, TypeError, "seed must be an integer"),
        ("profile", {"apply": 0}, TypeError, "apply must be True or False"),
    ],
)
def test_passes_refuse_options(
    dtype: str, call: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        getattr(transformer(dtype), call)(core_batch(MODULES[dtype]), **options)


@both
def test_objects_of_the_other_build_are_refused(dtype: str) -> None:
    other = "float64" if dtype == "float32" else "float32"
    with pytest.raises(
        TypeError, match=r"batch must be of type admin_py\._core(64)?\.Batch, got an object of type"
    ):
        transformer(dtype).forward(core_batch(MODULES[other]))
    with pytest.raises(TypeError, match="model must be a Transformer or a layer of admin_py"):
        MODULES[dtype].Optimizer("sgd").step(transformer(other), 0.1)


# What all have


@both
def test_there_is_no_bare_model(dtype: str) -> None:
    module = MODULES[dtype]
    with pytest.raises(TypeError, match="Model is made as a Transformer, an EncoderLayer or a DecoderLayer"):
        module.Model()
    for kind in (module.Transformer, module.EncoderLayer, module.DecoderLayer):
        assert issubclass(kind, module.Model)


@both
def test_objects_of_the_core_are_neither_pickled_nor_copied(dtype: str) -> None:
    module = MODULES[dtype]
    for item in (core_batch(module), transformer(dtype), decoder_layer(dtype), module.Optimizer("adam")):
        for act in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot pickle or copy objects of type admin_py"):
                act(item)


@both
def test_everything_public_has_a_docstring_and_a_signature(dtype: str) -> None:
    module = MODULES[dtype]
    for name, item in vars(module).items():
        if name.startswith("__"):
            continue
        assert item.__doc__, name
        if not isinstance(item, type):
            assert inspect.signature(item) is not None
            continue
        for method, function in vars(item).items():
            if method.startswith("__"):
                continue
            assert function.__doc__, f"{name}.{method}"
            if inspect.ismethoddescriptor(function):
                assert inspect.signature(function) is not None, f"{name}.{method}"


@both
def test_attributes_are_not_set_or_deleted_unless_meant(dtype: str) -> None:
    model = transformer(dtype)
    for name in ("parameters", "gradients", "weights", "trained", "memory"):
        with pytest.raises(AttributeError):
            setattr(model, name, None)
    with pytest.raises(AttributeError):
        model.anything = 1
    with pytest.raises(AttributeError, match="seed cannot be deleted"):
        del model.seed
    for bad, error in ((-1, ValueError), (2**64, ValueError), (1.0, TypeError), (True, TypeError)):
        with pytest.raises(error, match="seed must be an integer"):
            model.seed = bad
    assert model.seed == 1
