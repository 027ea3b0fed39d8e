"""Weights that a training keeps: which, when old ones go, and that a kill at any moment changes no bit."""

from __future__ import annotations

import errno
import os
import random
import select
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import DATA, KEPT, assert_same_files, make_model, one_thread, train

import admin_py as ap
from admin_py.training import kept
from admin_py.training.checkpoint import load
from admin_py.training.feed import Feed

SCRIPT = Path(__file__).parents[1] / "helpers" / "small_training.py"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names(folder)}


def last(*steps: int) -> list[str]:
    return [f"last-{step:08d}.safetensors" for step in steps]


def epoch_ends(steps: int) -> list[int]:
    """Steps of two batches that take the last batch of an epoch, counted batch by batch."""
    found, epoch, batch = [], 0, 0
    lengths = [DATA.num_batches(max_tokens=90, seed=5 + epoch) for epoch in range(steps)]
    for step in range(1, steps + 1):
        for _ in range(2):
            batch += 1
            if batch == lengths[epoch]:
                epoch, batch = epoch + 1, 0
                found.append(step)
    return sorted(set(found))


# Which


def test_the_weights_of_the_last_epochs_are_kept_beside_the_checkpoint(tmp_path: Path) -> None:
    ends = epoch_ends(20)
    assert len(ends) > 3
    seen: dict[int, dict[str, Any]] = {}

    def note(step: int, model: ap.Transformer, history: Any) -> None:
        seen[step] = model.state

    train(make_model(), steps=20, checkpoint=tmp_path / "run.ckpt", keep_last=3, callbacks=[note])
    folder = tmp_path / "run.ckpt.kept"
    assert names(tmp_path) == ["run.ckpt", "run.ckpt.kept"]
    assert names(folder) == last(*ends[-3:])
    for step in ends[-3:]:
        model = ap.Transformer.load(folder / last(step)[0])
        np.testing.assert_equal(dict(model.parameters), seen[step])
        assert (model.step, model.vocabulary, model.seed) == (2 * step, DATA.vocabulary, 5)
        assert kept.told_by(folder / last(step)[0]).epoch == ends.index(step) + 1


@pytest.mark.parametrize("accumulate", [1, 2, 5, 40])
def test_an_epoch_ends_in_the_step_that_takes_its_last_batch(accumulate: int) -> None:
    feed = Feed(DATA, max_tokens=90, seed=5)
    batches, ends = 0, []
    lengths = np.cumsum([DATA.num_batches(max_tokens=90, seed=5 + epoch) for epoch in range(60)])
    for step in range(1, 13):
        before = int(np.searchsorted(lengths, batches, side="right"))
        for _ in range(accumulate):
            next(feed)
        batches += accumulate
        done = int(np.searchsorted(lengths, batches, side="right"))
        assert feed.epochs_done == done
        assert feed.ends_epoch(accumulate) == (done > before)
        again = Feed(DATA, max_tokens=90, seed=5, epoch=feed.epoch, batch=feed.batch)
        assert again.ends_epoch(accumulate) == (done > before)
        ends += [step] * (done > before)
    assert ends


def test_the_weights_of_the_last_steps(tmp_path: Path) -> None:
    train(make_model(), steps=9, keep=tmp_path / "kept", keep_last=3, keep_every=2)
    assert names(tmp_path / "kept") == last(4, 6, 8)


def test_the_weights_of_the_best_validations(tmp_path: Path) -> None:
    values = {2: 3.0, 4: 1.0, 6: np.nan, 8: 1.0, 10: 2.0, 12: 0.5, 14: np.inf}
    seen: list[int] = []
    steps = iter(values)
    monitor = ap.Monitor("x", lambda model: values[next(steps)], larger_is_better=False)

    def note(step: int, *_: Any) -> None:
        seen.append(step)

    train(
        make_model(), steps=14, valid_every=2, keep=tmp_path, keep_best=2, monitor=monitor, callbacks=[note]
    )
    assert names(tmp_path) == ["best-00000004.safetensors", "best-00000012.safetensors"]
    told = kept.told_by(tmp_path / "best-00000012.safetensors")
    assert (told.monitor, told.value, told.larger_is_better, told.step) == ("x", 0.5, False, 12)


def test_the_numbers_of_a_training_do_not_change_by_what_is_kept(tmp_path: Path) -> None:
    plain, keeping = make_model(), make_model()
    train(plain, steps=8, checkpoint=tmp_path / "plain")
    train(keeping, steps=8, checkpoint=tmp_path / "kept", keep_last=2, keep_best=1)
    np.testing.assert_equal(dict(plain.parameters), dict(keeping.parameters))
    assert_same_files(tmp_path / "plain", tmp_path / "kept")


# Going on


def stop_at(at: int) -> Any:
    def interrupt(step: int, model: Any, history: Any) -> None:
        if step == at:
            raise KeyboardInterrupt

    return interrupt


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of 14 steps with all there is, that never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    train(make_model(), steps=14, checkpoint=folder / "run.ckpt", **KEPT)
    return folder


@pytest.mark.parametrize("stop", range(1, 14))
def test_a_training_in_two_parts_keeps_the_same_files(tmp_path: Path, whole: Path, stop: int) -> None:
    path = tmp_path / "run.ckpt"
    train(make_model(), steps=14, checkpoint=path, callbacks=[stop_at(stop)], **KEPT)
    model = make_model()
    train(model, steps=14, checkpoint=path, **KEPT)
    assert files(tmp_path / "run.ckpt.kept") == files(whole / "run.ckpt.kept")
    assert_same_files(path, whole / "run.ckpt")


def killed_at(moment: int, path: Path, steps: int) -> bool:
    """Train in a process that ends by itself, as if killed, before or after one of its changes on the disk.

    These are files that take their names and files that are removed, locks among them. Returns whether it
    came so far.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: pytest may have threads
        child = os.fork()
    if not child:
        count = 0

        def counted(function: Any) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal count
                if count == moment:
                    os._exit(9)
                found = function(*arguments, **options)
                if count + 1 == moment:
                    os._exit(9)
                count += 2
                return found

            return call

        try:
            os.replace, os.unlink = counted(os.replace), counted(os.unlink)
            train(make_model(), steps=steps, checkpoint=path, **KEPT)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9


@pytest.mark.parametrize("part", range(4))
def test_a_kill_before_and_after_every_change_on_the_disk(tmp_path: Path, part: int) -> None:
    steps = 9
    train(make_model(), steps=steps, checkpoint=tmp_path / "whole.ckpt", **KEPT)
    expected = files(tmp_path / "whole.ckpt.kept")
    moments = 0
    for moment in range(part, 1000, 4):
        folder = tmp_path / str(moment)
        if not killed_at(moment, folder / "run.ckpt", steps):
            break
        train(make_model(), steps=steps, checkpoint=folder / "run.ckpt", **KEPT)
        assert files(folder / "run.ckpt.kept") == expected
        assert_same_files(folder / "run.ckpt", tmp_path / "whole.ckpt")
        moments += 1
    assert moments >= 6


def test_a_process_that_is_killed_again_and_again_keeps_the_same_files(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)
    path, reference = tmp_path / "a" / "run.ckpt", tmp_path / "b" / "run.ckpt"
    kills = 0
    for _ in range(5):
        command = [sys.executable, str(SCRIPT), str(path), "60", draw.choice("112"), "kept"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for _ in range(draw.randrange(1, 14)):
                if process.stdout.readline().startswith(b"end"):
                    break
            select.select([process.stderr], [], [], draw.uniform(0.0, 0.01))
            process.kill()
            process.wait()
            error = process.stderr.read()
            assert process.returncode == -9 or process.returncode == 0, error.decode()
            kills += process.returncode == -9
    assert kills >= 3
    command = [sys.executable, str(SCRIPT), str(path), "60", "1", "kept"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("end 60 False\n")
    train(make_model(), steps=60, checkpoint=reference, **KEPT)
    assert files(path.with_name("run.ckpt.kept")) == files(reference.with_name("run.ckpt.kept"))
    assert_same_files(path, reference)
    assert names(path.parent) == ["run.ckpt", "run.ckpt.kept"]


def test_another_number_of_files_when_a_training_goes_on(tmp_path: Path) -> None:
    path, folder = tmp_path / "run.ckpt", tmp_path / "run.ckpt.kept"
    train(make_model(), steps=5, checkpoint=path, keep_last=4, keep_every=1)
    assert names(folder) == last(2, 3, 4, 5)
    train(make_model(), steps=5, checkpoint=path, keep_last=2, keep_every=1)
    assert names(folder) == last(4, 5)
    train(make_model(), steps=7, checkpoint=path, keep_last=3, keep_every=1)
    assert names(folder) == last(5, 6, 7)
    train(make_model(), steps=10, checkpoint=path, keep_last=3, keep_every=5)
    assert names(folder) == last(6, 7, 10)
    train(make_model(), steps=11, checkpoint=path)
    assert names(folder) == last(6, 7, 10)


def test_from_an_older_checkpoint_later_files_are_made_again(tmp_path: Path) -> None:
    path, folder = tmp_path / "run.ckpt", tmp_path / "run.ckpt.kept"
    train(make_model(), steps=4, checkpoint=path, keep_last=3, keep_every=2)
    shutil.copy(path, tmp_path / "older")
    train(make_model(), steps=6, checkpoint=path, keep_last=3, keep_every=2)
    before = files(folder)
    shutil.copy(tmp_path / "older", path)
    train(make_model(), steps=4, checkpoint=path, keep_last=3, keep_every=2)
    assert names(folder) == last(2, 4)
    train(make_model(), steps=6, checkpoint=path, keep_last=3, keep_every=2)
    assert files(folder) == before


def test_without_resume_the_files_are_replaced(tmp_path: Path) -> None:
    path, folder = tmp_path / "run.ckpt", tmp_path / "run.ckpt.kept"
    train(make_model(), steps=6, checkpoint=path, keep_last=3, keep_every=2, keep_best=1)
    (folder / "notes.txt").write_text("mine")
    train(make_model(seed=6), steps=1, checkpoint=path, keep_last=3, keep_every=1, resume=False)
    assert names(folder) == [*last(1), "notes.txt"]


def test_weights_of_another_training_are_neither_mixed_nor_removed(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    train(make_model(), steps=4, keep=folder, keep_last=3, keep_every=2)
    before, model = files(folder), make_model(seed=6)
    weights = model.state
    said = r"keep: '.*kept' has weights of another training, last-00000002\.safetensors and 1 more\."
    with pytest.raises(ValueError, match=said):
        train(model, steps=4, keep=folder, keep_last=3)
    path = tmp_path / "run.ckpt"
    train(make_model(seed=6), steps=1, checkpoint=path)
    said = r"keep: '.*kept' has weights of another training, last-00000002\.safetensors\. Give another folder"
    with pytest.raises(ValueError, match=said):
        train(model, steps=4, checkpoint=path, keep=folder, keep_last=3)
    np.testing.assert_equal(model.state, weights)
    assert files(folder) == before


def test_a_training_of_other_numbers_says_first_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    train(make_model(), steps=2, checkpoint=path, keep_last=3, keep_every=2)
    with pytest.raises(
        ValueError, match=r"run\.ckpt' is a checkpoint of another training: its max_tokens is"
    ):
        train(make_model(), steps=4, checkpoint=path, keep_last=3, keep_every=2, max_tokens=91)


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    def second(*_: Any) -> None:
        with pytest.raises(RuntimeError, match=rf"keep: '.*kept' is being written by process {os.getpid()}"):
            train(make_model(), steps=1, keep=tmp_path / "kept", keep_last=1)

    train(make_model(), steps=1, keep=tmp_path / "kept", keep_last=1, callbacks=[second])


def test_a_training_that_diverges_keeps_what_was_there(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"schedule": None, "clip_norm": None, "steps": 50}
    history = train(make_model(), ap.SGD(1e25), keep=tmp_path, keep_last=9, keep_every=1, **settings)
    at = history.diverged_at
    assert at is not None
    assert names(tmp_path) == last(*range(max(1, at - 9), at))
    assert np.isfinite(ap.average(tmp_path, last=1)._core.weights).all()


# Disks that fail


def test_a_full_disk_is_one_error_and_the_training_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "run.ckpt", tmp_path / "run.ckpt.kept"
    settings: dict[str, Any] = {"checkpoint": path, "keep_last": 1, "keep_every": 2}
    train(make_model(), steps=3, **settings)
    before, flush = files(folder), os.fsync

    def full(descriptor: int) -> None:
        if "last-" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    said = r"the weights of step 4 cannot be kept \(No space left on device\), those kept before are as they"
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=said) as caught:
            train(make_model(), steps=6, **settings)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(folder / last(4)[0])
    assert files(folder) == before
    assert load(path).progress["step"] == 4
    train(make_model(), steps=6, **settings)
    train(make_model(), steps=6, **{**settings, "checkpoint": tmp_path / "whole.ckpt"})
    assert files(folder) == files(tmp_path / "whole.ckpt.kept")


def test_a_file_in_the_folder_s_place(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    with pytest.raises(NotADirectoryError, match="keep: not a folder"):
        train(make_model(), steps=1, keep=tmp_path / "kept", keep_last=1)


def test_a_damaged_file_of_the_folder_is_named(tmp_path: Path) -> None:
    path, folder = tmp_path / "run.ckpt", tmp_path / "run.ckpt.kept"
    train(make_model(), steps=2, checkpoint=path, keep_last=2, keep_every=1)
    one = folder / last(1)[0]
    one.write_bytes(one.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"last-00000001\.safetensors' is cut off"):
        train(make_model(), steps=4, checkpoint=path, keep_last=2, keep_every=1)


# Arguments


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"keep_last": 1}, ValueError, "keep_last goes with a place for the files, checkpoint= or keep="),
        ({"keep_best": 1}, ValueError, "keep_best goes with validations"),
        ({"keep_best": 1, "keep": "x", "valid_every": None}, ValueError, "keep_best goes with validations"),
        ({"keep": "x"}, ValueError, "keep goes with keep_last or keep_best"),
        ({"keep_every": 3, "checkpoint": "x"}, ValueError, "keep_every goes with keep_last"),
        ({"keep_last": 0, "keep": "x"}, ValueError, "keep_last must be an integer from 1"),
        ({"keep_last": -1, "keep": "x"}, ValueError, "keep_last must be an integer from 1"),
        ({"keep_last": 1.0, "keep": "x"}, TypeError, "keep_last must be an integer"),
        ({"keep_last": True, "keep": "x"}, TypeError, "keep_last must be an integer"),
        ({"keep_best": 0, "keep": "x"}, ValueError, "keep_best must be an integer from 1"),
        ({"keep_last": 1, "keep": "x", "keep_every": "step"}, ValueError, "keep_every must be 'epoch' or a"),
        ({"keep_last": 1, "keep": "x", "keep_every": 0}, ValueError, "keep_every must be an integer from 1"),
        ({"keep_last": 1, "keep": "x", "keep_every": None}, TypeError, "keep_every must be an integer"),
        ({"keep_last": 1, "keep": ""}, ValueError, "keep must be"),
        ({"keep_last": 1, "keep": 3}, TypeError, "keep must be"),
    ],
)
def test_wrong_arguments_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], error: Any, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        train(make_model(), steps=1, **settings)
    assert os.listdir(tmp_path) == []
