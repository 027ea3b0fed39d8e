"""Training: what a step computes, what is recorded, what stops it, what it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import DATA, SEED, assert_same_history, make_model, make_optimizer, train

import admin_py as ap
from admin_py import divergence
from admin_py.checkpoint import load
from admin_py.interrupts import DeferredInterrupt
from admin_py.training_loop import Feed, num_predicted

SCRIPT = Path(__file__).with_name("small_training.py")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small models are no faster with more."""
    before = ap.get_num_threads()
    ap.set_num_threads(1)
    yield
    ap.set_num_threads(before)


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


def first_batches(count: int) -> list[ap.Batch]:
    feed = Feed(DATA, max_tokens=90, seed=SEED)
    return [next(feed) for _ in range(count)]


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
    assert "validation nll" in err
    assert "\r" in err


# Divergence


def test_divergence_is_a_result_with_the_last_finite_weights() -> None:
    """A learning rate at which the weights leave the numbers' range within a few steps."""
    model = make_model()
    kept: list[np.ndarray] = []
    history = train(
        model,
        ap.SGD(1e25),
        schedule=None,
        clip_norm=None,
        steps=50,
        callbacks=[lambda *_: kept.append(model._core.weights.copy())],
    )
    at = history.diverged_at
    assert at is not None
    assert at == history.num_steps < 50
    assert history.diverged_because is not None
    assert "is not finite" in history.diverged_because or "not finite is" in history.diverged_because
    assert np.isfinite(model._core.weights).all()
    np.testing.assert_array_equal(kept[-1], kept[-2])  # the step that diverged changed nothing
    assert np.isfinite(history.loss[:-1]).all()
    assert history.update_norm[-1] == 0.0
    assert f"diverged at step {at}" in repr(history)


def test_an_update_that_overflows_is_taken_back_and_names_the_weight() -> None:
    model = make_model()
    before = model._core.weights.copy()
    history = train(model, ap.SGD(1e300), schedule=None, clip_norm=None, steps=5)
    assert history.diverged_at == 1
    assert history.diverged_because is not None
    assert history.diverged_because.startswith("the update's norm is ")
    assert history.diverged_because.split()[-1] in model.parameters
    np.testing.assert_array_equal(model._core.weights, before)
    assert np.isfinite(history.loss[0])
    assert np.isfinite(history.grad_norm[0])


def test_the_first_activation_that_is_not_finite_is_named() -> None:
    model = make_model()
    model.parameters["decoder.0.feed_forward.fc1.weight"][...] = 3e38
    history = train(model, steps=3)
    assert history.diverged_at == 1
    assert history.diverged_because == (
        f"the loss is {history.loss[0]}; the first tensor that is not finite is the activation "
        "decoder.0.feed_forward.branch"
    )
    assert np.isnan(history.grad_norm[0])


def test_gradients_are_searched_from_the_end_as_the_backward_pass_goes() -> None:
    model = make_model()
    model.backward(first_batches(1)[0])
    assert divergence.find_nonfinite_gradient(model) is None
    for name in ("embedding.weight", "encoder.0.self_attn.q.weight", "decoder.0.cross_attn.v.weight"):
        model.gradients[name][...] = np.inf
        assert divergence.find_nonfinite_gradient(model) == name
    assert "the gradient of decoder.0.cross_attn.v.weight" in divergence.explain_gradient(model, np.inf)


def test_a_gradient_that_is_not_finite_stops_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients overflow rarely before losses do, so one is put in by hand."""
    model = make_model()
    backward = model.backward

    def spoilt(batch: Any, **options: Any) -> Any:
        found = backward(batch, **options)
        if options["step"] >= 4:
            model.gradients["encoder.0.feed_forward.fc2.weight"][3, 3] = np.nan
        return found

    monkeypatch.setattr(model, "backward", spoilt)
    history = train(model, steps=10)
    assert history.diverged_at == 3  # two batches a step: passes 0 to 3 are those of steps 1 and 2
    assert history.diverged_because == (
        "the gradient's norm is nan; the first tensor that is not finite is the gradient of "
        "encoder.0.feed_forward.fc2.weight"
    )
    assert np.isfinite(history.loss).all()


# Ctrl-C


def test_ctrl_c_ends_the_training_between_two_steps(tmp_path: Path) -> None:
    """A real SIGINT to a real process, and what it leaves goes on to the same bits."""
    path = tmp_path / "run.ckpt"
    command = [sys.executable, str(SCRIPT), str(path), "100000", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, error = process.communicate()
    assert process.returncode == 0, error
    assert error == ""
    end, steps, interrupted = rest.splitlines()[-1].split()
    assert (end, interrupted) == ("end", "True")
    assert load(path).progress["step"] == int(steps) >= 5
    more = int(steps) + 3
    settings = {"steps": more, "valid_every": 4}
    assert_same_history(train(make_model(), checkpoint=path, **settings), train(make_model(), **settings))


def test_ctrl_c_in_a_validation_leaves_it_to_the_resumed_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = make_model(), tmp_path / "run.ckpt"
    loss = model.loss

    def interrupted(batch: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return loss(batch, **options)

    called: list[int] = []
    monkeypatch.setattr(model, "loss", interrupted)
    settings: dict[str, Any] = {"steps": 8, "callbacks": [lambda step, *_: called.append(step)]}
    first = train(model, checkpoint=path, **settings)
    assert (first.num_steps, first.interrupted, first.valid["step"].size) == (4, True, 0)
    second = train(make_model(), checkpoint=path, **settings)
    assert called == [1, 2, 3, 4, 5, 6, 7, 8]
    assert not second.interrupted
    assert_same_history(second, train(make_model(), steps=8))


def test_a_second_ctrl_c_does_not_wait() -> None:
    before = signal.getsignal(signal.SIGINT)
    with DeferredInterrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_train_without_touching_signals() -> None:
    before, found = signal.getsignal(signal.SIGINT), []
    worker = threading.Thread(target=lambda: found.append(train(make_model(), steps=2)))
    worker.start()
    worker.join()
    assert found[0].num_steps == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_in_a_callback_leaves_a_model_that_goes_on() -> None:
    def fail(step: int, model: Any, history: Any) -> None:
        raise RuntimeError("no")

    model, optimizer = make_model(), make_optimizer()
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="no"):
        train(model, optimizer, steps=3, callbacks=[fail])
    assert signal.getsignal(signal.SIGINT) is handler
    assert optimizer.state["step"] == 1
    assert train(model, optimizer, steps=3).num_steps == 3


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
        ({"label_smoothing": np.nan}, ValueError, "label_smoothing must be a finite number"),
        ({"valid_every": 0}, ValueError, "valid_every must be"),
        ({"checkpoint_every": 0}, ValueError, "checkpoint_every must be"),
        ({"observe_every": -1}, ValueError, "observe_every must be"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be a path or None, got 3"),
        ({"resume": 1}, TypeError, "resume must be True or False"),
        ({"progress": None}, TypeError, "progress must be True or False"),
        ({"schedule": 0.1}, TypeError, "schedule must be callable"),
        ({"schedule": lambda step: -1.0}, ValueError, r"schedule\(1\) must be a finite number of at least 0"),
        ({"callbacks": print}, TypeError, "callbacks must be a list"),
        ({"callbacks": [3]}, TypeError, "callbacks must be callable, got 3"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be an Optimizer, got an object of type str"),
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
    with pytest.raises(TypeError, match="model must be a Transformer, got an object of type NoneType"):
        ap.train(None, DATA, optimizer=make_optimizer(), steps=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="data must be a Dataset, got an object of type list"):
        ap.train(make_model(), [], optimizer=make_optimizer(), steps=1)  # type: ignore[arg-type]


def test_weights_that_are_not_finite_are_refused() -> None:
    model = make_model()
    model.parameters["encoder.0.self_attn.k.bias"][3] = np.inf
    with pytest.raises(
        ValueError, match=r"must have finite weights.*got inf in encoder\.0\.self_attn\.k\.bias"
    ):
        train(model, steps=1)


def test_data_without_a_held_out_split_cannot_be_validated() -> None:
    data = ap.data.copy_task(symbols=8, train=10, valid=0)
    settings: dict[str, Any] = {"optimizer": make_optimizer(), "steps": 1, "progress": False}
    with pytest.raises(ValueError, match="split must be one of 'train', got 'valid'"):
        ap.train(make_model(), data, valid_every=1, **settings)
    assert ap.train(make_model(), data, **settings).num_steps == 1
