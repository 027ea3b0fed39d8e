"""Two commands with one ``--out``: the second says who has the folder, and writes nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from command import COMMAND, run, until
from lock_holder import holder

import admin_py as ap

SMALL = ["--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--task", "copy", "--quiet"]

COMMANDS = {
    "train": ["train", "--steps", "2"],
    "profile": ["profile"],
    "analyse": ["analyse", "gradients"],
    "study": ["study", "--steps", "2"],
    "grid": ["grid", "--steps", "2", "--workers", "1"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_second_command_says_who_has_the_folder(tmp_path: Path, command: str) -> None:
    with holder(tmp_path) as process:
        before = os.listdir(tmp_path)
        done = run(*COMMANDS[command], *SMALL, "--out", tmp_path)
        assert done.returncode == 1
        assert (
            f"is being written by process {process.pid}; wait for it, or give another folder" in done.stderr
        )
        assert done.stderr.count("\n") == 1
        assert os.listdir(tmp_path) == before


def test_a_folder_of_a_killed_command_is_taken_and_cleared(tmp_path: Path) -> None:
    """SIGKILL once there is a checkpoint; what it was writing just then, and more, is gone afterwards."""
    arguments = ["train", *SMALL, "--steps", "400", "--checkpoint-every", "1", "--out", str(tmp_path)]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    until((tmp_path / "checkpoint.safetensors").exists, process)
    process.kill()
    process.communicate()
    (tmp_path / ".history.json.0123abcd.part").write_text("half")
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert ap.load(tmp_path).history.num_steps == 400
    assert not list(tmp_path.glob(".*")), "no lock, nothing half-written"
