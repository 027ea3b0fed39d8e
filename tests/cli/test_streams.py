"""The command line where its streams, its backend or its style fail: work is done, files are whole."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command import COMMAND, LIMIT, run

SIZES = "--task copy --layers 1 --d-model 8 --d-ff 16 --heads 2"
PROFILE = f"profile {SIZES}"


def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell in which `admin-py` is this one."""
    line = line.replace("admin-py", shlex.join(COMMAND))
    return subprocess.run(
        line,
        shell=True,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        executable="/bin/bash",
        env={**os.environ, **env},
    )


@pytest.mark.parametrize("where", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "&>/dev/full"])
def test_streams_that_take_nothing(tmp_path: Path, where: str) -> None:
    done = shell(f"admin-py train --steps 2 {SIZES} --out {tmp_path} {where}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "history.png").is_file()
    assert "Traceback" not in done.stderr
    full = ">/dev/full" in where and not where.startswith(("2", "&"))
    assert ("the standard output stream cannot be written" in done.stderr) == full


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    done = shell(
        f"set -o pipefail; admin-py {PROFILE} --out {tmp_path} | true; admin-py info --schemes | head -1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "profile.png").is_file()


def test_what_is_printed_alone_is_missed_where_it_is_lost() -> None:
    done = shell("admin-py info --schemes > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("admin-py: error: the standard output stream cannot be written: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("backend", ["module://not_installed.anywhere", "nonsense", "tkagg"])
def test_a_backend_that_is_not_there(tmp_path: Path, backend: str) -> None:
    done = shell(
        f"admin-py grid --steps 1 --workers 1 {SIZES} --out {tmp_path}", MPLBACKEND=backend, DISPLAY=""
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_that_cannot_be_drawn_are_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such\nfont")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    found = run("profile", *SIZES.split(), "--out", tmp_path / "profile")
    assert found.returncode == 0
    reason = "is left out, it could not be drawn: RuntimeError: no such font"
    assert found.stderr == f"profile.png {reason}\n"
    assert (tmp_path / "profile" / "profile.json").is_file()
    assert "profile.png" not in found.stdout
    found = run("study", *SIZES.split(), "--steps", "2", "--schemes", "admin", "--quiet", "--out", tmp_path)
    assert found.returncode == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count(reason) == found.stderr.count(reason) > 3


def test_names_never_command_a_terminal() -> None:
    found = run("train", *SIZES.split(), "--scheme", "\x1b[2J\x07")
    assert found.returncode == 1
    assert "\x1b" not in found.stderr
    assert "\\x1b[2J" in found.stderr
    found = run("info", "--\x1b[31mred")
    assert found.returncode == 2
    assert "\x1b" not in found.stderr


def test_sigterm_has_a_status_of_its_own() -> None:
    program = (
        "import signal\nfrom admin_py.cli import entry, info\n"
        "info.run = lambda options: signal.raise_signal(signal.SIGTERM)\n"
        "raise SystemExit(entry.main(['info']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (143, "admin-py: stopped\n")
