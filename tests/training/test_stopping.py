"""Early stopping: what is monitored, when a training ends, and that the best weights come back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_training import assert_same_history, make_model, one_thread, train

import admin_py as ap
from admin_py.training.best import best_first, validations_since_best


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def measured(values: list[float], *, larger: bool = True, name: str = "bleu") -> ap.Monitor:
    """A monitor that gives one value after the other, by the passes that the model has trained."""
    return ap.Monitor(name, lambda model: values[model.step // 2 - 1], larger_is_better=larger)


def noting(seen: dict[int, dict[str, np.ndarray]]) -> Any:
    def note(step: int, model: ap.Transformer, history: Any) -> None:
        seen[step] = model.state

    return note


def train_monitored(model: ap.Transformer, values: list[float], **more: Any) -> ap.History:
    settings: dict[str, Any] = {"steps": len(values), "valid_every": 1, "monitor": measured(values)}
    return train(model, ap.Adam(0.01), **{**settings, **more})


# When it ends


def test_a_training_ends_after_so_many_validations_since_the_best() -> None:
    history = train_monitored(make_model(), [1.0, 3.0, 2.0, 3.0, 1.0, 9.0, 9.0], patience=3)
    assert history.num_steps == 5
    assert history.valid["bleu"].tolist() == [1.0, 3.0, 2.0, 3.0, 1.0]
    assert (history.stopped_early, history.best_step, history.interrupted) == (True, 2, False)
    assert "stopped early, best at step 2" in repr(history)
    assert history.metadata["stopping"] == {
        "monitor": "bleu",
        "larger_is_better": True,
        "patience": 3,
        "restore_best": False,
        "stopped": True,
    }


def test_one_that_improves_reaches_its_end() -> None:
    history = train_monitored(make_model(), [1.0, 2.0, 1.5, 3.0], patience=2)
    assert (history.num_steps, history.stopped_early, history.best_step) == (4, False, 4)
    last = train_monitored(make_model(), [3.0, 2.0, 1.0], patience=2)
    assert (last.num_steps, last.stopped_early) == (3, False)  # it made all its steps


def test_what_is_not_finite_is_no_improvement() -> None:
    values = [np.nan, np.inf, -np.inf, np.nan]
    history = train_monitored(make_model(), values, patience=2, restore_best=True)
    assert (history.num_steps, history.stopped_early, history.best_step) == (2, True, None)
    assert "stopped early" in repr(history)


@pytest.mark.parametrize("name", ["nll", "loss"])
def test_what_every_validation_measures_may_be_monitored(name: str) -> None:
    history = train(
        make_model(),
        ap.SGD(5.0),
        schedule=None,
        clip_norm=None,
        steps=60,
        valid_every=1,
        monitor=name,
        patience=2,
    )
    assert history.stopped_early
    values = history.valid[name]
    assert history.best_step == int(np.argmin(values)) + 1 == history.num_steps - 2
    assert list(history.valid) == ["step", "nll", "loss"]


def test_patience_changes_no_number() -> None:
    one, two = make_model(), make_model()
    plain = train(one, steps=8)
    assert_same_history(train(two, steps=8, patience=50), plain)
    np.testing.assert_equal(dict(one.parameters), dict(two.parameters))
    assert "stopping" not in plain.metadata


# The best weights


@pytest.mark.parametrize("larger", [True, False])
def test_the_best_weights_come_back(larger: bool) -> None:
    model, seen = make_model(), {}
    values = [1.0, 2.0, 3.0, 2.0] if larger else [3.0, 2.0, 1.0, 2.0]
    history = train_monitored(
        model, values, monitor=measured(values, larger=larger), restore_best=True, callbacks=[noting(seen)]
    )
    assert (history.num_steps, history.best_step, history.stopped_early) == (4, 3, False)
    np.testing.assert_equal(model.state, seen[3])


def test_without_them_the_model_has_the_last_weights() -> None:
    model, seen = make_model(), {}
    train_monitored(model, [9.0, 1.0, 1.0, 1.0], patience=2, callbacks=[noting(seen)])
    np.testing.assert_equal(model.state, seen[3])


def test_the_checkpoint_has_the_last_weights_and_more_steps_go_on_from_them(tmp_path: Path) -> None:
    values = [1.0, 5.0, 2.0, 3.0, 6.0, 1.0]
    path, seen = tmp_path / "run.ckpt", {}
    model = make_model()
    first = train_monitored(
        model, values, patience=2, restore_best=True, checkpoint=path, callbacks=[noting(seen)]
    )
    assert (first.num_steps, first.best_step) == (4, 2)
    np.testing.assert_equal(dict(ap.load(path).parameters), seen[4])
    again = make_model()
    finished = train_monitored(again, values, patience=2, restore_best=True, checkpoint=path)
    assert_same_history(finished, first)
    assert finished.stopped_early
    np.testing.assert_equal(again.state, seen[2])
    later = make_model()
    more = train_monitored(later, values, patience=3, restore_best=True, checkpoint=path)
    whole, last = make_model(), make_model()
    seen = {}
    assert_same_history(more, train_monitored(whole, values, patience=3, restore_best=True))
    assert (more.num_steps, more.best_step, more.stopped_early) == (6, 5, False)
    train_monitored(last, values, callbacks=[noting(seen)])
    np.testing.assert_equal(later.state, seen[5])
    np.testing.assert_equal(whole.state, seen[5])


@pytest.mark.parametrize("stop", range(1, 6))
def test_the_counter_and_the_best_weights_come_back_with_the_checkpoint(tmp_path: Path, stop: int) -> None:
    values = [1.0, 5.0, 2.0, 3.0, 4.0, 1.0, 9.0]
    settings: dict[str, Any] = {"patience": 4, "restore_best": True}

    def interrupt(step: int, *_: Any) -> None:
        if step == stop:
            raise KeyboardInterrupt

    whole, model = make_model(), make_model()
    expected = train_monitored(whole, values, **settings)
    path = tmp_path / "run.ckpt"
    first = train_monitored(make_model(), values, checkpoint=path, callbacks=[interrupt], **settings)
    assert (first.interrupted, first.stopped_early) == (True, False)
    history = train_monitored(model, values, checkpoint=path, **settings)
    assert_same_history(history, expected)
    assert (history.stopped_early, history.num_steps, history.best_step) == (True, 6, 2)
    np.testing.assert_equal(model.state, whole.state)


def test_ctrl_c_leaves_the_weights_that_go_on() -> None:
    model, seen = make_model(), {}

    def interrupt(step: int, *_: Any) -> None:
        if step == 3:
            raise KeyboardInterrupt

    history = train_monitored(
        model, [5.0, 1.0, 1.0, 1.0, 1.0], restore_best=True, callbacks=[noting(seen), interrupt]
    )
    assert history.interrupted
    np.testing.assert_equal(model.state, seen[3])


def test_a_training_that_diverges_has_the_best_weights_too() -> None:
    model, seen = make_model(), {}
    values = [float(-i) for i in range(50)]
    history = train(
        model,
        ap.SGD(1e25),
        schedule=None,
        clip_norm=None,
        steps=50,
        valid_every=1,
        monitor=measured(values),
        restore_best=True,
        callbacks=[noting(seen)],
    )
    assert history.diverged_at is not None
    if history.diverged_at > 1:
        np.testing.assert_equal(model.state, seen[1])


def test_best_weights_that_were_not_kept_cannot_come_back(tmp_path: Path) -> None:
    path, model = tmp_path / "run.ckpt", make_model()
    train_monitored(make_model(), [1.0, 2.0], checkpoint=path)
    before = model.state
    with pytest.raises(
        ValueError, match=r"restore_best=True needs the weights of step 2.*run\.ckpt.*without"
    ):
        train_monitored(model, [1.0, 2.0, 3.0], checkpoint=path, restore_best=True)
    np.testing.assert_equal(model.state, before)


def test_best_weights_by_another_monitor_do_not_come_back(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    settings: dict[str, Any] = {
        "valid_every": 1,
        "restore_best": True,
        "label_smoothing": 0.8,
        "checkpoint": path,
    }
    history = train(make_model(), ap.SGD(1.0), schedule=None, clip_norm=None, steps=30, **settings)
    nll, loss = (int(np.argmin(history.valid[name])) + 1 for name in ("nll", "loss"))
    assert nll != loss
    with pytest.raises(ValueError, match=rf"needs the weights of step {loss}, .*or by another monitor"):
        train(make_model(), ap.SGD(1.0), schedule=None, clip_norm=None, steps=31, monitor="loss", **settings)


def test_another_monitor_is_another_training(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    train_monitored(make_model(), [1.0, 2.0], checkpoint=path)
    with pytest.raises(ValueError, match=r"another training: its monitor is .*bleu.*, not None"):
        train(make_model(), ap.Adam(0.01), steps=3, valid_every=1, checkpoint=path)
    with pytest.raises(ValueError, match="another training: its name of the monitor is 'bleu', not 'chrf'"):
        train_monitored(make_model(), [1.0] * 3, checkpoint=path, monitor=measured([1.0] * 3, name="chrf"))
    with pytest.raises(ValueError, match="its larger_is_better of the monitor is True, not False"):
        train_monitored(make_model(), [1.0] * 3, checkpoint=path, monitor=measured([1.0] * 3, larger=False))


# What is measured


def test_tables_and_files_have_what_was_measured(tmp_path: Path) -> None:
    history = train_monitored(make_model(), [1.0, 2.0, np.nan], valid_every=2)
    assert history.to_dataframe()["valid_bleu"].tolist()[1:2] == [2.0]
    history.save(tmp_path / "history.json")
    again = ap.History.load(tmp_path / "history.json")
    assert again == history
    assert again.best_step == 2


def test_callbacks_see_what_is_the_best_so_far() -> None:
    seen: list[int | None] = []
    train_monitored(
        make_model(), [1.0, 3.0, 2.0], callbacks=[lambda s, m, history: seen.append(history.best_step)]
    )
    assert seen == [1, 2, 2]


@pytest.mark.parametrize("value", ["1", None, [1.0], 1j])
def test_what_is_measured_must_be_a_number(value: Any) -> None:
    monitor = ap.Monitor("bleu", lambda model: value, larger_is_better=True)
    with pytest.raises(TypeError, match="what the monitor 'bleu' measures must be a number, got"):
        train(make_model(), steps=1, valid_every=1, monitor=monitor)


def test_what_a_monitor_raises_goes_through_and_leaves_the_weights() -> None:
    def fail(model: ap.Transformer) -> float:
        raise LookupError("no")

    model = make_model()
    monitor = ap.Monitor("bleu", fail, larger_is_better=True)
    with pytest.raises(LookupError, match="no"):
        train(model, ap.SGD(0.1), steps=1, valid_every=1, monitor=monitor, ema=0.9)
    plain = make_model()
    train(plain, ap.SGD(0.1), steps=1)
    np.testing.assert_equal(model.state, plain.state)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"patience": 0}, ValueError, "patience must be an integer from 1"),
        ({"patience": 1.5}, TypeError, "patience must be an integer"),
        ({"patience": True}, TypeError, "patience must be an integer"),
        ({"patience": 1, "valid_every": None}, ValueError, "patience goes with validations, valid_every="),
        ({"restore_best": True, "valid_every": None}, ValueError, "restore_best goes with validations"),
        ({"restore_best": 1}, TypeError, "restore_best must be True or False"),
        ({"monitor": "loss", "valid_every": None}, ValueError, "monitor goes with validations"),
        ({"monitor": "bleu"}, ValueError, "monitor must be 'nll', 'loss' or a Monitor, which says whether"),
        ({"monitor": "step"}, ValueError, "monitor must be 'nll', 'loss' or a Monitor"),
        ({"monitor": len}, TypeError, "monitor must be 'nll', 'loss' or a Monitor"),
        ({"monitor": None}, TypeError, "monitor must be 'nll', 'loss' or a Monitor"),
    ],
)
def test_wrong_arguments_are_named(settings: dict[str, Any], error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        train(make_model(), steps=1, **settings)


@pytest.mark.parametrize("name", ["", "nll", "loss", "step", "a/b", " a", "a\n", "ü"])
def test_a_name_that_no_column_may_have(name: str) -> None:
    with pytest.raises(ValueError, match="name of a Monitor must be letters"):
        ap.Monitor(name, len, larger_is_better=True)


def test_a_monitor_says_which_way_is_better() -> None:
    with pytest.raises(TypeError, match="larger_is_better"):
        ap.Monitor("bleu", len)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="larger_is_better must be True or False, got 1"):
        ap.Monitor("bleu", len, larger_is_better=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="measure must be a callable, got 3"):
        ap.Monitor("bleu", 3, larger_is_better=True)  # type: ignore[arg-type]


# The order


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=12), st.booleans())
def test_the_best_are_in_order_and_equal_ones_by_their_steps(values: list[float], larger: bool) -> None:
    valid = {"step": np.arange(1, len(values) + 1), "x": np.array(values, np.float64)}
    found = best_first(valid, "x", larger)
    assert sorted(found) == [i + 1 for i, value in enumerate(values) if np.isfinite(value)]
    for one, two in pairwise(found):
        a, b = values[one - 1], values[two - 1]
        assert (a > b if larger else a < b) or (a == b and one < two)
    since = validations_since_best(valid, "x", larger)
    assert since == len(values) - (found[0] if found else 0)
