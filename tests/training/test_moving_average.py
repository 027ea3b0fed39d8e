"""The moving average of the weights: its formula, its place in checkpoints, and what looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from small_training import DATA, assert_same_files, assert_same_history, make_model, one_thread, train

import admin_py as ap
from admin_py.training.moving_average import BLOCK, MovingAverage


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def weighted(steps: list[np.ndarray], decay: float) -> np.ndarray:
    """sum of decay^(t-i) w_i over sum of decay^(t-i), as it is written."""
    shares = np.array([decay ** (len(steps) - 1 - i) for i in range(len(steps))])
    return np.tensordot(shares / shares.sum(), np.array(steps, np.float64), axes=1)


def noting(seen: list[np.ndarray]) -> Any:
    return lambda step, model, history: seen.append(model._core.weights.copy())


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=1, max_size=20),
    st.sampled_from([0.0, 0.5, 0.9, 0.999, 0.99999]),
)
def test_the_formula(rows: list[list[float]], decay: float) -> None:
    average = MovingAverage(decay)
    for row in rows:
        average.add(np.array(row))
    room = 1e-14 * len(rows) * np.abs(rows).max() + 1e-300
    np.testing.assert_allclose(
        average.mean, weighted([np.array(row) for row in rows], decay), rtol=0, atol=room
    )


def test_blocks_change_no_bit() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3, 2 * BLOCK + 7)).astype(np.float32)
    whole, parts = MovingAverage(0.9), [MovingAverage(0.9) for _ in range(rows.shape[1] // 1000 + 1)]
    for row in rows:
        whole.add(row)
        for i, part in enumerate(parts):
            part.add(row[1000 * i : 1000 * (i + 1)])
    assert whole.mean is not None
    assert whole.mean.tobytes() == np.concatenate([part.mean for part in parts]).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_model_of_the_history_has_the_average_of_every_step(dtype: str) -> None:
    model, seen = make_model(dtype=dtype), []
    history = train(model, ap.Adam(0.01), steps=7, ema=0.9, callbacks=[noting(seen)])
    assert history.ema is not None
    assert (history.ema.dtype, history.ema.vocabulary) == (dtype, DATA.vocabulary)
    exact = weighted(seen, 0.9)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(history.ema._core.weights, exact, rtol=eps, atol=1e-15)
    np.testing.assert_array_equal(model._core.weights, seen[-1])


def test_the_training_itself_is_as_without() -> None:
    one, two = make_model(), make_model()
    plain, averaged = train(one, steps=8, valid_every=None), train(two, steps=8, ema=0.99, valid_every=None)
    assert_same_history(plain, averaged)
    np.testing.assert_equal(one.state, two.state)
    assert plain.ema is None
    assert "ema" not in plain.metadata["training"]
    assert averaged.metadata["training"]["ema"] == 0.99
    assert "validated" not in averaged.metadata


def test_validations_look_at_the_average() -> None:
    history = train(make_model(), ap.Adam(0.01), steps=8, valid_every=4, ema=0.9)
    half = train(make_model(), ap.Adam(0.01), steps=4, valid_every=4, ema=0.9)
    batches = list(DATA.batches(max_tokens=90, split="valid", shuffle=False))
    for found, model in ((history, history.ema), (half, half.ema)):
        assert model is not None
        losses = [model.loss(batch, label_smoothing=0.1) for batch in batches]
        tokens = [one.num_tokens for one in losses]
        nll = np.average([one.nll for one in losses], weights=tokens)
        assert found.valid["nll"][-1] == pytest.approx(nll, rel=1e-12)
    assert history.valid["nll"][0] == half.valid["nll"][0]
    assert history.metadata["validated"] == "average"


def test_a_monitor_measures_the_average_and_the_best_weights_are_its() -> None:
    seen: list[np.ndarray] = []

    def measure(model: ap.Transformer) -> float:
        seen.append(model._core.weights.copy())
        return [1.0, 3.0, 2.0][len(seen) - 1]

    model = make_model()
    monitor = ap.Monitor("x", measure, larger_is_better=True)
    train(model, ap.Adam(0.01), steps=3, valid_every=1, ema=0.5, monitor=monitor, restore_best=True)
    np.testing.assert_array_equal(model._core.weights, seen[1])


def test_kept_weights_are_the_average(tmp_path: Path) -> None:
    history = train(make_model(), ap.Adam(0.01), steps=6, ema=0.9, keep=tmp_path, keep_last=1, keep_every=3)
    assert history.ema is not None
    found = ap.Transformer.load(tmp_path / "last-00000006.safetensors")
    np.testing.assert_equal(found.state, history.ema.state)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stop", [1, 4, 9])
def test_the_average_goes_on_with_the_checkpoint(tmp_path: Path, stop: int, dtype: str) -> None:
    def interrupt(step: int, *_: Any) -> None:
        if step == stop:
            raise KeyboardInterrupt

    whole = train(make_model(dtype=dtype), steps=10, checkpoint=tmp_path / "whole", ema=0.97)
    path = tmp_path / "run.ckpt"
    first = train(make_model(dtype=dtype), steps=10, checkpoint=path, ema=0.97, callbacks=[interrupt])
    assert first.ema is not None
    history = train(make_model(dtype=dtype), steps=10, checkpoint=path, ema=0.97)
    assert_same_history(history, whole)
    assert_same_files(path, tmp_path / "whole")
    assert whole.ema is not None
    assert history.ema is not None
    np.testing.assert_equal(history.ema.state, whole.ema.state)
    tensor = load_file(path)["average"]
    assert tensor.dtype == np.float64
    np.testing.assert_array_equal(tensor.astype(dtype), whole.ema._core.weights)


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_averages_the_same_bits(threads: int) -> None:
    one = train(make_model(), steps=6, ema=0.9)
    ap.set_num_threads(threads, oversubscribe=True)
    several = train(make_model(), steps=6, ema=0.9)
    ap.set_num_threads(1)
    assert_same_history(one, several)
    assert one.ema is not None
    assert several.ema is not None
    assert one.ema._core.weights.tobytes() == several.ema._core.weights.tobytes()


def test_another_decay_is_another_training(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    train(make_model(), steps=2, checkpoint=path, ema=0.9)
    for decay, told in ((0.99, "0.99"), (None, "None")):
        with pytest.raises(ValueError, match=rf"another training: its ema is 0\.9, not {told}"):
            train(make_model(), steps=4, checkpoint=path, ema=decay)


def test_a_training_that_diverges_has_the_average_of_its_finite_steps(tmp_path: Path) -> None:
    seen: list[np.ndarray] = []
    options: dict[str, Any] = {"schedule": None, "clip_norm": None, "steps": 50, "checkpoint": tmp_path / "a"}
    history = train(make_model(), ap.SGD(1e25), ema=0.5, callbacks=[noting(seen)], **options)
    assert history.diverged_at is not None
    assert history.ema is not None
    assert np.isfinite(history.ema._core.weights).all()
    again = train(make_model(), ap.SGD(1e25), ema=0.5, **options)
    assert again.ema is not None
    np.testing.assert_equal(again.ema.state, history.ema.state)
    model = make_model()
    first = train(model, ap.SGD(1.0), schedule=lambda step: 1e300, clip_norm=None, steps=5, ema=0.9)
    assert first.diverged_at == 1
    assert first.ema is not None
    np.testing.assert_equal(first.ema.state, model.state)


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5, np.nan, np.inf])
def test_a_decay_is_from_0_to_below_1(decay: float) -> None:
    with pytest.raises(ValueError, match="ema must be"):
        train(make_model(), steps=1, ema=decay)


@pytest.mark.parametrize("decay", ["0.9", True, [0.9]])
def test_a_decay_is_a_number(decay: Any) -> None:
    with pytest.raises(TypeError, match="ema must be a number"):
        train(make_model(), steps=1, ema=decay)


def test_files_and_copies_of_a_history_are_without(tmp_path: Path) -> None:
    import copy

    history = train(make_model(), steps=2, ema=0.9)
    history.save(tmp_path / "history.json")
    assert ap.History.load(tmp_path / "history.json") == history
    assert ap.History.load(tmp_path / "history.json").ema is None
    assert copy.copy(history).ema is None


def test_a_trained_model_of_the_average(tmp_path: Path) -> None:
    history = train(make_model(), steps=2, ema=0.9)
    assert history.ema is not None
    ap.TrainedModel(history.ema, DATA.tokenizer, history=history).save(tmp_path / "run")
    np.testing.assert_equal(ap.load(tmp_path / "run").model.state, history.ema.state)
