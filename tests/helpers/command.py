"""Running ``admin-py`` in this process, which is quick, or in one of its own; waiting for what it does."""

from __future__ import annotations

import contextlib
import io
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from admin_py.cli import entry

COMMAND = [sys.executable, "-m", "admin_py.cli"]
LIMIT = 300
"""Seconds after which a process counts as hanging: it needs a few."""


def run(*arguments: str | os.PathLike[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in this process: its exit status, and what it wrote to streams that are no terminal."""
    command = [os.fspath(one) for one in arguments]
    out, error = io.StringIO(), io.StringIO()
    before = os.getcwd()
    os.chdir(cwd or before)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            try:
                status = entry.main(command)
            except SystemExit as stop:  # of argparse
                status = int(stop.code or 0)
    finally:
        os.chdir(before)
    return subprocess.CompletedProcess(command, status, out.getvalue(), error.getvalue())


def run_filter(*arguments: object, given: bytes | str = b"") -> subprocess.CompletedProcess[str]:
    """The command in this process, with the given bytes or text in its standard input."""
    before = os.dup(0)
    with tempfile.TemporaryFile() as stream:
        stream.write(given.encode() if isinstance(given, str) else given)
        stream.seek(0)
        os.dup2(stream.fileno(), 0)
    try:
        return run(*map(str, arguments))
    finally:
        os.dup2(before, 0)
        os.close(before)


def run_process(
    *arguments: str | os.PathLike[str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, its output in pipes."""
    command = [*COMMAND, *map(os.fspath, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=cwd)


def until(happened: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Waits until something has happened, or the process has ended."""
    deadline = time.monotonic() + LIMIT
    while not happened():
        assert time.monotonic() < deadline, f"nothing happened in {LIMIT} s"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
            return


def until_ended(pids: Iterable[int]) -> None:
    """Waits until processes have ended that are no children of this one."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([handle], [], [], LIMIT)
        finally:
            os.close(handle)
        assert ended, f"process {pid} has not ended in {LIMIT} s"
