"""Our own pool: programs of every kind, and signals while its workers work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import LIMIT, until_ended

from admin_py.experiments.grid.grid import grid
from admin_py.experiments.grid.results import Grid

PROGRAM = """
import sys
import admin_py as ap

class Own(ap.Adam):
    pass

data = ap.data.copy_task(train=50, valid=5)
options = dict(layers=1, steps=2, d_model=8, d_ff=16, heads=2, max_tokens=128, progress=False, workers=2)
if __name__ == "__main__":
    print(len(ap.grid(data, schemes=["post_ln", "admin"], **options).cells))
    try:
        print(len(ap.grid(data, scheme="admin", optimizer=Own, **options).cells))
    except ValueError as error:
        print(error)
"""

UNREAD = (
    "optimizer: 'Own' needs Own, which is defined in a program that is no file (standard input, a notebook "
    "or a prompt), where no other process can read it. Define it in a module, or leave executor "
    "and workers out"
)


def python(*arguments: str, program: str = "", shell: str = "") -> list[str]:
    command: Any = shell or [sys.executable, *arguments]
    done = subprocess.run(
        command, input=program, capture_output=True, text=True, timeout=LIMIT, shell=bool(shell), check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("arguments", [["-"], [], ["-c", PROGRAM]], ids=["-", "<", "-c"])
def test_programs_that_are_no_file_have_workers(arguments: list[str]) -> None:
    assert python(*arguments, program=PROGRAM) == ["2", UNREAD]


def test_a_program_from_a_file_may_send_what_it_defines(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    assert python(str(tmp_path / "program.py")) == ["2", "1"]


# Signals

LONG = """
import os
import sys
import admin_py as ap
from admin_py.experiments.pool import asked_to_stop

def tell(step, model, history):
    if step == 3:
        os.write(os.open(TOLD, os.O_WRONLY), b"%d\\n" % os.getpid())
        if HOLD:
            while not asked_to_stop():
                os.sched_yield()
            os.write(os.open(TOLD, os.O_WRONLY), b"asked\\n")
            os.read(os.open(GO, os.O_RDONLY), 1)

if __name__ == "__main__":
    data = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
    found = ap.grid(data, scheme=["post_ln", "admin"], seeds=[1, 2], layers=1, d_model=8, d_ff=16, heads=2,
                    steps=1_000_000, max_tokens=128, out=sys.argv[1], workers=2, callbacks=[tell])
    print(found.interrupted, len(found.cells))
"""


class Running:
    """A grid of two workers, each in its training; `hold`: in a callback that does not come back."""

    def __init__(self, folder: Path, *, hold: bool) -> None:
        told, tells = os.pipe()
        waits, goes = os.pipe()
        self.pipes = (tells, waits, goes)
        here = f"/proc/{os.getpid()}/fd"  # workers of workers inherit no pipes
        given = {"TOLD": f"{here}/{tells}", "GO": f"{here}/{waits}", "HOLD": hold}
        script = folder / "script.py"
        script.write_text("".join(f"{name} = {value!r}\n" for name, value in given.items()) + LONG)
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(folder / "out")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines = open(told, encoding="ascii")  # noqa: SIM115  # closed in end()
        self.workers = [int(self.line()) for _ in range(2)]

    def line(self) -> str:
        """What a worker tells next."""
        return self.lines.readline()

    def end(self) -> tuple[int, str, str]:
        """Status, output and errors; no worker is left."""
        out, error = self.process.communicate(timeout=LIMIT)
        until_ended(self.workers)
        self.lines.close()
        for one in self.pipes:
            os.close(one)
        assert "Traceback" not in error, error
        return self.process.returncode, out, error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("group", [True, False], ids=["group", "alone"])
def test_a_signal_stops_workers_with_their_checkpoints(tmp_path: Path, number: int, group: bool) -> None:
    running = Running(tmp_path, hold=False)
    (os.killpg if group else os.kill)(running.process.pid, number)
    status, out, error = running.end()
    assert (status, out) == (0, "True 0\n"), error
    assert len(list((tmp_path / "out" / "cells").glob("*.checkpoint"))) == 2
    assert Grid.load(tmp_path / "out").interrupted


def test_a_second_ctrl_c_ends_workers_that_do_not_come_back(tmp_path: Path) -> None:
    running = Running(tmp_path, hold=True)
    os.killpg(running.process.pid, signal.SIGINT)
    assert [running.line() for _ in range(2)] == ["asked\n", "asked\n"]
    os.killpg(running.process.pid, signal.SIGINT)
    status, out, error = running.end()
    assert (status, out) == (0, "True 0\n"), error


def test_workers_whose_parent_is_killed_leave_no_locks(tmp_path: Path) -> None:
    running = Running(tmp_path, hold=True)
    assert len(list((tmp_path / "out" / "cells").glob(".*.lock"))) == 2
    running.process.kill()
    assert running.end()[0] == -signal.SIGKILL
    assert not list((tmp_path / "out" / "cells").glob(".*.lock"))


def test_no_handler_stays(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    import admin_py as ap

    data = ap.data.copy_task(train=50, valid=5)
    sizes: dict[str, Any] = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 1}
    assert len(grid(data, scheme="admin", workers=1, progress=False, **sizes).cells) == 1
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
