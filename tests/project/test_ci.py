"""Stages of `.ci/run` that run side by side: all of what they print, and the failure of each, is seen."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from command import until_ended
from project import ROOT

STAGES = """
well() { echo "of the first"; }
failing() { echo "of the second"; false; echo "never"; }
several() { stage "A1" well; stage "A2" true; }
half() { stage "B1" well; stage "B2" failing; stage "B3" well; }
"""


def run(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What commands print and return where the functions of `.ci/run` are known."""
    text = (ROOT / ".ci" / "run").read_text("utf-8")
    found = re.findall(r"^(?:stage|together)\(\) .*?^}$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 2
    head = f"set -euo pipefail; work={folder}; timings=() beside=()"
    script = "\n".join([head, *found, STAGES, commands, "echo the end"])
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True)


def test_what_each_prints_comes_whole_and_in_order(tmp_path: Path) -> None:
    done = run('together "A" well "B" well; printf "%s\\n" "${timings[@]}"', tmp_path)
    assert done.returncode == 0
    expected = "==== A of the first ==== B of the first N s A, beside others N s B, beside others the end"
    assert re.sub(r"\d+", "N", done.stdout).split() == expected.split()


def test_of_stages_one_after_the_other_each_is_timed(tmp_path: Path) -> None:
    done = run('timings=("0"); together "A" several "B" well; printf "%s\\n" "${timings[@]}"', tmp_path)
    assert done.returncode == 0
    heads = ["==== A", "==== A1", "==== A2", "==== B"]
    assert [line for line in done.stdout.splitlines() if line.startswith("====")] == heads
    times = "0 N s A1, beside others N s A2, beside others N s B, beside others the end"
    assert re.sub(r"\b\d+ s", "N s", done.stdout).split()[-len(times.split()) :] == times.split()


@pytest.mark.parametrize(
    "stages", ['"A" well "B" failing', '"B" failing "A" well', '"A" several "B" half', '"B" half "A" several']
)
def test_one_that_fails_ends_the_run_and_is_shown(stages: str, tmp_path: Path) -> None:
    done = run(f"together {stages}", tmp_path)
    assert done.returncode == 1
    assert re.search(r"==== (B|B2)\nof the second\n", done.stdout)
    assert "never" not in done.stdout
    assert "the end" not in done.stdout


def test_with_one_that_fails_ends_what_the_others_have_begun(tmp_path: Path) -> None:
    long = "long() { sleep 1000 & echo $! >$work/begun; wait; }"
    short = "short() { until [ -s $work/begun ]; do :; done; false; }"
    done = run(f'{long}\n{short}\ntogether "A" short "B" long', tmp_path)
    assert done.returncode == 1
    until_ended([int((tmp_path / "begun").read_text())])
