"""The folder of a study: what comes back, that it goes on after any stop, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import LIMIT, until
from small_models import growing
from small_study import SMALL, same_numbers

import admin_py as ap
from admin_py.base.locks import locked
from admin_py.experiments.study.files import RUN_FILE, run_folder
from admin_py.experiments.study.results import Study
from admin_py.experiments.study.study import study


def test_what_is_loaded_equals_what_was_saved(small: Study, tmp_path: Path) -> None:
    small.save(tmp_path / "kept")
    loaded = Study.load(tmp_path / "kept")
    assert loaded == small
    assert loaded.run("admin", 2) == small.run("admin", 2)
    assert loaded.run("admin", 2) != small.run("admin", 1)


def test_a_run_made_before_an_analysis_was_taken_down_says_what_it_is_without(
    small: Study, tmp_path: Path
) -> None:
    small.save(tmp_path)
    path = run_folder(tmp_path, small.run("admin", 2).name)
    (path / "dependency_before.json").unlink()
    run = Study.load(tmp_path).run("admin", 2)
    assert run.history == small.run("admin", 2).history
    assert run.dependency_before is None
    assert "made before" in run.without["dependency_before"]
    (path / "history.json").unlink()
    with pytest.raises(FileNotFoundError, match="history"):
        Study.load(tmp_path)


def test_a_folder_holds_the_same_study(small: Study, data, tmp_path: Path) -> None:
    kept = study(data, schemes=["post_ln", "admin"], seeds=[1, 2], out=tmp_path, **SMALL)
    assert same_numbers(kept, small)
    assert Study.load(tmp_path) == kept
    assert not list(tmp_path.rglob("checkpoint*")), "checkpoints go when a run is whole"


def test_whole_runs_are_not_run_again_and_more_may_be_added(data, tmp_path: Path) -> None:
    first = study(data, schemes=["post_ln"], seeds=[1], out=tmp_path, **SMALL)
    path = run_folder(tmp_path, first.runs[0].name) / RUN_FILE
    before = path.stat().st_mtime_ns
    more = study(data, schemes=["post_ln", "admin"], seeds=[1, 3], out=tmp_path, **SMALL)
    assert path.stat().st_mtime_ns == before
    assert more.run("post_ln", 1) == first.run("post_ln", 1)
    assert len(more.runs) == 4
    assert not more.interrupted
    less = study(data, schemes=["admin"], seeds=[3], out=tmp_path, **SMALL)
    assert len(less.runs) == 4, "what is in the folder stays in the study"


def test_a_folder_of_another_study_is_refused(data, tmp_path: Path) -> None:
    study(data, schemes=["post_ln"], out=tmp_path, **SMALL)
    before = (tmp_path / "study.json").read_bytes()
    with pytest.raises(ValueError, match=r"out: .* holds a study with steps 4, not 5"):
        study(data, schemes=["post_ln"], out=tmp_path, **{**SMALL, "steps": 5})
    other = ap.data.copy_task(train=100, valid=10, symbols=6, max_length=6, seed=1)
    with pytest.raises(ValueError, match=r"out: .* holds a study of other data"):
        study(other, schemes=["post_ln"], out=tmp_path, **SMALL)
    assert (tmp_path / "study.json").read_bytes() == before


def test_a_users_scheme_is_kept_and_another_of_its_name_is_refused(data, tmp_path: Path) -> None:
    options = {**SMALL, "layers": 2, "out": tmp_path}
    found = study(data, schemes=growing(0.5), **options)
    np.testing.assert_array_equal(found.run("growing skip").profile.omega("encoder"), [1.0, 1.0, 1.5, 1.5])
    assert Study.load(tmp_path) == found
    with pytest.raises(
        ValueError,
        match="a run of the same name in which the scheme of 'growing skip, seed 1' was another one",
    ):
        study(data, schemes=growing(0.25), **options)


@pytest.mark.parametrize("name", ["study.json", "runs/*/run.json", "runs/*/history.json"])
def test_a_damaged_file_is_named(small: Study, tmp_path: Path, name: str) -> None:
    small.save(tmp_path)
    path = next(tmp_path.glob(name))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=path.name.replace(".", r"\.")):
        Study.load(tmp_path)


def test_a_folder_without_a_study_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Study.load(tmp_path)


SCRIPT = """
import sys
import admin_py as ap
from admin_py.experiments.study.study import study
data = ap.data.copy_task(train=100, valid=10, symbols=6, max_length=6)
study(data, schemes=["post_ln", "admin"], layers=1, d_model=8, d_ff=16, heads=2, steps=STEPS, max_tokens=128,
      valid_every=50, out=sys.argv[1], progress=False)
"""


def test_a_study_that_is_killed_goes_on_and_ends_with_the_same_bits(data, tmp_path: Path) -> None:
    """SIGKILL while the second run trains; then the same call again."""
    steps = 600
    script = SCRIPT.replace("STEPS", str(steps))
    command = [sys.executable, "-c", script, str(tmp_path / "killed")]
    process = subprocess.Popen(command)
    until(lambda: list((tmp_path / "killed").glob("runs/admin-*/checkpoint.safetensors")), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    partial = Study.load(tmp_path / "killed")
    assert partial.interrupted == (len(partial.runs) < 2)
    assert partial.run("post_ln").history.num_steps == steps
    subprocess.run(command, check=True, timeout=LIMIT)
    resumed = Study.load(tmp_path / "killed")
    options = {**SMALL, "steps": steps, "valid_every": 50}
    whole = study(data, schemes=["post_ln", "admin"], **options)
    assert same_numbers(resumed, whole)
    assert json.loads((tmp_path / "killed" / "study.json").read_text())["kind"] == "study"


def test_ctrl_c_gives_the_runs_so_far(data, tmp_path: Path) -> None:
    """Ctrl-C in the second run, after its first step."""

    def interrupt(step: int, model: ap.Transformer, history: ap.Recorder) -> None:
        if model.config.scheme_name == "admin" and step == 1:
            signal.raise_signal(signal.SIGINT)

    found = study(data, schemes=["post_ln", "admin"], out=tmp_path, callbacks=[interrupt], **SMALL)
    assert found.interrupted
    assert [one.scheme for one in found.runs] == ["post_ln"]
    assert Study.load(tmp_path).interrupted
    assert list(tmp_path.glob("runs/admin-*/checkpoint.safetensors"))
    resumed = study(data, schemes=["post_ln", "admin"], out=tmp_path, **SMALL)
    assert not resumed.interrupted
    assert same_numbers(resumed, study(data, schemes=["post_ln", "admin"], **SMALL))


def test_two_processes_do_not_write_one_folder(data, tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(RuntimeError, match=f"out: .* is being written by process {os.getpid()}"),
    ):
        study(data, schemes="admin", out=tmp_path, **SMALL)
    assert not (tmp_path / "study.json").exists()
    assert not study(data, schemes="admin", out=tmp_path, **SMALL).interrupted
