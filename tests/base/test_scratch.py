"""Folders for what processes hand to each other."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from admin_py.base.locks import LOCK_FILE
from admin_py.base.scratch import PREFIX, clear_scratch, scratch_folder

HOLDER = """
import sys, tempfile
from admin_py.base.scratch import scratch_folder
tempfile.tempdir = sys.argv[1]
with scratch_folder() as folder:
    (folder / "data").write_bytes(b"1")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_it_is_gone_after_the_block(tmp_path: Path) -> None:
    with scratch_folder() as folder:
        (folder / "data").touch()
        assert folder.parent == tmp_path
    assert not list(tmp_path.iterdir())


def test_what_killed_processes_left_is_cleared_and_what_living_ones_have_is_not(tmp_path: Path) -> None:
    others = [tmp_path / "mine", tmp_path / f"{PREFIX}made-by-hand", tmp_path / f"{PREFIX}file"]
    for one in others[:2]:
        one.mkdir()
    others[2].touch()
    (others[0] / LOCK_FILE).write_text("1")
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as killed, subprocess.Popen(command, **pipes) as living:
        left, kept = (Path(one.stdout.readline().strip()) for one in (killed, living))
        killed.kill()
        killed.wait()
        assert (left / "data").exists()
        with scratch_folder():
            assert not left.exists()
            assert (kept / "data").exists()
        living.communicate()
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_links_are_not_followed(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / LOCK_FILE).write_text("1")
    (tmp_path / f"{PREFIX}link").symlink_to(there)
    with scratch_folder():
        assert (there / LOCK_FILE).exists()


def test_folders_of_other_users_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / f"{PREFIX}left"
    left.mkdir()
    (left / LOCK_FILE).write_text("1")
    with monkeypatch.context() as as_another:
        as_another.setattr(os, "getuid", lambda: left.stat().st_uid + 1)
        clear_scratch()
        assert left.exists()
    clear_scratch()
    assert not left.exists()
