"""Whole training steps beside PyTorch's fastest: `python -m benchmarks.training_step`.

Forward pass, label-smoothed loss, backward pass, clipping, Adam. PyTorch runs eager and compiled, with
glibc's allocator and with jemalloc; the fastest then takes turns with ours. Results are kept as JSON.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks import machine, rounds, table
from benchmarks.rounds import Options
from benchmarks.turns import SideFailed
from benchmarks.workload import WORKLOADS


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    defaults = {field.name: field.default for field in fields(Options)}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="workloads:\n" + "\n".join(f"  {w.name:12} {w.what}" for w in WORKLOADS.values()),
    )
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--cpu", choices=machine.CPU_SETTINGS, default="native", help="kernels of both sides")
    parser.add_argument("--samples", type=int, default=defaults["samples"], help="at most")
    parser.add_argument(
        "--seconds", type=float, default=defaults["seconds"], help="of a workload's rounds, about"
    )
    parser.add_argument("--rest", type=float, default=defaults["rest"], help="seconds before each sample")
    parser.add_argument(
        "--compile-limit", type=float, default=defaults["compile_limit"], help="seconds for torch.compile"
    )
    parser.add_argument("--out", type=Path, help="file of the results, by default one in benchmarks/results")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what a file holds; measure nothing")
    return parser.parse_args(arguments)


def results_path(about: dict[str, Any], options: Options) -> Path:
    """A file for each kind of machine, setting of the CPU and number of threads."""
    kind = about["kind"].lower().replace("-", "") if options.cpu == "native" else options.cpu
    return table.RESULTS / f"training_step-{machine.slug(about)}-{kind}-{options.threads}threads.json"


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep, print."""
    given = read_arguments(arguments)
    if given.table is not None:
        print(table.format_table(table.load(given.table)))
        return 0
    options = Options(
        threads=given.threads,
        cpu=given.cpu,
        samples=given.samples,
        seconds=given.seconds,
        rest=given.rest,
        compile_limit=given.compile_limit,
    )
    about = machine.describe()
    path = given.out or results_path(about, options)
    kept = table.load(path)["workloads"] if path.exists() else {}
    print(table.describe_machine(about), flush=True)
    for name in given.workloads:
        try:
            kept[name] = rounds.measure(WORKLOADS[name], options, say=lambda text: print(text, flush=True))
        except SideFailed as failure:
            print(f"{name} cannot be measured: {failure}", file=sys.stderr)
            return 1
        # what was measured is kept, whatever happens to the next
        table.save(path, about, {one: kept[one] for one in WORKLOADS if one in kept})
    print()
    print(table.format_table(table.load(path)))
    print(f"\nkept in {os.path.relpath(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
