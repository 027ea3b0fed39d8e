"""Resuming: a training that was stopped or killed at any moment ends with the bits of one that was not."""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_training import (
    DATA,
    assert_same_files,
    assert_same_history,
    make_model,
    make_optimizer,
    one_thread,
    train,
)

import admin_py as ap
from admin_py.training.checkpoint import load

SCRIPT = Path(__file__).parents[1] / "helpers" / "small_training.py"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ap.History]:
    """A training of 14 steps that never stopped: its last checkpoint and its history."""
    path = tmp_path_factory.mktemp("whole") / "run.ckpt"
    return path, train(make_model(), steps=14, checkpoint=path, checkpoint_every=1)


def test_the_case_is_not_a_simple_one(whole: tuple[Path, ap.History]) -> None:
    """Several epochs, odd positions, moving weights, validations and observations."""
    saved = load(whole[0])
    assert saved.position["epoch"] >= 2
    assert saved.position["batch"] > 0
    assert DATA.num_batches(max_tokens=90, seed=5) % 2 == 1
    assert whole[1].update_norm[-1] > 0
    assert whole[1].valid["step"].tolist() == [4, 8, 12, 14]
    assert whole[1].observations["step"].tolist() == [1, 3, 6, 9, 12]


@pytest.mark.parametrize("stop", range(1, 14))
def test_a_training_in_two_parts_has_the_bits_of_one(
    tmp_path: Path, whole: tuple[Path, ap.History], stop: int
) -> None:
    def interrupt(step: int, model: Any, history: Any) -> None:
        if step == stop:
            raise KeyboardInterrupt

    path = tmp_path / "run.ckpt"
    first = train(make_model(), steps=14, checkpoint=path, callbacks=[interrupt])
    assert (first.num_steps, first.interrupted) == (stop, True)
    # what the second process starts with does not matter
    model, optimizer = make_model(), make_optimizer()
    for weights in model.parameters.values():
        weights[...] = 9.0
    history = train(model, optimizer, steps=14, checkpoint=path)
    assert_same_files(path, whole[0])
    assert_same_history(history, whole[1])
    assert optimizer.state["step"] == 14


@pytest.mark.parametrize("stop", [2, 5, 9])
@pytest.mark.parametrize("observe", ["log", [2, 3, 9]], ids=str)
def test_observations_on_any_schedule_go_on_too(tmp_path: Path, observe: Any, stop: int) -> None:
    def interrupt(step: int, model: Any, history: Any) -> None:
        if step == stop:
            raise KeyboardInterrupt

    settings = {"steps": 10, "observe_every": 0, "observe": observe}
    whole = train(make_model(), ap.Adam(0.01), **settings)
    path = tmp_path / "run.ckpt"
    train(make_model(), ap.Adam(0.01), checkpoint=path, callbacks=[interrupt], **settings)
    history = train(make_model(), ap.Adam(0.01), checkpoint=path, **settings)
    assert_same_history(history, whole)
    assert history.observations["matrices"]["names"] == whole.observations["matrices"]["names"]
    assert (history.observations["matrices"]["update_norm"] > 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: ap.SGD(0.1),
        lambda: ap.SGD(0.1, momentum=0.9, nesterov=True),
        lambda: ap.Adam(0.01),
        lambda: ap.AdamW(0.01),
        lambda: ap.RAdam(0.01, betas=(0.9, 0.9)),
        lambda: ap.NovoGrad(0.01),
    ],
)
def test_every_optimizer_goes_on_as_it_was(tmp_path: Path, make: Any, dtype: str) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    one = train(make_model(dtype=dtype), make(), steps=9, checkpoint=paths[0], schedule=None)

    def fail(step: int, model: Any, history: Any) -> None:
        if step == 6:
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        train(
            make_model(dtype=dtype),
            make(),
            steps=9,
            checkpoint=paths[1],
            checkpoint_every=5,
            schedule=None,
            callbacks=[fail],
        )
    assert load(paths[1]).progress["step"] == 5
    two = train(make_model(dtype=dtype), make(), steps=9, checkpoint=paths[1], schedule=None)
    assert_same_files(*paths)
    assert_same_history(one, two)


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_trains_the_same_bits(whole: tuple[Path, ap.History], threads: int) -> None:
    ap.set_num_threads(threads, oversubscribe=True)
    several = train(make_model(), steps=14)
    ap.set_num_threads(1)
    assert_same_history(several, train(make_model(), steps=14))
    assert_same_history(several, whole[1])


def test_a_finished_training_is_not_trained_again(tmp_path: Path, whole: tuple[Path, ap.History]) -> None:
    path = tmp_path / "run.ckpt"
    shutil.copy(whole[0], path)
    before = path.read_bytes()
    called: list[int] = []
    model = make_model()
    history = train(model, steps=14, checkpoint=path, callbacks=[lambda step, *_: called.append(step)])
    assert_same_history(history, whole[1])
    np.testing.assert_array_equal(history.seconds, whole[1].seconds)
    assert called == []
    assert path.read_bytes() == before
    np.testing.assert_equal(dict(model.parameters), dict(load(path).weights))


def test_more_steps_can_be_made_later(tmp_path: Path, whole: tuple[Path, ap.History]) -> None:
    path = tmp_path / "run.ckpt"
    train(make_model(), steps=8, checkpoint=path)
    history = train(make_model(), steps=14, checkpoint=path)
    assert_same_history(history, whole[1])  # step 8 is validated in any case
    with pytest.raises(ValueError, match=r"steps must be at least 14, .*run\.ckpt.*got 13"):
        train(make_model(), steps=13, checkpoint=path)


def test_without_resume_the_training_begins_anew(tmp_path: Path, whole: tuple[Path, ap.History]) -> None:
    path = tmp_path / "run.ckpt"
    train(make_model(seed=6), steps=6, checkpoint=path)
    history = train(make_model(), steps=14, checkpoint=path, resume=False)
    assert_same_history(history, whole[1])
    assert_same_files(path, whole[0])


DIFFERENT = {
    "seed of the model is 5, not 6": {"model": {"seed": 6}},
    "dtype of the model is 'float32', not 'float64'": {"model": {"dtype": "float64"}},
    "d_ff of the model is 24, not 32": {"model": {"d_ff": 32}},
    "max_tokens is 90, not 91": {"max_tokens": 91},
    "accumulate is 2, not 1": {"accumulate": 1},
    "clip_norm is 1.0, not None": {"clip_norm": None},
    "label_smoothing is 0.1, not 0.0": {"label_smoothing": 0.0},
    "z_loss is None, not 0.5": {"z_loss": 0.5},
    "observe is 3, not 4": {"observe_every": 4},
    "its warmup is 4, not 5": {"schedule": ap.schedules.inverse_sqrt(0.01, 5)},
    "its schedule is inverse_sqrt(lr=0.01, warmup=4, initial=0.0), not None": {"schedule": None},
    "optimizer is 'radam', not 'adam'": {"optimizer": ap.Adam(0.01, betas=(0.9, 0.98))},
}


@pytest.mark.parametrize("message", DIFFERENT)
def test_a_checkpoint_of_another_training_is_refused_and_changes_nothing(
    tmp_path: Path, whole: tuple[Path, ap.History], message: str
) -> None:
    path = tmp_path / "run.ckpt"
    shutil.copy(whole[0], path)
    different = dict(DIFFERENT[message])
    model = make_model(**different.pop("model", {}))
    optimizer = different.pop("optimizer", None) or make_optimizer()
    before, file_before = model.state, path.read_bytes()
    with pytest.raises(ValueError, match=r"run\.ckpt' is a checkpoint of another training") as caught:
        train(model, optimizer, steps=14, checkpoint=path, **different)
    assert message in str(caught.value)
    np.testing.assert_equal(before, model.state)
    assert optimizer.state["step"] == 0
    assert path.read_bytes() == file_before


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path, whole: tuple[Path, ap.History]) -> None:
    path = tmp_path / "run.ckpt"
    shutil.copy(whole[0], path)
    other = ap.data.copy_task(symbols=8, train=60, valid=12, seed=4)
    settings = {"schedule": ap.schedules.inverse_sqrt(0.01, 4), "max_tokens": 90, "accumulate": 2}
    with pytest.raises(ValueError, match=r"run\.ckpt.*another training: its fingerprint of the data is"):
        ap.train(
            make_model(),
            other,
            optimizer=make_optimizer(),
            steps=14,
            checkpoint=path,
            clip_norm=1.0,
            observe=3,
            **settings,
        )


@pytest.mark.parametrize("part", ["weights", "optimizer/m", "history/loss", "history/valid/nll"])
def test_a_checkpoint_with_a_part_of_a_wrong_size_is_refused(
    tmp_path: Path, whole: tuple[Path, ap.History], part: str
) -> None:
    from safetensors import safe_open

    with safe_open(whole[0], framework="numpy") as file:
        header, tensors = file.metadata(), load_file(whole[0])
    name = next(name for name in tensors if name.startswith(part))
    tensors[name] = tensors[name].reshape(-1)[:-1].copy()
    save_file(tensors, tmp_path / "run.ckpt", metadata=header)
    model = make_model()
    before = model.state
    with pytest.raises(ValueError, match=r"run\.ckpt.*damaged"):
        train(model, steps=14, checkpoint=tmp_path / "run.ckpt")
    np.testing.assert_equal(before, model.state)


def test_weights_that_overflowed_do_not_make_the_checkpoint_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    settings = {"schedule": None, "steps": 9, "checkpoint": path}
    first = train(make_model(), ap.SGD(1e30), **settings)
    assert first.diverged_at is not None
    again = train(make_model(), ap.SGD(1e30), **settings)
    assert again == first


def kill_at_random(path: Path, steps: int, draw: random.Random) -> bool:
    """Runs the training of `SCRIPT` and kills it after a random number of steps and a little more.

    Returns whether it was killed before its end.
    """
    command = [sys.executable, str(SCRIPT), str(path), str(steps), draw.choice("112")]  # threads
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(draw.randrange(8)):
            line = process.stdout.readline()
            if line.startswith(b"end"):
                break
        # A step with its checkpoint takes some milliseconds: the kill comes at any moment of it.
        select.select([process.stderr], [], [], draw.uniform(0.0, 0.01))
        process.kill()
        process.wait()
        error = process.stderr.read()
        assert process.returncode == -9 or process.returncode == 0, error.decode()
        return process.returncode == -9


def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)
    steps, kills, found = 40, 0, []
    path, reference = tmp_path / "run.ckpt", tmp_path / "reference.ckpt"
    for _ in range(6):
        kills += kill_at_random(path, steps, draw)
        found.append(load(path).progress["step"] if path.exists() else 0)
    print("steps at the kills", found)
    assert kills >= 4
    assert found == sorted(found)  # nothing is lost once it was in a checkpoint
    command = [sys.executable, str(SCRIPT), str(path), str(steps), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith(f"end {steps} False\n")
    history = train(make_model(), steps=steps, checkpoint=reference)
    assert_same_files(path, reference)
    assert history.num_steps == steps
    assert sorted(os.listdir(tmp_path)) == ["reference.ckpt", "run.ckpt"]


def test_the_state_of_a_checkpoint_says_what_made_it(whole: tuple[Path, ap.History]) -> None:
    setup = load(whole[0]).setup
    assert json.loads(json.dumps(setup)) == setup
    assert setup["model"]["seed"] == 5
    assert setup["data"]["fingerprint"] == DATA.fingerprint
    assert setup["optimizer"]["kind"] == "radam"
