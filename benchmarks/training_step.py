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

from benchmarks import keeping, machine, rounds, table
from benchmarks.rooflines import draw_roofline
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
    parser.add_argument(
        "--sample-seconds", type=float, default=defaults["sample_seconds"], help="of a sample, at least"
    )
    parser.add_argument("--rest", type=float, default=defaults["rest"], help="seconds before each sample")
    parser.add_argument(
        "--compile-limit", type=float, default=defaults["compile_limit"], help="seconds for torch.compile"
    )
    parser.add_argument("--out", type=Path, help="file of the results, by default one in benchmarks/results")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what a file holds; measure nothing")
    given = parser.parse_args(arguments)
    if given.out is not None and given.out.is_dir():
        parser.error(f"--out must be a file, got the folder {given.out}")
    return given


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep, print."""
    given = read_arguments(arguments)
    if given.table is not None:
        print(table.format_table(keeping.load(given.table, table.KIND)))
        return 0
    options = Options(**{field.name: getattr(given, field.name) for field in fields(Options)})
    about = machine.describe()
    path = given.out or keeping.results_path("training_step", about, cpu=options.cpu, threads=options.threads)
    kept = keeping.load(path, table.KIND)["entries"] if path.exists() else {}
    print(machine.one_line(about), flush=True)
    for name in given.workloads:
        try:
            kept[name] = rounds.measure(WORKLOADS[name], options, say=lambda text: print(text, flush=True))
        except SideFailed as failure:
            print(f"{name} cannot be measured: {failure}", file=sys.stderr)
            return 1
        # what was measured is kept, whatever happens to the next
        keeping.save(path, table.KIND, about, {one: kept[one] for one in WORKLOADS if one in kept})
    results = keeping.load(path, table.KIND)
    draw_roofline(results, path.with_suffix(".png"))
    print()
    print(table.format_table(results))
    print(f"\nkept in {os.path.relpath(path)}, with a picture beside it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
