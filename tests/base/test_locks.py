"""Locks that go with their process, tell who has them, and leave nothing behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from lock_holder import holder

from admin_py.base import locks
from admin_py.base.locks import LOCK_FILE, InUse, locked, locked_file


def take_folder(path: Path) -> None:
    with locked(path):
        pass


def take_file(path: Path) -> None:
    with locked_file(path, patience=0.0):
        pass


TAKE = {"locked": take_folder, "locked_file": take_file}


@pytest.mark.parametrize("lock", TAKE)
def test_the_second_process_is_told_who_has_it(tmp_path: Path, lock: str) -> None:
    path = tmp_path / "a"
    with (
        holder(path, lock) as process,
        pytest.raises(InUse, match=f"is being written by process {process.pid};"),
    ):
        TAKE[lock](path)


@pytest.mark.parametrize("lock", TAKE)
def test_sigkill_lets_go_of_it(tmp_path: Path, lock: str) -> None:
    path = tmp_path / "a"
    with holder(path, lock) as process:
        process.kill()
        process.wait()
        assert list(tmp_path.rglob(f"*{LOCK_FILE}")), "the file of the lock is left"
        TAKE[lock](path)
    assert not list(tmp_path.rglob(f"*{LOCK_FILE}")), "and gone with the next who had it"


@pytest.mark.parametrize("lock", TAKE)
def test_a_process_that_ends_at_once_leaves_no_lock_s_file(tmp_path: Path, lock: str) -> None:
    """From a thread, too, as a worker whose parent has died."""
    script = f"""
import sys, threading
from admin_py.base.locks import exit_now, locked, locked_file
with {lock}(sys.argv[1]):
    threading.Thread(target=exit_now, args=(7,)).start()
    threading.Event().wait()
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], timeout=300, check=False)
    assert done.returncode == 7
    assert not list(tmp_path.rglob(f"*{LOCK_FILE}"))


@pytest.mark.parametrize("lock", TAKE)
def test_sigkill_lets_go_of_it_where_a_forked_process_lives_on(tmp_path: Path, lock: str) -> None:
    """As the workers of a pool do that was forked inside."""
    script = f"""
import os, signal, sys
from admin_py.base.locks import locked, locked_file
with {lock}(sys.argv[1]):
    if os.fork() == 0:
        os.kill(os.getppid(), signal.SIGKILL)
        print("killed", flush=True)
        sys.stdin.read()
        os._exit(0)
    signal.pause()
"""
    path = tmp_path / "a"
    command = [sys.executable, "-W", "ignore", "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "killed\n"
        process.wait()
        TAKE[lock](path)


def test_another_thread_is_another_call(tmp_path: Path) -> None:
    found: list[str] = []

    def other() -> None:
        try:
            take_folder(tmp_path)
        except InUse as error:
            found.append(str(error))

    with locked(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert str(os.getpid()) in found[0]


def test_a_file_s_lock_is_waited_for_while_its_process_ends(tmp_path: Path) -> None:
    with holder(tmp_path / "a", "locked_file") as process:
        threading.Thread(target=process.kill).start()
        with locked_file(tmp_path / "a", patience=300.0):
            assert process.wait() != 0


def test_many_that_come_and_go_are_never_two(tmp_path: Path) -> None:
    inside, most, refused = [], [], []

    def come_and_go() -> None:
        for _ in range(100):
            try:
                with locked_file(tmp_path / "a", patience=0.0):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except InUse:
                refused.append(1)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(most) == {1}
    assert len(most) + len(refused) == 400
    assert not list(tmp_path.iterdir())


def test_a_folder_that_got_nothing_is_gone_after_an_error(tmp_path: Path) -> None:
    def fail(*files: str) -> None:
        with locked(tmp_path / "a" / "b"):
            for name in files:
                (tmp_path / name).touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())
    with pytest.raises(ZeroDivisionError):
        fail("a/file")
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["file"]


def test_a_folder_that_is_a_file_is_an_error_that_names_the_argument(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(NotADirectoryError, match="out: not a folder"):
        take_folder(tmp_path / "a")


def test_the_lock_of_a_long_name_is_a_name_that_the_system_takes(tmp_path: Path) -> None:
    for letter in ("x", "ü"):
        name = letter * (255 // len(letter.encode()))
        take_file(tmp_path / name)
        with locked_file(tmp_path / name), pytest.raises(InUse):
            take_file(tmp_path / name)
        with locked_file(tmp_path / name):
            take_file(tmp_path / f"{name[:-1]}y")


def test_a_file_system_without_locks_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with locked(tmp_path / "a"):
        pass
    assert not list((tmp_path / "a").iterdir())
