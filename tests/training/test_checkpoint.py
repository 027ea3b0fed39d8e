"""Checkpoints: whole at any moment, the same bits on resume, one clear error for anything else."""

from __future__ import annotations

import errno
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
    assert_same_state,
    make_model,
    make_optimizer,
    one_thread,
    train,
)

import admin_py as ap
from admin_py.base.tensors import CHECKPOINT, read
from admin_py.training.checkpoint import TrainingState, load, load_model, prepare, save

SCRIPT = Path(__file__).parents[1] / "helpers" / "small_training.py"


def state(**change: Any) -> TrainingState:
    fields: dict[str, Any] = {
        "setup": {"seed": 1, "betas": [0.9, 0.98]},
        "weights": {"encoder.0.x": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32([1e-45, 3])},
        "optimizer": {"step": 7, "m": np.float32([1, 2, 3]), "v": None},
        "history": {
            "loss": np.array([1.5, np.nan]),
            "valid": {"step": np.array([2])},
            "tokens": np.array([3, 4]),
        },
        "position": {"epoch": 2, "batch": 5},
        "progress": {"step": 2, "tail": True, "diverged_at": 2, "diverged_because": "the loss is nan"},
    }
    return TrainingState(**{**fields, **change})


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


# Files


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    save(tmp_path / "a", state())
    assert_same_state(load(tmp_path / "a"), state())
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_file_is_plain_safetensors(tmp_path: Path, dtype: str) -> None:
    weights = {"w": np.linspace(0, 1, 5).astype(dtype), "empty": np.zeros((0, 3), dtype)}
    save(tmp_path / "a", state(weights=weights))
    tensors = load_file(tmp_path / "a")
    np.testing.assert_array_equal(tensors["weights/w"], weights["w"])
    assert tensors["weights/w"].dtype == dtype
    assert tensors["weights/empty"].shape == (0, 3)
    np.testing.assert_array_equal(tensors["history/valid/step"], [2])


def test_a_file_cut_off_anywhere_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    save(path, state())
    whole = path.read_bytes()
    for keep in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:keep])
        with pytest.raises(ValueError, match=r"run\.ckpt"):
            load(path)


def test_other_files_are_errors_that_name_them(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    path.write_text("step,loss\n1,2\n" * 100)
    with pytest.raises(ValueError, match=r"run\.ckpt.*not a safetensors file"):
        load(path)
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"run\.ckpt.*not a checkpoint of a training of admin-py"):
        load(path)
    make_model().save(path)
    with pytest.raises(ValueError, match=r"run\.ckpt' is a model, not a checkpoint.*admin_py\.load opens it"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"setup": 3}'])
def test_a_damaged_header_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    header = {"format": CHECKPOINT.name, "version": CHECKPOINT.version, "training": text}
    save_file({"weights/w": np.zeros(2)}, tmp_path / "run.ckpt", metadata=header)
    with pytest.raises(ValueError, match=r"run\.ckpt.*damaged"):
        load(tmp_path / "run.ckpt")
    save_file({"weights/w": np.zeros(2)}, tmp_path / "run.ckpt", metadata={**header, "version": "99"})
    with pytest.raises(ValueError, match=r"run\.ckpt.*version '99'"):
        load(tmp_path / "run.ckpt")


def test_the_model_of_a_checkpoint_is_the_one_that_was_trained(tmp_path: Path) -> None:
    model = make_model(dtype="float64", seed=11)
    train(model, steps=3, checkpoint=tmp_path / "run.ckpt")
    again = load_model(tmp_path / "run.ckpt")
    assert (again.config, again.seed, again.dtype) == (model.config, 11, "float64")
    np.testing.assert_equal(dict(again.parameters), dict(model.parameters))
    with pytest.raises(
        ValueError, match=r"is a checkpoint of a training, not a model; admin_py\.load opens it"
    ):
        ap.Transformer.load(tmp_path / "run.ckpt")


@pytest.mark.parametrize(
    "setup", [{}, {"model": {}}, {"model": {"config": {}, "seed": 1, "dtype": "float32"}}]
)
def test_a_checkpoint_that_does_not_say_of_which_model_it_is(tmp_path: Path, setup: dict[str, Any]) -> None:
    save(tmp_path / "run.ckpt", state(setup=setup))
    with pytest.raises(ValueError, match=r"run\.ckpt' is a checkpoint that does not say of which model"):
        load_model(tmp_path / "run.ckpt")


def test_a_checkpoint_of_other_weights_than_its_model_has(tmp_path: Path) -> None:
    model = make_model()
    setup = {"model": {"config": model.config.to_dict(), "seed": 1, "dtype": "float32"}}
    save(tmp_path / "run.ckpt", state(setup=setup))
    with pytest.raises(ValueError, match=r"run\.ckpt' is a damaged checkpoint: state must hold"):
        load_model(tmp_path / "run.ckpt")


def test_checkpoints_of_the_libraries_writer_are_read(tmp_path: Path) -> None:
    """As files of other versions, whose tensors may stand in another order."""
    save(tmp_path / "a", state())
    header, arrays = read(tmp_path / "a", CHECKPOINT)
    save_file(arrays, tmp_path / "b", metadata=header)
    assert_same_files(tmp_path / "a", tmp_path / "b")


def test_what_killed_writers_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / ".run[1].ckpt.0123abcd.part").write_text("half")
    (tmp_path / ".other.ckpt.0123abcd.part").write_text("not ours")
    prepare(tmp_path / "run[1].ckpt")
    assert os.listdir(tmp_path) == [".other.ckpt.0123abcd.part"]


# Disks that fail


def test_a_failing_flush_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.ckpt"
    save(path, state())
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot be written \(No space left.*run\.ckpt") as caught:
        save(path, state(position={"epoch": 3, "batch": 0}))
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.ckpt"]


LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from small_training import make_model, train
model = make_model()
train(model, steps=2, checkpoint=sys.argv[2])
before = open(sys.argv[2], "rb").read()
resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, resource.RLIM_INFINITY))
try:
    train(model, steps=4, checkpoint=sys.argv[2])
except OSError as error:
    print(error)
assert open(sys.argv[2], "rb").read() == before
"""


def test_no_room_for_a_new_checkpoint_leaves_the_old_one(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow, in the middle of a write."""
    path = tmp_path / "run.ckpt"
    command = [sys.executable, "-c", LIMITED, str(SCRIPT.parent), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the checkpoint cannot be written (File too large), an older one is as before" in done.stdout
    assert os.listdir(tmp_path) == ["run.ckpt"]
    assert load(path).progress["step"] == 2


def test_a_folder_in_the_file_s_place_is_an_error_before_the_first_step(tmp_path: Path) -> None:
    model = make_model()
    with pytest.raises(IsADirectoryError, match="must be a file"):
        train(model, steps=1, checkpoint=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        train(model, steps=1, checkpoint=tmp_path / "file" / "run.ckpt")


# Resuming


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
    train(make_model(seed=6), steps=2, checkpoint=path)
    history = train(make_model(), steps=14, checkpoint=path, resume=False)
    assert_same_history(history, whole[1])
    assert_same_files(path, whole[0])


DIFFERENT = {
    "model.seed is 5, not 6": {"model": {"seed": 6}},
    "model.dtype is 'float32', not 'float64'": {"model": {"dtype": "float64"}},
    "model.config.d_ff is 24, not 32": {"model": {"d_ff": 32}},
    "max_tokens is 90, not 91": {"max_tokens": 91},
    "accumulate is 2, not 1": {"accumulate": 1},
    "clip_norm is 1.0, not None": {"clip_norm": None},
    "label_smoothing is 0.1, not 0.0": {"label_smoothing": 0.0},
    "observe is 3, not 4": {"observe_every": 4},
    "schedule.warmup is 4, not 5": {"schedule": ap.schedules.inverse_sqrt(0.01, 5)},
    "optimizer.kind is 'radam', not 'adam'": {"optimizer": ap.Adam(0.01, betas=(0.9, 0.98))},
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
    with pytest.raises(ValueError, match=r"run\.ckpt.*another training: its data\.fingerprint is"):
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


# Real kills


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
