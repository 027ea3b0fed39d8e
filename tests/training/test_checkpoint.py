"""Checkpoint files: whole at any moment, plain to other readers, one clear error for anything else."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_training import (
    assert_same_files,
    assert_same_state,
    make_model,
    one_thread,
    train,
)

import admin_py as ap
from admin_py.base import locks
from admin_py.base.tensors import CHECKPOINT, read
from admin_py.training.checkpoint import TrainingState, held, load, load_model, save

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
    with held(tmp_path / "run[1].ckpt"):
        pass
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


def test_where_the_new_checkpoint_is_in_place_nothing_else_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.ckpt"
    save(path, state())
    flush = os.fsync

    def broken(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match=r"the new file is in place.*run\.ckpt") as caught:
        save(path, state(position={"epoch": 3, "batch": 0}))
    assert "an older one" not in str(caught.value)
    assert load(path).position == {"epoch": 3, "batch": 0}


# Two trainings


HELD = """
import sys
sys.path.insert(0, sys.argv[1])
from small_training import make_model, train

def wait(step, model, history):
    print("step", flush=True)
    sys.stdin.read()

train(make_model(), steps=3, checkpoint=sys.argv[2], checkpoint_every=1, callbacks=[wait])
"""


@contextmanager
def training(path: Path) -> Iterator[subprocess.Popen[str]]:
    """One that waits after its first step."""
    command = [sys.executable, "-c", HELD, str(SCRIPT.parent), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "step\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_training_is_told_who_has_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    path = tmp_path / "run.ckpt"
    (tmp_path / "link").symlink_to("run.ckpt")
    with training(path) as process:
        said = f"checkpoint: '.*run.ckpt' is being written by process {process.pid};"
        for one in (path, tmp_path / "link"):
            with pytest.raises(RuntimeError, match=said):
                train(make_model(), steps=3, checkpoint=one)
        process.communicate()
        assert process.returncode == 0
    assert train(make_model(), steps=3, checkpoint=path).num_steps == 3
    assert sorted(os.listdir(tmp_path)) == ["link", "run.ckpt"]


def test_a_checkpoint_is_free_when_its_training_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    with training(path) as process:
        process.kill()
        process.wait()
        assert train(make_model(), steps=3, checkpoint=path).num_steps == 3
    train(make_model(), steps=3, checkpoint=tmp_path / "whole.ckpt")
    assert_same_files(path, tmp_path / "whole.ckpt")
    assert sorted(os.listdir(tmp_path)) == ["run.ckpt", "whole.ckpt"]
