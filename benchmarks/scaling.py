"""How time grows with depth and tokens: `python -m benchmarks.scaling`.

Three series: a training step over the number of sub-layers and over the tokens of a batch, and the output
change over the number of sub-layers. Of each it fits seconds = a + b x, by the least relative deviations, and
reports how far the medians are from the line. The goal is 10 %.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import keeping, machine
from benchmarks.turns import Runner, child_environment
from benchmarks.workload import Workload, make_batches

KIND = "scaling"
GOAL = 0.10
"""Largest relative deviation of a median from the line."""

SHALLOW = Workload(
    name="depth",
    what="language model, D 64, F 128, Pre-LN, 512 tokens of 32",
    encoder_layers=0,
    d_model=64,
    d_ff=128,
    vocab_size=1000,
    scheme="pre_ln",
    max_tokens=512,
)
FEW = Workload(name="tokens", what="4-4, D 128, F 256, sequences of 32, tokens of a side")


@dataclass(frozen=True)
class Series:
    """Workloads that differ in one size."""

    what: str
    unit: str
    sizes: tuple[int, ...]
    workload: Callable[[int], Workload]
    """That has this size."""
    work: str
    """Method of `Side` that is timed."""


DEPTHS = (12, 24, 50, 100, 200, 400, 700, 1000)
TOKENS = (512, 1024, 2048, 4096, 8192, 16_384)


def of_depth(sublayers: int) -> Workload:
    """A language model has two sub-layers a layer."""
    return replace(SHALLOW, decoder_layers=sublayers // 2)


SERIES: Mapping[str, Series] = {
    "depth": Series("a training step, " + SHALLOW.what, "sub-layers", DEPTHS, of_depth, "step"),
    "tokens": Series(
        "a training step, " + FEW.what, "tokens", TOKENS, lambda n: replace(FEW, max_tokens=n), "step"
    ),
    "output_change": Series(
        "output change, " + SHALLOW.what, "sub-layers", DEPTHS, of_depth, "output_change"
    ),
}


class Side:
    """Models of all sizes of a series, in a process of its own."""

    def __init__(self, name: str, threads: int) -> None:
        from benchmarks import our_side

        self.work = SERIES[name].work
        self.sides = {}
        for size in SERIES[name].sizes:
            workload = SERIES[name].workload(size)
            self.sides[size] = our_side.Side(workload, make_batches(workload, count=1), threads)
        self.numbers = dict.fromkeys(self.sides, 0)

    def sample(self, size: int, seconds: float) -> float:
        """Mean seconds of the work, repeated for some seconds at least; the first time it also warms up."""
        if not self.numbers[size]:
            self._do(size)
        start, count = time.perf_counter(), 0
        while not count or time.perf_counter() - start < seconds:
            self._do(size)
            count += 1
        return (time.perf_counter() - start) / count

    def _do(self, size: int) -> None:
        side, number = self.sides[size], self.numbers[size]
        self.numbers[size] += 1
        if self.work == "step":
            side.step(number)
        else:
            from admin_py.analysis import output_change

            output_change(side.model, side.batches[0], repeats=1, seed=number)


@dataclass(frozen=True)
class Line:
    """seconds = a + b x."""

    a: float
    b: float
    deviations: np.ndarray
    """seconds / (a + b x) - 1 of every size."""

    @property
    def worst(self) -> float:
        """Largest relative deviation."""
        return float(np.abs(self.deviations).max())


def fit_line(sizes: np.ndarray, seconds: np.ndarray) -> Line:
    """The line with the least sum of squared relative deviations."""
    b, a = np.polyfit(sizes, seconds, 1, w=1 / seconds)
    return Line(float(a), float(b), seconds / (a + b * sizes) - 1)


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All samples of a series, [samples, sizes]: sizes take turns, there and back."""
    series = SERIES[name]
    changes = machine.environment(options.cpu, options.threads)
    runner = Runner("benchmarks.scaling", name, options.threads, environment=child_environment(changes))
    seconds = np.zeros((options.samples, len(series.sizes)))
    for s in range(options.samples):
        order = range(len(series.sizes)) if s % 2 == 0 else reversed(range(len(series.sizes)))
        for k in order:
            seconds[s, k] = runner.call("sample", series.sizes[k], options.sample_seconds)
    return {
        "what": series.what,
        "unit": series.unit,
        "sizes": list(series.sizes),
        "seconds": seconds.tolist(),
        "peak_memory_mib": round(runner.finish()),
        "threads": options.threads,
        "cpu": options.cpu,
        "versions": machine.package_versions(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
    }


def format_series(name: str, entry: Mapping[str, Any]) -> str:
    """Table of a series and its line."""
    seconds, sizes = np.array(entry["seconds"]), np.array(entry["sizes"], dtype=float)
    medians = np.median(seconds, axis=0)
    line = fit_line(sizes, medians)
    lines = [
        f"{name}: {entry['what']}; {len(seconds)} samples a size, {entry['threads']} threads, "
        f"peak memory {entry['peak_memory_mib']} MiB",
        f"{entry['unit']:>12} {'median ms':>10} {'from':>9} {'to':>9} {'off the line':>13}",
    ]
    for k, size in enumerate(entry["sizes"]):
        low, high = 1e3 * seconds[:, k].min(), 1e3 * seconds[:, k].max()
        lines.append(
            f"{size:>12,} {1e3 * medians[k]:>10.2f} {low:>9.2f} {high:>9.2f} {line.deviations[k]:>+13.1%}"
        )
    verdict = "within" if line.worst <= GOAL else "not within"
    lines.append(
        f"ms = {1e3 * line.a:.3f} + {1e3 * line.b:.5f} {entry['unit']}, at most {line.worst:.1%} off it: "
        f"{verdict} {GOAL:.0%}"
    )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES))
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--cpu", choices=machine.CPU_SETTINGS, default="native")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--sample-seconds", type=float, default=0.2)
    parser.add_argument("--out", type=Path, help="file of the results, by default one in benchmarks/results")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what a file holds; measure nothing")
    options = parser.parse_args(arguments)
    if options.table is not None:
        for name, entry in keeping.load(options.table, KIND)["entries"].items():
            print(format_series(name, entry), end="\n\n")
        return 0
    about = machine.describe()
    print(machine.one_line(about), flush=True)
    path = options.out or keeping.results_path("scaling", about, cpu=options.cpu, threads=options.threads)
    kept = keeping.load(path, KIND)["entries"] if path.exists() else {}
    for name in options.series:
        kept[name] = measure(name, options)
        keeping.save(path, KIND, about, {one: kept[one] for one in SERIES if one in kept})
        print("\n" + format_series(name, kept[name]), flush=True)
    print(f"\nkept in {os.path.relpath(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
