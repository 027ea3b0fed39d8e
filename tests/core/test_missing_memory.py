"""Every allocation fails once, in a process that has no other thread to meet it: `missing_memory.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("_testcapi")

CASES = Path(__file__).with_name("missing_memory.py")
ALONE = ("-p", "no:xdist", "-p", "no:cacheprovider")
"""Without the threads by which processes of tests talk to each other; without a cache, which others write."""


def test_every_allocation_fails_once() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", *ALONE, str(CASES)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
