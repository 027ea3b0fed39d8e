"""Dropout of passes that are given no step: other masks every time, and what leaves the counter alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from small_models import PAIRS, config, small

import admin_py as ap

DATA = ap.data.copy_task(symbols=8, train=60, valid=12, seed=3)


def gradient(model: ap.Transformer) -> np.ndarray:
    return np.concatenate([value.reshape(-1) for value in model.gradients.values()])


def on_step(step: int, **options: Any) -> np.ndarray:
    model = small()
    model.backward(PAIRS, step=step, **options)
    return gradient(model)


def test_every_backward_pass_has_masks_of_its_own() -> None:
    model = small()
    for number in range(3):
        assert model.step == number
        model.backward(PAIRS)
        np.testing.assert_array_equal(gradient(model), on_step(number))
    assert not np.array_equal(on_step(0), on_step(1))
    assert model.step == 3


def test_accumulated_passes_too() -> None:
    model, other = small(), small()
    model.backward(PAIRS)
    model.backward(PAIRS, accumulate=True)
    other.backward(PAIRS, step=0)
    other.backward(PAIRS, step=1, accumulate=True)
    np.testing.assert_array_equal(gradient(model), gradient(other))
    assert (model.step, other.step) == (2, 0)


@pytest.mark.parametrize("method", ["forward", "loss"])
def test_forward_and_loss_count_as_well(method: str) -> None:
    model = small()
    found = [getattr(model, method)(PAIRS, training=True) for _ in range(2)]
    expected = [getattr(small(), method)(PAIRS, training=True, step=step) for step in range(2)]
    np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(*found)
    assert model.step == 2


QUIET: dict[str, Callable[[ap.Transformer], Any]] = {
    "a step that is given": lambda model: model.backward(PAIRS, step=9),
    "a loss with a step": lambda model: model.loss(PAIRS, training=True, step=9),
    "no dropout": lambda model: model.backward(PAIRS, training=False),
    "a forward pass": lambda model: model.forward(PAIRS),
    "a loss": lambda model: model.loss(PAIRS),
    "observe": lambda model: model.observe(PAIRS, training=True, gradients="*").var_branch["encoder"],
    "profile": lambda model: model.profile(PAIRS, apply=False).omega("decoder"),
    "gradients": lambda model: ap.analysis.gradients(model, PAIRS).outputs["decoder"],
    "dependency": lambda model: ap.analysis.dependency(model, PAIRS).beta("decoder"),
    "output change": lambda model: ap.analysis.output_change(model, PAIRS, perturbation="gradient").change[
        "decoder"
    ],
    "diagnose": lambda model: ap.diagnose(model, PAIRS).gradients["decoder"],
}


@pytest.mark.parametrize("what", QUIET)
def test_what_leaves_the_counter_alone_and_gives_the_same_twice(what: str) -> None:
    model = small()
    model.step = 5
    first = QUIET[what](model)
    assert model.step == 5
    np.testing.assert_array_equal(first, QUIET[what](model))
    model.step = 6
    np.testing.assert_array_equal(first, QUIET[what](model), err_msg="it depends on the counter")


def test_a_pass_that_fails_is_not_counted() -> None:
    model = small()
    with pytest.raises(IndexError):
        model.backward(ap.Batch([[99]], [[1, 2]]))
    with pytest.raises(TypeError, match="training must be True or False"):
        model.backward(PAIRS, training="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="step must be an integer from 0"):
        model.backward(PAIRS, step=-1)
    assert model.step == 0


def test_it_may_be_set_and_goes_round() -> None:
    model = small()
    model.step = 2**64 - 1
    model.backward(PAIRS)
    np.testing.assert_array_equal(gradient(model), on_step(2**64 - 1))
    assert model.step == 0
    for wrong, error in ((-1, ValueError), (2**64, ValueError), (1.0, TypeError), (True, TypeError)):
        with pytest.raises(error, match="step must be an integer"):
            model.step = wrong  # type: ignore[assignment]


def test_copies_go_on_from_the_same_number() -> None:
    model = small(scheme="admin")
    model.step = 4
    assert model.copy().step == 4
    assert model.copy(dtype="float64").step == 4
    assert small(scheme="post_ln").reparameterise().step == 0
    assert model.reparameterise().step == 4


def test_a_loop_after_a_training_goes_on_with_fresh_masks(tmp_path: Any) -> None:
    def fresh() -> ap.Transformer:
        return ap.Transformer(config(1, 1, vocab_size=DATA.vocab_size, max_length=64), seed=1)

    options: dict[str, Any] = {"steps": 4, "accumulate": 3, "max_tokens": 100, "progress": False}
    model = fresh()
    history = ap.train(model, DATA, **options)
    assert model.step == 12
    other = fresh()
    other.step = 100
    again = ap.train(other, DATA, **options)
    np.testing.assert_array_equal(history.loss, again.loss, err_msg="a training numbers its own passes")
    assert other.step == 100, "never back"
    saved = tmp_path / "run.ckpt"
    ap.train(fresh(), DATA, **{**options, "steps": 2}, checkpoint=saved)
    resumed = fresh()
    ap.train(resumed, DATA, **{**options, "steps": 2}, checkpoint=saved)
    assert resumed.step == 6, "though nothing was left to train"
    ap.train(resumed, DATA, **options, checkpoint=saved)
    assert resumed.step == 12


LAYERS = {
    "encoder": (lambda: ap.EncoderLayer(8, 2, 16, seed=1, dropout=0.5), False),
    "decoder": (lambda: ap.DecoderLayer(8, 2, 16, seed=1, dropout=0.5), True),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_count_their_forward_passes(kind: str) -> None:
    """`backward` goes back through the masks of the last one."""
    make, cross = LAYERS[kind]
    random = np.random.default_rng(1)
    x, memory = (random.standard_normal((5, 8)).astype(np.float32) for _ in range(2))
    given = (x, [3, 2], memory, [3, 2]) if cross else (x, [3, 2])
    layer, other = make(), make()
    for number in range(2):
        y = layer.forward(*given, training=True)
        np.testing.assert_array_equal(y, other.forward(*given, training=True, step=number))
        np.testing.assert_array_equal(layer.backward(np.ones_like(y)), other.backward(np.ones_like(y)))
    assert (layer.step, other.step) == (2, 0)
    layer.forward(*given)
    layer.observe(*given, training=True)
    layer.profile(*given, apply=False)
    assert layer.step == 2
    layer.step = 0
    np.testing.assert_array_equal(
        layer.forward(*given, training=True), other.forward(*given, training=True, step=0)
    )
