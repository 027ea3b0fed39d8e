"""How long fuzzing takes, and from which seed.

``ADMIN_PY_FUZZ_SECONDS`` is the time of each fuzzer, which ``make fuzz`` sets; without it a fuzzer makes a
fixed number of calls, the same each time. ``ADMIN_PY_FUZZ_SEED`` is where their numbers begin: a failure
names its own, and ``ADMIN_PY_FUZZ_SEED=that ADMIN_PY_FUZZ_CALLS=1`` makes that call alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator


def numbers(calls: int) -> Iterator[int]:
    """Numbers of the calls to make: seeds, each of one call."""
    seconds = os.environ.get("ADMIN_PY_FUZZ_SECONDS")
    first = int(os.environ.get("ADMIN_PY_FUZZ_SEED", time.time_ns() // 1000 if seconds else 0))
    count = int(os.environ.get("ADMIN_PY_FUZZ_CALLS", 10**12 if seconds else calls))
    end = time.monotonic() + float(seconds) if seconds else float("inf")
    print(f"fuzzing from ADMIN_PY_FUZZ_SEED={first}")
    for number in range(first, first + count):
        if time.monotonic() > end:
            return
        yield number


def examples(count: int) -> int:
    """Examples that Hypothesis is to find: many more where a budget of time is given, which it has not."""
    return count * 20 if "ADMIN_PY_FUZZ_SECONDS" in os.environ else count
