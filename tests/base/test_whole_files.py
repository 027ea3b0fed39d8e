"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import admin_py as ap
from admin_py.base.whole_files import clear_aside, write_whole, written_whole


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.txt"
    write_whole(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def write_half() -> None:
        with written_whole(tmp_path / "a") as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert not list(tmp_path.iterdir())


def test_the_file_has_the_permissions_of_a_plain_one_or_of_the_one_it_replaces(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "a", "x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "new" / "a").stat().st_mode == (tmp_path / "b").stat().st_mode
    (tmp_path / "b").chmod(0o640)
    write_whole(tmp_path / "b", "y")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o640


def test_what_a_killed_process_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    mine = [tmp_path / ".a.json.0123abcd.part", tmp_path / ".a.json.ffffffff.part"]
    others = [tmp_path / ".a.0123abcd.part.json", tmp_path / ".b.json.0123abcd.part", tmp_path / "a.json"]
    others += [tmp_path / ".a.json.bak.0123abcd.part", tmp_path / "[a].json"]
    for path in (*mine, *others):
        path.write_text("x")
    clear_aside(tmp_path / "a.json")
    clear_aside(tmp_path / "[a].json")  # no pattern
    assert sorted(tmp_path.iterdir()) == sorted(others)


SMALL = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "max_tokens": 64, "progress": False}


def test_a_grid_that_goes_on_clears_what_was_half_written(tmp_path: Path) -> None:
    data = ap.data.copy_task(train=20, valid=5, symbols=5, max_length=5)
    ap.grid(data, schemes="post_ln", lr=1e-3, steps=1, out=tmp_path, **SMALL)
    (cell,) = (tmp_path / "cells").iterdir()
    cell.rename(cell.with_name(f".{cell.name}.0123abcd.part"))
    again = ap.grid(data, schemes="post_ln", lr=1e-3, steps=1, out=tmp_path, **SMALL)
    assert len(again.cells) == 1
    assert cell.exists()
    assert not list(tmp_path.rglob("*.part"))


def test_a_study_that_goes_on_clears_what_was_half_written(tmp_path: Path) -> None:
    data = ap.data.copy_task(train=20, valid=5, symbols=5, max_length=5)
    ap.study(data, schemes=["post_ln"], steps=2, out=tmp_path, **SMALL)
    (run,) = tmp_path.rglob("run.json")
    run.rename(run.with_name(".run.json.0123abcd.part"))
    run.with_name(".history.json.0123abcd.part").write_text("half")
    ap.study(data, schemes=["post_ln"], steps=2, out=tmp_path, **SMALL)
    assert run.exists()
    assert not list(tmp_path.rglob("*.part"))
