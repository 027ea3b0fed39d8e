"""The mean of models: against NumPy's in float64, of equal ones, and what cannot be averaged."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_training import DATA, make_model, one_thread, train

import admin_py as ap
from admin_py.data.vocabulary import Vocabulary
from admin_py.training.average import _Mean


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def drawn(seed: int, **more: Any) -> ap.Transformer:
    """A model with an omega of its own."""
    return make_model(seed=seed, **more)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_every_parameter_is_the_mean_in_float64_rounded_once(count: int, dtype: str) -> None:
    models = [drawn(seed, dtype=dtype) for seed in range(count)]
    mean = ap.average(models)
    for name, value in mean.parameters.items():
        exact = np.mean([np.asarray(one.parameters[name], np.float64) for one in models], axis=0)
        if dtype == "float32":
            np.testing.assert_array_equal(value, exact.astype(np.float32), err_msg=name)
        else:  # NumPy adds in another order
            np.testing.assert_allclose(value, exact, rtol=0, atol=4e-16 * count, err_msg=name)
    assert (mean.dtype, mean.seed, mean.config) == (dtype, 0, models[0].config)


def test_omega_is_averaged_too() -> None:
    one, two = drawn(1), drawn(2)
    one.set_omega({stack: np.full(len(values), 2.0) for stack, values in one.omega.items()})
    two.set_omega({stack: np.full(len(values), 3.0) for stack, values in two.omega.items()})
    for values in ap.average([one, two]).omega.values():
        np.testing.assert_array_equal(values, np.full(values.shape, 2.5))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 49])
def test_the_mean_of_equal_models_has_their_bits(count: int, dtype: str) -> None:
    model = drawn(4, dtype=dtype)
    model.parameters["embedding.weight"][0, :2] = -0.0, 1e-30
    mean = ap.average(model for _ in range(count))
    for name, value in model.parameters.items():
        assert mean.parameters[name].tobytes() == value.tobytes(), name


NUMBERS = st.floats(-1e150, 1e150, width=64)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=8))
def test_means_of_any_numbers_lie_between_them(rows: list[list[float]]) -> None:
    mean = _Mean({"x": np.array(rows[0])})
    for row in rows[1:]:
        mean.add({"x": np.array(row)})
    found = mean.value()["x"]
    lowest, highest = np.min(rows, axis=0), np.max(rows, axis=0)
    room = 4e-16 * len(rows) * np.abs(rows).max(axis=0)
    assert (found >= lowest - room).all()
    assert (found <= highest + room).all()
    np.testing.assert_allclose(found, np.mean(rows, axis=0), rtol=0, atol=2 * room.max() + 1e-300)


@settings(deadline=None, max_examples=200)
@given(NUMBERS, st.integers(1, 60), st.sampled_from([np.float32, np.float64]))
def test_the_mean_of_one_number_is_that_number(number: float, count: int, dtype: Any) -> None:
    with np.errstate(over="ignore"):
        value = np.array([number]).astype(dtype)
    if not np.isfinite(value).all():
        return
    mean = _Mean({"x": value})
    for _ in range(count - 1):
        mean.add({"x": value})
    assert mean.value()["x"].astype(dtype).tobytes() == value.tobytes()


def test_files_and_models_are_taken_together(tmp_path: Path) -> None:
    one, two = drawn(1), drawn(2)
    one.save(tmp_path / "one.safetensors")
    mixed = ap.average([str(tmp_path / "one.safetensors"), two])
    np.testing.assert_equal(dict(mixed.parameters), dict(ap.average([one, two]).parameters))
    alone = ap.average(tmp_path / "one.safetensors")
    np.testing.assert_equal(dict(alone.parameters), dict(one.parameters))


def test_no_model_is_changed_and_none_is_handed_on() -> None:
    one = drawn(1)
    before = one.state
    mean = ap.average([one])
    mean.parameters["embedding.weight"][...] = 7.0
    np.testing.assert_equal(dict(one.parameters), before)


def test_one_model_is_in_memory_at_a_time() -> None:
    alive: list[weakref.ref[Any]] = []

    def made() -> Iterator[ap.Transformer]:
        for seed in range(4):
            gc.collect()
            assert [one() for one in alive] == [None] * seed
            model = drawn(seed)
            alive.append(weakref.ref(model))
            yield model
            del model

    expected = ap.average([drawn(seed) for seed in range(4)])
    np.testing.assert_equal(dict(ap.average(made()).parameters), dict(expected.parameters))


def test_seed_step_and_vocabulary_of_the_mean() -> None:
    one, two = drawn(3), drawn(4)
    one.step, two.step = 5, 9
    assert ap.average([one, two]).vocabulary is None
    two.vocabulary = DATA.vocabulary
    mean = ap.average([one, two])
    assert (mean.seed, mean.step, mean.vocabulary) == (3, 9, DATA.vocabulary)


def test_models_of_another_kind_are_refused_by_what_differs(tmp_path: Path) -> None:
    one = drawn(1)
    path = tmp_path / "wide.safetensors"
    drawn(1, d_ff=32).save(path)
    with pytest.raises(ValueError, match=r"wide\.safetensors' is .* than number 0: its d_ff is 32, not 24"):
        ap.average([one, path])
    with pytest.raises(ValueError, match=r"models: number 1 is .* its dtype is float64, not float32"):
        ap.average([one, drawn(1, dtype="float64")])
    with pytest.raises(ValueError, match=r"number 1 is .* its encoder_layers is 2, not 1"):
        ap.average([one, make_model(encoder_layers=2)])
    with pytest.raises(ValueError, match=r"number 1 is .* its .*'post_ln'"):
        ap.average([one, make_model(scheme="post_ln")])
    known, other = drawn(1), drawn(1)
    known.vocabulary = DATA.vocabulary
    other.vocabulary = Vocabulary(DATA.kind, DATA.vocab_size, "0" * 64, "elsewhere")
    with pytest.raises(ValueError, match=r"number 2 is .* its vocabulary is .*elsewhere"):
        ap.average([one, known, other])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_their_file(tmp_path: Path, bad: float) -> None:
    one, two = drawn(1), drawn(2)
    two.parameters["encoder.0.self_attn.q.weight"][1, 2] = bad
    two.save(tmp_path / "b.safetensors")
    said = rf"b\.safetensors': the weight encoder\.0\.self_attn\.q\.weight must be finite, got {bad}"
    with pytest.raises(ValueError, match=said):
        ap.average([one, tmp_path / "b.safetensors"])
    with pytest.raises(ValueError, match="models: number 1: the weight encoder"):
        ap.average([one, two])


@pytest.mark.parametrize(
    ("models", "options", "said"),
    [
        ([], {}, "models must be one model at least, got none"),
        (3, {}, "models must be a model, a path or several of these, got 3"),
        (None, {}, "models must be a model, a path or several of these, got None"),
        ([3], {}, "models must be models or paths of their files, but number 0 is 3"),
        ("", {}, "models must be a path, got an empty one"),
        (".", {}, "is a folder: last=n or best=n"),
        (["."], {}, "is a folder: last=n or best=n"),
        (".", {"last": 3}, "last is 3, but models '.' has 0 files last-*"),
        (".", {"best": 1}, "best is 1, but models '.' has 0 files best-*"),
        (".", {"last": 1, "best": 1}, "give one of last and best"),
        (".", {"last": 0}, "last must be an integer from 1"),
        (".", {"last": 1.5}, "last must be an integer, got 1.5"),
        (".", {"last": True}, "last must be an integer, got True"),
        (["a"], {"last": 1}, "models must be the folder of kept weights with last=1, got ['a']"),
        (
            "no such folder",
            {"last": 1},
            "models must be the folder of kept weights with last=1, got 'no such",
        ),
    ],
)
def test_what_cannot_be_averaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Any, options: Any, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=re.escape(said)):
        ap.average(models, **options)


def test_what_a_generator_raises_goes_through() -> None:
    def failing() -> Iterator[ap.Transformer]:
        yield drawn(1)
        raise FileNotFoundError("the third")

    with pytest.raises(FileNotFoundError, match="the third"):
        ap.average(failing())


def test_a_checkpoint_is_no_model_s_file(tmp_path: Path) -> None:
    train(make_model(), steps=2, checkpoint=tmp_path / "run.ckpt")
    with pytest.raises(ValueError, match=r"run\.ckpt' is a checkpoint of a training, not a model"):
        ap.average([tmp_path / "run.ckpt"])


# Folders of a training


def test_the_last_and_the_best_of_a_folder(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    history = train(
        make_model(),
        ap.Adam(0.01),
        steps=14,
        valid_every=2,
        keep=kept,
        keep_last=3,
        keep_every=2,
        keep_best=2,
    )
    order = np.argsort(history.valid["nll"], kind="stable")
    best = [int(history.valid["step"][i]) for i in order[:2]]
    for options, names in (
        ({"last": 3}, ["last-00000010", "last-00000012", "last-00000014"]),
        ({"last": 1}, ["last-00000014"]),
        ({"best": 1}, [f"best-{best[0]:08d}"]),
        ({"best": 2}, [f"best-{step:08d}" for step in best]),
    ):
        expected = ap.average([kept / f"{name}.safetensors" for name in names])
        found = ap.average(kept, **options)
        for name, value in expected.parameters.items():
            assert found.parameters[name].tobytes() == value.tobytes()


def test_larger_may_be_better(tmp_path: Path) -> None:
    values = iter([1.0, 3.0, 2.0, 3.0])
    monitor = ap.Monitor("bleu", lambda model: next(values), larger_is_better=True)
    train(make_model(), steps=4, valid_every=1, keep=tmp_path, keep_best=3, monitor=monitor)
    first = ap.average(tmp_path, best=1)
    expected = ap.Transformer.load(tmp_path / "best-00000002.safetensors")
    np.testing.assert_equal(dict(first.parameters), dict(expected.parameters))


def test_the_best_by_different_measures_are_not_compared(tmp_path: Path) -> None:
    path, kept = tmp_path / "run.ckpt", tmp_path / "run.ckpt.kept"
    settings: dict[str, Any] = {"valid_every": 1, "checkpoint": path, "keep_best": 9}
    train(make_model(), steps=2, **settings)
    train(make_model(), steps=4, monitor="loss", **settings)
    with pytest.raises(ValueError, match=r"the best of '.*kept' are by loss and by nll"):
        ap.average(kept, best=3)


def test_a_file_of_other_origin_among_the_best_is_refused(tmp_path: Path) -> None:
    make_model().save(tmp_path / "best-00000002.safetensors")
    with pytest.raises(ValueError, match=r"best-00000002\.safetensors' does not say of which training it is"):
        ap.average(tmp_path, best=1)
