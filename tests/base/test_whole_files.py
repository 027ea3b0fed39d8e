"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import select
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import admin_py as ap
from admin_py.base.whole_files import (
    FolderNotFlushed,
    clear_all_aside,
    clear_aside,
    write_whole,
    written_whole,
)


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


# Names


@settings(deadline=None, max_examples=60)
@given(st.integers(min_value=1, max_value=255), st.sampled_from([b"x", "ü".encode(), "語".encode(), b"\xff"]))
def test_every_name_that_the_system_takes_is_taken(size: int, letter: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / os.fsdecode(letter * max(1, size // len(letter)))
        write_whole(path, "x")
        write_whole(path, "y")
        assert path.read_text() == "y"
        assert list(Path(folder).iterdir()) == [path]


def test_a_name_that_is_too_long_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"), written_whole(tmp_path / ("x" * 256)):
        pytest.fail("nothing is to be written")
    assert not list(tmp_path.iterdir())


def test_names_aside_are_short_where_the_system_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pathconf", lambda *_: 40)  # as encrypted folders do, with 143
    with written_whole(tmp_path / ("x" * 40)):
        (aside,) = tmp_path.iterdir()
        assert len(aside.name) <= 40


# Links, devices, pipes


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    for text in ("first", "second"):  # a link that leads to nothing yet, and to a file
        write_whole(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "file").read_text() == text
    assert len(list(tmp_path.rglob("*"))) == 3


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write_whole(tmp_path / "a", "x")
    assert (tmp_path / "a").is_symlink()


def test_devices_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    for path in (Path("/dev/null"), tmp_path / "null"):
        write_whole(path, "x" * 100_000)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OSError, match="No space left"):
        write_whole("/dev/full", "x")


def test_a_pipe_is_written_to_if_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=r"a pipe that nobody reads.*pipe"):
        write_whole(tmp_path / "pipe", "x")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    text = "x" * 1_000_000  # more than a pipe holds
    with open(reader) as stream:
        thread = threading.Thread(target=write_whole, args=(tmp_path / "pipe", text))
        thread.start()
        assert select.select([reader], [], [], 300)[0]  # the other end is open
        assert stream.read() == text
        thread.join()
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, "x")


@pytest.mark.parametrize("to", ["pipe", "file"])
def test_what_is_written_to_the_standard_output_stream_comes_in_its_turn(tmp_path: Path, to: str) -> None:
    script = """
import admin_py as ap
print("before", flush=True)
ap.data.WordTokenizer(["a"]).save("/dev/stdout")
print("after")
"""
    command = [sys.executable, "-c", script]
    if to == "pipe":
        text = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout.decode()
    else:
        with open(tmp_path / "out", "wb") as stream:
            subprocess.run(command, stdout=stream, check=True, timeout=300)
        text = (tmp_path / "out").read_text()
    assert text.startswith("before\n{")
    assert text.endswith("}\nafter\n")


# File systems that refuse, and disks that fail


def failing(number: int, *, folders: bool | None = None) -> Callable[..., None]:
    """In place of fsync or chmod; of folders alone, of files alone, or of both."""
    whole = os.fsync

    def call(descriptor: Any, *_: Any) -> None:
        if folders is None or folders == stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        whole(descriptor)

    return call


REFUSALS = [errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES]
FAILURES = [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS]


@pytest.mark.parametrize("name", ["fsync", "chmod", "fchmod"])
@pytest.mark.parametrize("number", REFUSALS)
def test_what_a_file_system_cannot_do_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    write_whole(tmp_path / "a", "old")
    (tmp_path / "a").chmod(0o666)  # which the umask does not give
    monkeypatch.setattr(os, name, failing(number))
    write_whole(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("number", FAILURES)
def test_a_failing_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    write_whole(tmp_path / "a", "old")
    monkeypatch.setattr(os, "fsync", failing(number, folders=False))
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "a", "new")
    assert caught.value.errno == number
    assert not isinstance(caught.value, FolderNotFlushed)
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("number", FAILURES)
def test_a_failing_flush_of_the_folder_says_that_the_new_file_is_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write_whole(tmp_path / "a", "old")
    monkeypatch.setattr(os, "fsync", failing(number, folders=True))
    with pytest.raises(FolderNotFlushed, match=r"the new file is in place, but its folder .*/a'") as caught:
        write_whole(tmp_path / "a", "new")
    assert caught.value.errno == number
    assert (tmp_path / "a").read_text() == "new"


# Others


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o444])
def test_a_file_is_never_more_open_than_the_one_it_replaces(tmp_path: Path, mode: int, umask: int) -> None:
    write_whole(tmp_path / "a", "old")
    (tmp_path / "a").chmod(mode)
    before = os.umask(umask)
    try:
        with written_whole(tmp_path / "a") as stream:
            (aside,) = tmp_path.glob(".*")
            assert stat.S_IMODE(aside.stat().st_mode) & ~mode == 0
            stream.write(b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


WRITER = """
import sys
from admin_py.base.whole_files import written_whole
with written_whole(sys.argv[1]) as stream:
    stream.write(b"half")
    stream.flush()
    print("half", flush=True)
    sys.stdin.read()
    stream.write(b" and half")
"""


@contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has written half of a file, and the rest when its input ends."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        try:
            yield process
        finally:
            process.kill()


CLEAR: list[Callable[[Path], None]] = [clear_aside, lambda path: clear_all_aside(path.parent)]


@pytest.mark.parametrize("clear", CLEAR)
@pytest.mark.parametrize("name", ["a", "x" * 255])
def test_a_living_writer_is_left_alone(tmp_path: Path, clear: Callable[[Path], None], name: str) -> None:
    path = tmp_path / name
    with writer(path) as process:
        clear(path)
        write_whole(path, "another's")
        clear(path)
        process.communicate()
        assert process.returncode == 0
    assert path.read_text() == "half and half", "the last one wins"
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize("clear", CLEAR)
@pytest.mark.parametrize("name", ["a", "x" * 255])
def test_what_a_killed_writer_left_is_cleared(
    tmp_path: Path, clear: Callable[[Path], None], name: str
) -> None:
    path = tmp_path / name
    write_whole(path, "old")
    with writer(path) as process:
        process.kill()
        process.wait()
    assert len(os.listdir(tmp_path)) == 2
    clear(path)
    assert os.listdir(tmp_path) == [name]
    assert path.read_text() == "old"


def test_the_next_process_that_writes_the_file_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for _ in range(2):
        with writer(path) as process:
            assert len(os.listdir(tmp_path)) == 1
            process.kill()
    write_whole(path, "whole")
    assert os.listdir(tmp_path) == ["a"]


def test_many_writers_and_clearers_of_one_file_leave_one_whole_file(tmp_path: Path) -> None:
    """Each file is of one letter; a thread that clears finds those of others half-written."""
    errors: list[BaseException] = []

    def write(letter: str) -> None:
        try:
            for _ in range(50):
                write_whole(tmp_path / "a", letter * 10_000)
                clear_aside(tmp_path / "a")
                read = (tmp_path / "a").read_text()
                assert read == read[0] * 10_000
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not errors
    assert os.listdir(tmp_path) == ["a"]
