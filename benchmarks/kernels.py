"""Single kernels of the core beside what bounds them: `python -m benchmarks.kernels`.

A kernel's bound is the time that the machine needs at least, for its FLOPs at the measured peak or for its
bytes at the measured bandwidth, whichever is longer. Here is what Python reaches by itself, the group
`passes`: passes over flat buffers. Products, attention and rows are timed by a C program, on one thread, see
`benchmarks.single_kernels`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import keeping, machine, single_kernels
from benchmarks.turns import Runner, child_environment

KIND = "kernels"


class Kernel(NamedTuple):
    """A kernel, and what it has to do for every element."""

    make: Callable[[], tuple[Callable[[], Any], int]]
    """What calls it, and how many elements that call goes through."""
    bytes: float
    """To and from memory, of arrays larger than the caches."""
    flops: float
    """Adding, multiplying, dividing and roots count one each."""


def _norm() -> tuple[Callable[[], Any], int]:
    import admin_py as ap

    x = np.ones(16 * 2**20, np.float32)
    return lambda: ap._core.norm2(x), x.size


def _optimizer(name: str, **options: Any) -> Callable[[], tuple[Callable[[], Any], int]]:
    def make() -> tuple[Callable[[], Any], int]:
        import admin_py as ap

        config = ap.TransformerConfig(
            vocab_size=60_000, encoder_layers=0, decoder_layers=1, d_model=256, heads=4, d_ff=512
        )
        model = ap.Transformer(config)
        model._core.gradient_buffer[...] = 1e-3
        optimizer = getattr(ap, name)(lr=1e-6, **options)
        return lambda: optimizer.step(model), model.num_parameters

    return make


# Bytes: w is read and written, g is read, each moment is read and written.
KERNELS = {
    "norm of a buffer": Kernel(_norm, bytes=4, flops=2),
    "SGD": Kernel(_optimizer("SGD"), bytes=12, flops=3),
    "SGD, momentum": Kernel(_optimizer("SGD", momentum=0.9), bytes=20, flops=5),
    "Adam": Kernel(_optimizer("Adam"), bytes=28, flops=14),
    "AdamW": Kernel(_optimizer("AdamW", weight_decay=0.1), bytes=28, flops=16),
    "RAdam": Kernel(_optimizer("RAdam"), bytes=28, flops=14),
    "NovoGrad": Kernel(_optimizer("NovoGrad"), bytes=24, flops=6),  # g twice: its norm comes first
}


class Side:
    """Kernels in a process of their own."""

    def __init__(self, threads: int) -> None:
        import admin_py as ap

        ap.set_num_threads(threads)
        self.call: Callable[[], Any] = lambda: None

    def prepare(self, name: str) -> int:
        """Make a kernel's arrays and call it once; elements of a call."""
        self.call, count = KERNELS[name].make()
        self.call()
        self.call()
        return count

    def sample(self, repeats: int) -> list[float]:
        """Seconds of calls."""
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            self.call()
            seconds.append(time.perf_counter() - start)
        return seconds


def bound(entry: dict[str, Any]) -> tuple[float, str]:
    """Seconds that the machine needs at least, and for what."""
    arithmetic, memory = entry["flops"] / entry["peak"], entry["bytes"] / entry["bandwidth"]
    return (arithmetic, "arithmetic") if arithmetic > memory else (memory, "memory")


def measure(options: argparse.Namespace, cpu: str) -> dict[str, dict[str, Any]]:
    """Samples of all kernels beside the machine's peak and its best bandwidth between them."""
    environment = child_environment(machine.environment(cpu, options.threads))
    best = Runner("benchmarks.machine", options.threads, environment=environment)
    peak, bandwidth = best.call("peak"), best.call("bandwidth")
    found: dict[str, dict[str, Any]] = {}
    for name in options.kernels:
        runner = Runner("benchmarks.kernels", options.threads, environment=environment)
        count = runner.call("prepare", name)
        found[name] = {
            "bytes": count * KERNELS[name].bytes,
            "flops": count * KERNELS[name].flops,
            "peak": peak,
            "seconds": runner.call("sample", options.samples),
        }
        runner.finish()
        bandwidth = max(bandwidth, best.call("bandwidth"))
    best.finish()
    return {name: {**entry, "bandwidth": bandwidth} for name, entry in found.items()}


def format_entries(entries: dict[str, dict[str, Any]]) -> str:
    """A line a kernel."""
    lines = [
        f"{'kernel':18} {'median ms':>9} {'from':>7} {'to':>7} {'GB/s':>6} {'of its bound':>12}  bound by"
    ]
    for name, entry in entries.items():
        low, median, high = np.percentile(entry["seconds"], [0, 50, 100])
        least, why = bound(entry)
        lines.append(
            f"{name:18} {1e3 * median:>9.2f} {1e3 * low:>7.2f} {1e3 * high:>7.2f} "
            f"{1e-9 * entry['bytes'] / median:>6.1f} {least / median:>12.0%}  {why}, {1e3 * least:.2f} ms"
        )
    return "\n".join(lines)


def keep(path: Path, kind: str, about: dict[str, Any], entries: dict[str, dict[str, Any]]) -> None:
    """Write entries beside those that the file holds of other kernels."""
    kept = keeping.load(path, kind)["entries"] if path.exists() else {}
    keeping.save(path, kind, about, {**kept, **entries})
    print(f"\nkept in {os.path.relpath(path)}\n", flush=True)


def measure_setting(options: argparse.Namespace, about: dict[str, Any], cpu: str) -> None:
    """All groups with one setting of the CPU: print and keep them."""
    print(f"--cpu {cpu}", flush=True)
    single = [group for group in single_kernels.GROUPS if group in options.groups]
    if single:
        entries = single_kernels.measure(cpu, single)
        print(single_kernels.format_entries(entries, about["caches"]))
        path = keeping.results_path("single_kernels", about, cpu=cpu, threads=1)
        keep(options.out / path.name, single_kernels.KIND, about, entries)
    if "passes" in options.groups:
        entries = measure(options, cpu)
        print(format_entries(entries))
        path = keeping.results_path("kernels", about, cpu=cpu, threads=options.threads)
        keep(options.out / path.name, KIND, about, entries)


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    groups = (*single_kernels.GROUPS, "passes")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("--groups", nargs="+", choices=groups, default=list(groups))
    parser.add_argument(
        "--kernels", nargs="+", choices=KERNELS, default=list(KERNELS), metavar="NAME", help="of the passes"
    )
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="of the passes")
    parser.add_argument("--samples", type=int, default=21, help="of the passes")
    parser.add_argument(
        "--cpu",
        nargs="+",
        choices=machine.CPU_SETTINGS,
        help="sets of kernels, by default the machine's best and, where that is AVX-512, AVX2's",
    )
    parser.add_argument("--out", type=Path, default=keeping.RESULTS, metavar="FOLDER", help="of the results")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what a file holds; measure nothing")
    return parser.parse_args(arguments)


def format_file(path: Path) -> str:
    """The tables of a file of either kind."""
    try:
        found = keeping.load(path, single_kernels.KIND)
    except ValueError:
        return format_entries(keeping.load(path, KIND)["entries"])
    return single_kernels.format_entries(found["entries"], found["machine"]["caches"])


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep, print."""
    options = read_arguments(arguments)
    if options.table is not None:
        print(format_file(options.table))
        return 0
    about = machine.describe()
    print(machine.one_line(about), flush=True)
    if set(options.groups) & set(single_kernels.GROUPS):
        single_kernels.build()
    for cpu in options.cpu or (["native", "avx2"] if about["kind"] == "AVX-512" else ["native"]):
        measure_setting(options, about, cpu)
    return 0


if __name__ == "__main__":
    sys.exit(main())
