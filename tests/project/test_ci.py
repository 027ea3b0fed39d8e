"""Stages of `.ci/run` that run side by side: all of what they print, and the failure of each, is seen."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from project import ROOT

STAGES = """
well() { echo "of the first"; }
failing() { echo "of the second"; false; echo "never"; }
"""


def run(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What commands print and return where the functions of `.ci/run` are known."""
    text = (ROOT / ".ci" / "run").read_text("utf-8")
    found = re.search(r"^together\(\) .*?^}$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    head = f"set -euo pipefail; work={folder}; timings=()"
    script = f"{head}\n{found[0]}\n{STAGES}\n{commands}\necho the end"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True)


def test_what_each_prints_comes_whole_and_in_order(tmp_path: Path) -> None:
    done = run('together "A" well "B" well; printf "%s\\n" "${timings[@]}"', tmp_path)
    assert done.returncode == 0
    expected = "==== A of the first ==== B of the first N s A, beside others N s B, beside others the end"
    assert re.sub(r"\d+", "N", done.stdout).split() == expected.split()


@pytest.mark.parametrize("stages", ['"A" well "B" failing', '"B" failing "A" well'])
def test_one_that_fails_ends_the_run_and_is_shown(stages: str, tmp_path: Path) -> None:
    done = run(f"together {stages}", tmp_path)
    assert done.returncode == 1
    assert "==== B\nof the second\n" in done.stdout
    assert "never" not in done.stdout
    assert "the end" not in done.stdout
