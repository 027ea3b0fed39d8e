"""How many threads a training step can keep busy: `python -m benchmarks.schedule --threads 64`.

The step is cut into tasks as for so many threads, and computed on one, which needs no machine of that size.
The core notes how long each task computes and what it waits for, and the tasks are replayed on as many
threads: see `benchmarks/replay.py`. What is left out is what threads do to each other: shared caches and
memory, and the microseconds that it takes to wake them. `--check` measures how far that is off on threads
that are here, where nothing else may run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import admin_py as ap
from benchmarks import machine
from benchmarks.our_side import Side
from benchmarks.replay import Part, Step, function_names, read, replay, typical
from benchmarks.workload import WORKLOADS, Workload, make_batches

CAPACITY = 1 << 22
"""Events of a step, at most."""
SHOWN = 6
"""Parts of a table."""
TOLERANCE = 0.05
"""By which a replay may differ from real threads."""


def record(side: Side, threads: int) -> Step:
    """One step, cut as for so many threads; one before it makes the memory that it takes."""
    with ap.threads(threads, oversubscribe=True):
        side.step(0)
        ap._core.trace_begin(CAPACITY)
        try:
            begin = time.thread_time()
            side.step(0)
            end = time.thread_time()
        finally:
            events = ap._core.trace_end()
    return read(events, begin, end)


def timed(side: Side, threads: int) -> float:
    """Seconds of one step on real threads, which one before it starts."""
    with ap.threads(threads, oversubscribe=True):
        side.step(0)
        begin = time.perf_counter()
        side.step(0)
        return time.perf_counter() - begin


def names() -> dict[int, str]:
    """Of the core's functions."""
    return function_names(Path(ap._core.__file__))


def show(workload: Workload, threads: int, alone: float, seconds: float, parts: Sequence[Part]) -> None:
    """The table of one workload on so many threads."""
    what = f"{workload.max_tokens} tokens in sequences of {workload.length or 'real lengths'}"
    print(
        f"\n{workload.name}, {what}, {threads} threads: {alone / seconds:.1f} busy "
        f"({1e3 * alone:.1f} ms on one thread, {1e3 * seconds:.2f} ms replayed)"
    )
    print(f"{'part':<44} {'ms':>8} {'ms of one':>10} {'busy':>6} {'of all idle':>12}")
    idle = max(sum(part.idle for part in parts), 1e-12)
    for part in parts[:SHOWN]:
        busy = part.work / part.seconds if part.seconds > 0 else 0.0
        print(
            f"{part.name:<44} {1e3 * part.seconds:8.2f} {1e3 * part.work:10.2f} {busy:6.1f} "
            f"{part.idle / idle:12.0%}"
        )


def measure(workload: Workload, options: argparse.Namespace) -> bool:
    """Tables of one workload; whether the check, if asked for, holds."""
    side = Side(workload, make_batches(workload, 1), 1)
    wanted = [*options.threads, *(options.check or [])]
    recorded: dict[int, list[Step]] = {threads: [] for threads in [1, *wanted]}
    real: dict[int, list[float]] = {threads: [] for threads in options.check or []}
    side.step(0)
    for _ in range(options.repeats):
        for threads, steps in recorded.items():
            steps.append(record(side, threads))
        for threads, times in real.items():
            times.append(timed(side, threads))
    step_of = {threads: typical(steps) for threads, steps in recorded.items()}
    alone = step_of[1].seconds
    for threads in options.threads:
        show(workload, threads, alone, *replay(step_of[threads], threads, names()))
    holds = True
    for threads, times in real.items():
        replayed, _ = replay(step_of[threads], threads, names())
        ratio = replayed / float(np.median(times))
        holds &= abs(ratio - 1) <= TOLERANCE
        print(
            f"{workload.name}, {threads} real threads: {1e3 * np.median(times):.2f} ms, "
            f"replayed {1e3 * replayed:.2f} ms, ratio {ratio:.3f}"
        )
    return holds


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--threads", type=int, nargs="+", default=[32, 64], help="to replay on")
    made.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=["tiny", "small"])
    made.add_argument("--tokens", type=int, nargs="+", default=[4096], help="of a batch, on each side")
    made.add_argument(
        "--length", type=int, help="of all sequences, instead of each workload's; divides the tokens"
    )
    made.add_argument("--repeats", type=int, default=7, help="steps, of whose parts the medians are taken")
    made.add_argument(
        "--check",
        type=int,
        nargs="+",
        metavar="THREADS",
        help="compare with so many real threads, such as 1 2",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Print tables; 1 if the check does not hold."""
    options = parser().parse_args(arguments)
    print(machine.one_line(machine.describe()))
    holds = True
    for name in options.workloads:
        for tokens in options.tokens:
            workload = replace(WORKLOADS[name], max_tokens=tokens)
            if options.length is not None:
                workload = replace(workload, length=options.length)
            holds &= measure(workload, options)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
