"""Several Python threads that train at the same time, and how many threads the core has for each."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from company import run_script, train

import admin_py as ap

PLENTY = "import admin_py as ap\nfrom company import num_threads_alive, train\n"


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_different_models_train_at_the_same_time(threads: int) -> None:
    """Each as alone, in both precisions."""
    before = ap.get_num_threads()
    ap.set_num_threads(1)
    jobs = [(seed, 3, dtype) for seed in (1, 2) for dtype in ("float32", "float64")]
    alone = [train(*job) for job in jobs]
    try:
        ap.set_num_threads(threads, oversubscribe=True)
        with ThreadPoolExecutor(len(jobs)) as pool:
            assert list(pool.map(lambda job: train(*job), jobs)) == alone
    finally:
        ap.set_num_threads(before, oversubscribe=True)


def test_the_threads_of_a_python_thread_end_with_it() -> None:
    code = """
from threading import Thread
def run():
    thread = Thread(target=train, args=(1, 1)); thread.start(); thread.join()
ap.set_num_threads(4, oversubscribe=True)
run()
before = num_threads_alive()
for _ in range(20):
    run()
print(num_threads_alive() - before < 3 * 20 / 2)
"""
    assert run_script(PLENTY + code) == ["True"]


def test_more_threads_than_there_is_room_for() -> None:
    """The core has a limit of its own on threads that run at once, as OpenBLAS crashes beyond its.

    Those of a Python thread end a little later than Python says of it.
    """
    code = """
import time
from concurrent.futures import ThreadPoolExecutor
ap.set_num_threads(1024, oversubscribe=True)
with ThreadPoolExecutor(3) as pool:
    print(*pool.map(lambda seed: train(seed, 1), (1, 2, 3)))
until = time.monotonic() + 60
while num_threads_alive() >= 600 and time.monotonic() < until:
    time.sleep(0.01)
print(num_threads_alive() < 600)
"""
    assert run_script(PLENTY + code) == [" ".join(train(seed, 1) for seed in (1, 2, 3)), "True"]


def test_a_limit_does_not_give_openblas_its_threads_back() -> None:
    """It would otherwise: to threadpoolctl a limit above 1 means that many threads for every BLAS."""
    for needed in ("threadpoolctl", "scipy_openblas32"):
        pytest.importorskip(needed)
    code = """
from threadpoolctl import threadpool_info, threadpool_limits
def threads():
    return [one["num_threads"] for one in threadpool_info() if "scipy_openblas32" in one["filepath"]]
print(threads())
with threadpool_limits(4):
    print(threads())
    train(1)
    print(threads())
"""
    assert run_script(PLENTY + code, ADMIN_PY_GEMM="openblas") == ["[1]", "[4]", "[1]"]


def test_a_block_has_its_own_number_of_threads() -> None:
    before = ap.get_num_threads()
    with ap.threads(1):
        assert ap.get_num_threads() == 1
        with ap.threads(5, oversubscribe=True):
            assert ap.get_num_threads() == 5
        assert ap.get_num_threads() == 1
    assert ap.get_num_threads() == before


def test_the_number_comes_back_after_an_error_and_where_it_was_above_the_processors() -> None:
    with ap.threads(1024, oversubscribe=True):
        with pytest.raises(RuntimeError, match="inside"), ap.threads(1):
            raise RuntimeError("inside")
        assert ap.get_num_threads() == 1024


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (1.0, TypeError), (1025, ValueError)])
def test_a_wrong_number_is_refused_before_the_block(n: Any, error: type[Exception]) -> None:
    before = ap.get_num_threads()
    with pytest.raises(error, match="n must be an integer"), ap.threads(n, oversubscribe=True):
        raise AssertionError("the block was entered")
    with pytest.raises(ValueError, match="at most the number of processors"), ap.threads(1024):
        raise AssertionError("the block was entered")
    assert ap.get_num_threads() == before


LIMITS = {
    "address space": """
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (160 << 20), size + (160 << 20)))
""",
    "processes": """
if os.getuid() == 0:
    os.setuid(65534)  # whom the limit holds
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
""",
}


@pytest.mark.parametrize("limit", LIMITS)
def test_threads_that_the_system_does_not_make_are_done_without(limit: str) -> None:
    """One warning, the same bits, for a process whose limits its caller chose."""
    code = f"""
import os, resource, warnings
from company import Training
ap.set_num_threads(1)
alone, own = Training(1), Training(1)
expected = alone.steps(3)
own.steps(1)
{LIMITS[limit]}
ap.set_num_threads(64, oversubscribe=True)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    print(own.steps(2) == expected, len(seen), str(seen[0].message).partition(":")[0])
"""
    (line,) = run_script(PLENTY + code)
    assert re.fullmatch(
        r"True 1 a limit of the system .* leaves [0-9]+ of the threads that were asked for", line
    )
