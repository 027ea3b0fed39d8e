"""Variables of the environment: threads and kernels, and values that mean nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from admin_py.base.builds import MODULES
from admin_py.base.environment import first_threads, problems

PROCESSORS = MODULES["float32"].num_procs()
ASK = "from admin_py import _core, _core64; print(_core.get_num_threads(), _core64.get_num_threads())"


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ours = ("ADMIN_PY_NUM_THREADS", "OMP_NUM_THREADS", "ADMIN_PY_CPU", "ADMIN_PY_GEMM")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env={**environment, **variables}
    )


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({}, 8),
        ({"ADMIN_PY_NUM_THREADS": ""}, 8),
        ({"ADMIN_PY_NUM_THREADS": " 3 "}, 3),
        ({"ADMIN_PY_NUM_THREADS": "9" * 40}, 8),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "many"}, 8),
        ({"OMP_NUM_THREADS": "2", "ADMIN_PY_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "2", "ADMIN_PY_NUM_THREADS": "many"}, 2),
    ],
)
def test_threads_that_the_environment_asks_for(variables: dict[str, str], threads: int) -> None:
    assert first_threads(variables, 8) == threads


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1e3", "0x2", "٣", "1,2"])
def test_what_is_no_number_of_threads_is_said_and_not_used(value: str) -> None:
    assert first_threads({"ADMIN_PY_NUM_THREADS": value}, 8) == 8
    (said,) = problems({"ADMIN_PY_NUM_THREADS": value}, "generic", 8)
    assert said.startswith(f"ADMIN_PY_NUM_THREADS must be a whole number from 1, got {value!r}")


def test_kernels_that_there_are_not() -> None:
    (said,) = problems({"ADMIN_PY_CPU": "AVX2"}, "avx2", 8)
    names = "'generic' or 'avx2' or 'avx512' or 'neon'"
    assert said == f"ADMIN_PY_CPU must be {names}, got 'AVX2'; it is not used"
    (said,) = problems({"ADMIN_PY_CPU": "avx512"}, "avx2", 8)
    assert said == "ADMIN_PY_CPU is 'avx512', which this processor cannot run; 'avx2' is used"
    assert problems({"ADMIN_PY_CPU": "generic", "ADMIN_PY_GEMM": "openblas"}, "generic", 8, blas="file") == []


@pytest.mark.parametrize("errors", [False, True])
def test_more_threads_than_processors_are_as_many_as_processors_which_is_said_once(errors: bool) -> None:
    filters = {"PYTHONWARNINGS": "error"} if errors else {}
    done = run("-c", ASK, ADMIN_PY_NUM_THREADS="100000", **filters)
    assert done.stdout.split() == [str(PROCESSORS)] * 2
    (line,) = done.stderr.splitlines()
    told = "ADMIN_PY_NUM_THREADS is '100000', more than the processors of this process"
    assert line.endswith(f"{told}; {PROCESSORS} is used")
    assert problems({"ADMIN_PY_NUM_THREADS": "8", "OMP_NUM_THREADS": "9"}, "generic", 8) == []


def test_other_libraries_share_is_kept() -> None:
    assert run("-c", ASK, OMP_NUM_THREADS="1").stdout.split() == ["1", "1"]


def test_a_command_says_in_one_line_what_it_does_not_use() -> None:
    done = run("-m", "admin_py.cli", "--version", ADMIN_PY_NUM_THREADS="abc", ADMIN_PY_GEMM="blas")
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "ADMIN_PY_NUM_THREADS must be a whole number from 1, got 'abc'" in lines[0]
    assert "ADMIN_PY_GEMM must be 'openblas', got 'blas'" in lines[1]
