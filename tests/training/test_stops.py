"""What stops a training before its last step: numbers that are not finite, and Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import assert_same_history, first_batches, make_model, make_optimizer, one_thread, train

import admin_py as ap
from admin_py.training import divergence
from admin_py.training.checkpoint import load
from admin_py.training.interrupts import DeferredInterrupt

SCRIPT = Path(__file__).parents[1] / "helpers" / "small_training.py"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


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
    history = train(model, ap.SGD(1.0), schedule=lambda step: 1e300, clip_norm=None, steps=5)
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
