"""Training: what a step computes, what is recorded, what stops it, what it refuses."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import (
    DATA,
    SEED,
    assert_same_history,
    first_batches,
    make_model,
    make_optimizer,
    one_thread,
    train,
)

import admin_py as ap
from admin_py.base import defaults
from admin_py.experiments.settings import DEFAULTS
from admin_py.training.feed import Feed, num_predicted
from admin_py.training.named_optimizers import as_optimizer
from admin_py.training.plan import rate_at


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


# Data


def test_epochs_follow_each_other_with_a_seed_of_their_own() -> None:
    feed = Feed(DATA, max_tokens=90, seed=7)
    for epoch in range(3):
        for number, batch in enumerate(DATA.batches(max_tokens=90, seed=7 + epoch)):
            assert next(feed) == batch
            assert (feed.epoch, feed.batch) == (epoch, number + 1)


def test_a_feed_goes_on_from_any_place() -> None:
    feed = Feed(DATA, max_tokens=90, seed=7)
    for _ in range(25):
        later = Feed(DATA, max_tokens=90, seed=7, epoch=feed.epoch, batch=feed.batch)
        assert next(later) == next(feed)
        assert (later.epoch, later.batch) == (feed.epoch, feed.batch)


# One step


def test_a_step_descends_the_gradient_of_the_mean_over_all_tokens() -> None:
    """In float64, against the gradient of each batch weighted by hand."""
    batches = first_batches(3)
    tokens = [num_predicted(batch) for batch in batches]
    assert len(set(tokens)) > 1
    reference = make_model(dtype="float64")
    gradient, loss, nll = 0.0, 0.0, 0.0
    for number, (batch, count) in enumerate(zip(batches, tokens, strict=True)):
        found = reference.backward(batch, label_smoothing=0.1, step=number)
        assert found.num_tokens == count
        share = count / sum(tokens)
        gradient = gradient + share * reference._core.gradient_buffer.copy()
        loss, nll = loss + share * found.loss, nll + share * found.nll
    model = make_model(dtype="float64")
    before = model._core.weights.copy()
    history = train(model, ap.SGD(0.5), steps=1, accumulate=3, schedule=None, clip_norm=None)
    change = before - model._core.weights
    np.testing.assert_allclose(change, 0.5 * np.asarray(gradient), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(history.loss[0], loss, rtol=1e-12)
    np.testing.assert_allclose(history.nll[0], nll, rtol=1e-12)
    np.testing.assert_allclose(history.grad_norm[0], np.linalg.norm(gradient), rtol=1e-9)
    np.testing.assert_allclose(history.update_norm[0], np.linalg.norm(change), rtol=1e-9)
    assert history.tokens.tolist() == [sum(tokens)]


def test_gradients_are_clipped_to_the_norm_and_no_further() -> None:
    free = train(make_model(dtype="float64"), ap.SGD(0.1), steps=1, schedule=None, clip_norm=None)
    norm = free.grad_norm[0]
    for clip, expected in ((norm / 4, norm / 4), (4 * norm, norm)):
        history = train(make_model(dtype="float64"), ap.SGD(0.1), steps=1, schedule=None, clip_norm=clip)
        assert history.grad_norm[0] == norm  # recorded before clipping
        np.testing.assert_allclose(history.update_norm[0], 0.1 * expected, rtol=1e-12)


def test_the_learning_rate_is_the_schedule_s_of_the_step() -> None:
    schedule = ap.schedules.inverse_sqrt(0.01, 4)
    history = train(make_model(), steps=7, schedule=schedule)
    np.testing.assert_array_equal(history.lr, [schedule(step) for step in range(1, 8)])
    assert train(make_model(), ap.SGD(0.25), steps=2, schedule=None).lr.tolist() == [0.25, 0.25]


def test_without_smoothing_loss_and_nll_are_one() -> None:
    history = train(make_model(), steps=4, label_smoothing=0.0)
    np.testing.assert_array_equal(history.loss, history.nll)
    assert (train(make_model(), steps=4).loss > history.nll).all()


def test_every_batch_has_dropout_of_its_own() -> None:
    """The same batch again and again, with weights that do not move: the losses differ by dropout alone."""
    data = ap.data.copy_task(symbols=8, train=4, valid=0)
    model = make_model()
    settings: dict[str, Any] = {"steps": 6, "max_tokens": 90, "progress": False}
    history = ap.train(model, data, optimizer=ap.SGD(0.0), **settings)
    assert len(set(history.nll.tolist())) == 6
    model = make_model(dropout=0.0)
    history = ap.train(model, data, optimizer=ap.SGD(0.0), **settings)
    np.testing.assert_allclose(history.nll, history.nll[0], rtol=1e-5)


def test_it_learns() -> None:
    """What frequencies alone cannot: the copies that it has seen, among them their lengths."""
    history = train(
        make_model(), ap.Adam(), steps=300, accumulate=1, schedule=ap.schedules.constant(0.01, 20)
    )
    entropy = DATA.unigram_entropy()
    assert history.nll[0] > entropy
    assert history.nll[-20:].mean() < 0.8 * entropy


@pytest.mark.parametrize("kind", ["char", "word"])
def test_a_language_model_is_trained_alike(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat and the dog sat on the log\n" * 40)
    level = {"level": "char"} if kind == "char" else {"vocab_size": 300}
    data = ap.data.text(path, context=16, **level)
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=0, decoder_layers=1, d_model=16, heads=2, d_ff=24
    )
    model = ap.Transformer(config, seed=1)
    history = ap.train(
        model, data, optimizer=ap.Adam(0.02), steps=40, max_tokens=128, valid_every=20, progress=False
    )
    assert history.nll[-1] < 0.8 * history.nll[0]
    assert np.isfinite(history.valid["nll"]).all()


# Validation, observation, callbacks


def test_validation_is_the_mean_over_the_whole_split_without_dropout() -> None:
    model = make_model()
    history = train(model, steps=3, valid_every=2)
    assert history.valid["step"].tolist() == [2, 3]  # the last step in any case
    split = DATA.split("valid")
    everything = ap.Batch(split.source, split.target)
    found = model.loss(everything, label_smoothing=0.1)
    assert DATA.num_batches(max_tokens=90, split="valid", shuffle=False) > 1
    np.testing.assert_allclose(history.valid["nll"][-1], found.nll, rtol=1e-6)
    np.testing.assert_allclose(history.valid["loss"][-1], found.loss, rtol=1e-6)


def test_nothing_is_validated_or_observed_unasked() -> None:
    history = train(make_model(), steps=3, valid_every=None, observe_every=0)
    assert history.valid["step"].size == 0
    assert list(history.observations) == ["step"]
    assert history.observations["step"].size == 0


def test_observing_and_validating_change_no_bit() -> None:
    plain = train(make_model(), steps=6, valid_every=None, observe_every=0)
    watched = train(make_model(), steps=6, valid_every=1, observe_every=1)
    np.testing.assert_array_equal(plain.loss, watched.loss)
    np.testing.assert_array_equal(plain.update_norm, watched.update_norm)


def test_computing_activations_again_changes_no_bit(tmp_path: Path) -> None:
    """Nor does a change of mind between two halves of a training."""
    path = tmp_path / "run.safetensors"
    models = [make_model(encoder_layers=3, decoder_layers=3) for _ in range(2)]
    settings: dict[str, Any] = {"valid_every": None, "observe_every": 0, "observe": [2, 5]}
    whole = train(models[0], steps=6, **settings)
    train(models[1], steps=3, checkpoint=path, checkpoint_activations=2, **settings)
    halves = train(models[1], steps=6, checkpoint=path, checkpoint_activations=True, **settings)
    assert_same_history(whole, halves)
    for name, value in models[0].parameters.items():
        np.testing.assert_array_equal(models[1].parameters[name], value)


def test_observations_are_those_of_the_step_s_last_batch() -> None:
    model = make_model()
    omega = {stack: values.mean(axis=1) for stack, values in model.omega.items()}
    history = train(model, steps=4, observe_every=2)
    assert history.observations["step"].tolist() == [1, 2, 4]
    reference = make_model()
    reference.backward(first_batches(2)[1], label_smoothing=0.1, step=1, observe=True)
    for stack, rows in reference._core.observations().items():
        seen = history.observations[stack]
        np.testing.assert_allclose(seen["var_input"][0], rows["var_input"], rtol=1e-12)
        np.testing.assert_allclose(seen["var_branch"][0], rows["var_branch"], rtol=1e-12)
        np.testing.assert_allclose(seen["grad_norm"][0], rows["grad_norm"], rtol=1e-5)
        np.testing.assert_allclose(seen["omega"][0], omega[stack], rtol=1e-6)
        assert seen["grad_norm"].shape == (3, len(omega[stack]) + 1)


@pytest.mark.parametrize(
    ("when", "steps"),
    [
        (4, [1, 4, 8, 12]),
        ("log", [1, 2, 3, 4, 5, 6, 8, 10, 13]),
        ([7, 2, 2, 30], [2, 7]),
        (np.array([13]), [13]),
        (range(3, 12, 4), [3, 7, 11]),
        ((), []),
    ],
)
def test_steps_are_observed_as_asked(when: Any, steps: list[int]) -> None:
    history = train(make_model(), steps=13, observe_every=0, observe=when, valid_every=None, accumulate=1)
    assert history.observations["step"].tolist() == steps
    if steps:
        assert all(
            len(history.observations["matrices"][name]) == len(steps) for name in ("norm", "grad_norm")
        )


def test_both_ways_to_say_every_few_steps_are_one() -> None:
    one = train(make_model(), steps=5, observe_every=2)
    two = train(make_model(), steps=5, observe_every=0, observe=2)
    assert_same_history(one, two)
    assert one.metadata["training"] == two.metadata["training"]


def test_a_step_that_diverges_leaves_no_row() -> None:
    def poison(step: int, model: ap.Transformer, history: Any) -> None:
        if step == 2:
            model.parameters["encoder.0.feed_forward.fc1.weight"][...] = 3e38

    history = train(make_model(), steps=4, observe_every=1, callbacks=[poison])
    assert history.diverged_at == 3
    assert history.observations["step"].tolist() == [1, 2]
    rows = [len(values) for name, values in history.observations["matrices"].items() if name != "names"]
    assert rows == [2, 2, 2]
    assert len(history.observations["encoder"]["omega"]) == 2


def test_callbacks_see_every_step_after_its_validation() -> None:
    seen: list[tuple[int, int, int, float]] = []
    model = make_model()

    def watch(step: int, trained: ap.Transformer, history: Any) -> None:
        assert trained is model
        seen.append((step, history.num_steps, len(history.valid["nll"]), history.loss[-1]))

    history = train(model, steps=5, valid_every=2, callbacks=[watch])
    assert seen == [(step, step, step // 2 + (step == 5), history.loss[step - 1]) for step in range(1, 6)]


# What is seen of it


def test_in_a_pipe_validations_and_the_end_are_plain_lines(capfd: pytest.CaptureFixture[str]) -> None:
    train(make_model(), steps=4, valid_every=2, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["step 2/4", "step 4/4"]
    assert "validation nll" in lines[0]
    assert "left" in lines[0]
    assert "tokens/s" in lines[1]
    train(make_model(), steps=3, valid_every=None, progress=True)
    assert capfd.readouterr().err.startswith("step 3/3: nll ")
    train(make_model(), steps=4, valid_every=2, progress=False)
    assert capfd.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    train(make_model(), steps=4, valid_every=2, progress=True)
    err = capfd.readouterr().err
    assert "4/4" in err
    assert "valid " in err, err
    assert "\r" in err


# Results


def test_the_history_says_how_it_was_made(tmp_path: Path) -> None:
    history = train(make_model(), steps=2)
    history.save(tmp_path / "history.json")
    assert ap.History.load(tmp_path / "history.json") == history
    about = json.loads((tmp_path / "history.json").read_text())["metadata"]
    assert about["seed"] == SEED
    assert about["scheme"] == "admin"
    assert about["training"]["accumulate"] == 2
    assert about["training"]["schedule"]["kind"] == "inverse_sqrt"


# Bad input


ENCODER = {"decoder_layers": 0}
LANGUAGE_MODEL = {"encoder_layers": 0}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be an integer from 1"),
        ({"steps": 1.5}, TypeError, "steps must be an integer, got 1.5"),
        ({"max_tokens": 5}, ValueError, "max_tokens must be at least"),
        ({"accumulate": 0}, ValueError, "accumulate must be"),
        ({"clip_norm": 0.0}, ValueError, "clip_norm must be above 0"),
        ({"clip_norm": "1"}, TypeError, "clip_norm must be a number"),
        ({"label_smoothing": 1.5}, ValueError, "label_smoothing must be from 0 to 1, got 1.5"),
        ({"z_loss": -0.5}, ValueError, "z_loss must be"),
        ({"label_smoothing": np.nan}, ValueError, "label_smoothing must be a finite number"),
        ({"valid_every": 0}, ValueError, "valid_every must be"),
        ({"checkpoint_every": 0, "checkpoint": "run"}, ValueError, "checkpoint_every must be"),
        ({"observe_every": -1}, ValueError, "observe_every must be"),
        ({"observe_every": 2, "observe": 2}, ValueError, "give one of them, such as observe=2"),
        ({"observe_every": 0, "observe": -1}, ValueError, "observe must be an integer from 0"),
        ({"observe_every": 0, "observe": 0.5}, TypeError, "observe must be an integer, got 0.5"),
        ({"observe_every": 0, "observe": True}, TypeError, "observe must be an integer, got True"),
        ({"observe_every": 0, "observe": "often"}, ValueError, "'log' or a list of steps, got 'often'"),
        ({"observe_every": 0, "observe": [0]}, ValueError, "observe: a step must be an integer from 1"),
        ({"observe_every": 0, "observe": [1.5]}, TypeError, "observe: a step must be an integer, got 1.5"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be a path, got 3"),
        ({"resume": 1}, TypeError, "resume must be True or False"),
        ({"progress": None}, TypeError, "progress must be True or False"),
        ({"schedule": 0.1}, TypeError, "schedule must be a name"),
        ({"schedule": lambda step: -1.0}, ValueError, r"schedule\(1\) must be a finite number of at least 0"),
        ({"callbacks": print}, TypeError, "callbacks must be a list"),
        ({"callbacks": [3]}, TypeError, "callbacks must be callable, got 3"),
        ({"optimizer": "adm"}, ValueError, "optimizer must be one of 'adam', 'adamw', .*, got 'adm'"),
        ({"optimizer": 3}, TypeError, "optimizer must be an Optimizer, one of .* of type int"),
        ({"optimizer": lambda lr: lr}, TypeError, "optimizer must make an Optimizer .* type float"),
        (
            {"lr": 0.1},
            ValueError,
            "lr must be None with an optimizer .*, 0.01, got 0.1",
        ),
        ({"optimizer": "adam", "lr": 0.1}, ValueError, "lr must be None with a schedule, .* got 0.1"),
        ({"optimizer": "adam", "lr": -1.0}, ValueError, "lr must be a finite number of at least 0"),
        ({"profile": "yes"}, ValueError, "profile must be 'auto', True or False, got 'yes'"),
        ({"profile": None}, ValueError, "profile must be 'auto', True or False, got None"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    model = make_model()
    before = model.state
    with pytest.raises(error, match=message):
        train(model, change.pop("optimizer", None), **{"steps": 2, **change})
    np.testing.assert_equal(before, model.state)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ENCODER, "model must predict tokens"),
        (LANGUAGE_MODEL, "data must be of kind 'language_model'.*got 'translation'"),
        ({"max_length": 8}, "data has sequences of 1[67] tokens.*max_length is 8"),
        ({"vocab_size": 9}, "data has 12 ids in its vocabulary, model only 9"),
    ],
)
def test_a_model_that_cannot_read_the_data_is_refused(model: dict[str, Any], message: str) -> None:
    sizes = {
        "vocab_size": DATA.vocab_size,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "d_model": 8,
        "heads": 2,
    }
    config = ap.TransformerConfig(**{**sizes, "d_ff": 8, **model})
    with pytest.raises(ValueError, match=message):
        train(ap.Transformer(config), steps=1)


def test_other_objects_are_refused_by_type() -> None:
    with pytest.raises(TypeError, match="model must be a Transformer, got None"):
        ap.train(None, DATA, optimizer=make_optimizer(), steps=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="data must be a Dataset, got an object of type list"):
        ap.train(make_model(), [], optimizer=make_optimizer(), steps=1)  # type: ignore[arg-type]


def test_weights_that_are_not_finite_are_refused() -> None:
    model = make_model()
    model.parameters["encoder.0.self_attn.k.bias"][3] = np.inf
    with pytest.raises(
        ValueError, match=r"weight encoder\.0\.self_attn\.k\.bias must be finite, got inf at \[3\]"
    ):
        train(model, steps=1)


def test_data_without_a_held_out_split_cannot_be_validated() -> None:
    data = ap.data.copy_task(symbols=8, train=10, valid=0)
    settings: dict[str, Any] = {"optimizer": make_optimizer(), "steps": 1, "progress": False}
    with pytest.raises(ValueError, match="valid_every is 1, but data have no split 'valid'"):
        ap.train(make_model(), data, valid_every=1, **settings)
    assert ap.train(make_model(), data, **settings).num_steps == 1


def test_schedules_by_name_go_up_to_the_optimisers_rate() -> None:
    """As in studies and grids; of an object the rate is its own."""
    for optimizer, lr in (("adam", 2e-3), (ap.SGD(0.25), None)):
        history = ap.train(
            make_model(),
            DATA,
            optimizer=optimizer,
            lr=lr,
            schedule="linear",
            warmup=2,
            steps=4,
            progress=False,
        )
        rate = 0.25 if lr is None else lr
        schedule = ap.schedules.linear(rate, 2, steps=4)
        np.testing.assert_array_equal(history.lr, [schedule(step) for step in range(1, 5)])
    with pytest.raises(ValueError, match="schedule must be one of 'inverse_sqrt'"):
        ap.train(make_model(), DATA, schedule="exponential", progress=False)
    with pytest.raises(ValueError, match="warmup goes with a schedule that is given by its name, got 5"):
        ap.train(make_model(), DATA, warmup=5, progress=False)


def test_the_defaults_are_those_of_the_table() -> None:
    """`train`, `study` and `grid` have the same settings by default."""
    own = inspect.signature(ap.train).parameters
    for name in ("steps", "max_tokens", "label_smoothing", "clip_norm", "optimizer"):
        assert own[name].default == DEFAULTS[name], name
    for name in ("lr", "warmup"):
        assert own[name].default is None
    assert as_optimizer("adam").lr == DEFAULTS["lr"]
    assert DEFAULTS["warmup"] == defaults.WARMUP


def rate_of_a_mistake(step: int) -> float:
    return 1e-3 + "per step"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (rate_of_a_mistake, r"^unsupported operand type"),
        (lambda: 1e-3, r"^schedule must be callable with the number of a step: .*takes 0 positional"),
        (lambda step: "1e-3", r"^schedule\(1\) must be a number, got '1e-3'"),
    ],
    ids=["its own", "signature", "result"],
)
def test_of_a_schedule_its_signature_and_result_are_named_and_its_own_errors_go_through(
    schedule: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        rate_at(schedule, 1)
