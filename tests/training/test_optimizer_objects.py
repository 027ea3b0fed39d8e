"""The optimisers as a user holds them: options, states, one model each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_models import PAIRS, both, config, small

import admin_py as ap
from admin_py.experiments import settings
from admin_py.training import named_optimizers, optimizers

DATA = ap.data.copy_task(symbols=8, train=60, valid=12, seed=3)

ALL: dict[str, Any] = {
    "sgd": lambda: ap.SGD(0.1),
    "momentum": lambda: ap.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda: ap.Adam(0.01, betas=(0.9, 0.98), eps=1e-9),
    "adamw": lambda: ap.AdamW(0.01),
    "radam": lambda: ap.RAdam(0.01, weight_decay=1e-4),
    "novograd": lambda: ap.NovoGrad(0.01),
}
each = pytest.mark.parametrize("name", ALL)


def ready(dtype: str = "float32", **changes: Any) -> ap.Transformer:
    model = small(dtype, **changes)
    model.backward(PAIRS)
    return model


@each
def test_they_are_rebuilt_from_their_options(name: str) -> None:
    optimizer = ALL[name]()
    again = optimizers.from_dict(optimizer.to_dict())
    assert type(again) is type(optimizer)
    assert again.to_dict() == optimizer.to_dict()
    assert repr(again) == repr(optimizer)
    assert eval(repr(optimizer), vars(ap)).to_dict() == optimizer.to_dict()


@both
@each
def test_a_state_goes_on_in_another_optimizer(name: str, dtype: str) -> None:
    model, first, second = ready(dtype), ALL[name](), ALL[name]()
    assert first.state == {"step": 0, "m": None, "v": None}
    for _ in range(6):
        first.step(model)
    kept = {
        key: np.copy(value) if isinstance(value, np.ndarray) else value for key, value in first.state.items()
    }
    other = model.copy()
    other.gradients["embedding.weight"][...] = 0
    for parameter, gradient in model.gradients.items():
        other.gradients[parameter][...] = gradient
    second.load_state(kept)
    assert second.state["step"] == 6
    assert first.step(model) == second.step(other)
    assert all(np.array_equal(other.parameters[k], v) for k, v in model.parameters.items())


def test_the_learning_rate_may_be_given_or_kept() -> None:
    model, optimizer = ready("float64"), ap.SGD(0.5)
    norm = optimizer.step(model, 0.25, grad_scale=2.0)
    gradients = np.concatenate([gradient.ravel() for gradient in model.gradients.values()])
    assert norm == pytest.approx(0.5 * np.linalg.norm(gradients), rel=1e-12)
    assert optimizer.step(model) == pytest.approx(norm, rel=1e-12)
    optimizer.lr = 0
    assert optimizer.step(model) == 0
    for bad, error in ((-1, ValueError), (np.nan, ValueError), ("x", TypeError), (True, TypeError)):
        with pytest.raises(error, match="lr must be a"):
            optimizer.lr = bad
        with pytest.raises(error, match="lr must be a"):
            optimizer.step(model, bad)
    assert optimizer.lr == 0


def test_an_optimizer_belongs_to_one_model() -> None:
    optimizer = ap.Adam()
    with pytest.raises(RuntimeError, match="call backward first"):
        optimizer.step(small())
    optimizer.step(ready())
    with pytest.raises(ValueError, match="model must have the dtype of the optimizer's state, got float64"):
        optimizer.step(ready("float64"))
    with pytest.raises(ValueError, match="model must be the one that the optimizer's state belongs to"):
        optimizer.step(ready(encoder=3))
    with pytest.raises(
        TypeError,
        match="model must be a Transformer, an EncoderLayer or a DecoderLayer, got an object of type dict",
    ):
        optimizer.step({})  # type: ignore[arg-type]
    assert optimizer.state["step"] == 1


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ap.SGD(), TypeError, "lr"),
        (lambda: ap.SGD(-0.1), ValueError, "lr must be a finite number of at least 0, got -0.1"),
        (lambda: ap.SGD(0.1, momentum=1.0), ValueError, r"momentum must be in \[0, 1\), got 1.0"),
        (lambda: ap.SGD(0.1, nesterov=True), ValueError, "nesterov=True needs a momentum above 0, got 0"),
        (lambda: ap.SGD(0.1, nesterov=1), TypeError, "nesterov must be True or False, got 1"),
        (
            lambda: ap.SGD(0.1, weight_decay=-1),
            ValueError,
            "weight_decay must be a finite number of at least 0",
        ),
        (lambda: ap.Adam(betas=0.9), ValueError, r"betas must be two numbers in \[0, 1\), got 0.9"),
        (lambda: ap.Adam(betas=(0.9, 0.98, 0.99)), ValueError, r"betas must be two numbers in \[0, 1\), got"),
        (
            lambda: ap.Adam(betas=(0.9, 1.0)),
            ValueError,
            r"betas must be two numbers in \[0, 1\), got \(0.9, 1.0\)",
        ),
        (lambda: ap.AdamW(eps=0), ValueError, "eps must be above 0, got 0"),
        (lambda: ap.RAdam(0.1, (0.9, 0.98)), TypeError, "positional"),
        (
            lambda: optimizers.from_dict({"kind": "adagrad"}),
            ValueError,
            "kind of an optimizer must be one of sgd, adam",
        ),
        (lambda: optimizers.from_dict({"kind": "adam", "momentum": 0.9}), TypeError, "momentum"),
    ],
)
def test_options_that_are_refused(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        ({}, ValueError, 'state must have exactly the keys "step", "m" and "v"'),
        ({"step": 1, "m": None, "v": None}, ValueError, "m must be an array after 1 steps, got None"),
        (
            {"step": 1, "m": np.ones(3), "v": np.ones(3, np.float32)},
            TypeError,
            "v must have dtype float64, got float32",
        ),
        (
            {"step": 1, "m": np.ones(3, int), "v": np.ones(3, int)},
            TypeError,
            "m must have dtype float64, got int64",
        ),
        ({"step": 1.5, "m": np.ones(3), "v": np.ones(3)}, TypeError, "step must be an integer, got 1.5"),
    ],
)
def test_states_that_are_refused(state: Any, error: type[Exception], words: str) -> None:
    optimizer = ap.Adam()
    with pytest.raises(error, match=words):
        optimizer.load_state(state)
    assert optimizer.state == {"step": 0, "m": None, "v": None}


# Names, objects, functions


@pytest.mark.parametrize("name", named_optimizers.OPTIMIZERS)
def test_a_training_takes_names_objects_and_functions_alike(name: str) -> None:
    def losses(optimizer: Any, **more: Any) -> list[float]:
        model = ap.Transformer(config(1, 1, vocab_size=DATA.vocab_size, max_length=64), seed=1)
        history = ap.train(model, DATA, optimizer=optimizer, steps=8, progress=False, max_tokens=100, **more)
        return [*history.loss.tolist(), *history.lr.tolist()]

    expected = losses(named_optimizers.OPTIMIZERS[name](2e-3))
    assert losses(name, lr=2e-3) == expected
    assert losses(lambda lr: named_optimizers.named(name, lr), lr=2e-3) == expected
    assert losses(name) == losses(named_optimizers.named(name, 1e-3))


def test_adam_at_a_thousandth_is_the_default() -> None:
    model = ap.Transformer(config(1, 1, vocab_size=DATA.vocab_size, max_length=64), seed=1)
    history = ap.train(model, DATA, steps=1, progress=False)
    told = history.metadata["training"]["optimizer"]
    assert told == {"kind": "adam", "lr": 1e-3, "betas": (0.9, 0.98), "eps": 1e-9, "weight_decay": 0.0}


def test_studies_and_grids_have_the_same_table() -> None:
    assert settings.OPTIMIZERS is named_optimizers.OPTIMIZERS


def test_other_functions_take_names_as_well() -> None:
    model = ap.Transformer(config(1, 1, vocab_size=DATA.vocab_size, max_length=64), seed=1)
    by_name, by_object = (
        ap.analysis.updates(model, DATA, optimizer=one, steps=2, max_tokens=100)
        for one in ("sgd", ap.SGD(1e-3, momentum=0.9))
    )
    np.testing.assert_array_equal(by_name.update_norm, by_object.update_norm)
    bytes_of = [ap.plan_memory(model.config, optimizer=one).total for one in ("adam", "novograd")]
    assert bytes_of[0] > bytes_of[1]
