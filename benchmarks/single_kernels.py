"""Products, attention and row kernels, one at a time on one thread: what `benchmarks.kernels` gets from C.

`csrc/benchmarks` times them in turns with what bounds them. Products and attention are held against
multiply-adds in registers, the peak of one core; rows against a += b on arrays of as many bytes in all: the
bandwidth of memory, or of the cache that holds these arrays.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from admin_py.base.openblas import openblas_file
from benchmarks import machine
from benchmarks.turns import child_environment

KIND = "single kernels"
CORE = Path(__file__).resolve().parents[1] / "csrc"
PROGRAM = CORE / "build" / "release" / "float32" / "kernels_benchmark"
GROUPS = ("products", "attention", "rows")
MULTIPLY_ADDS = "multiply-adds"
ADDITION = "a += b"
ADDITION_PASSES = 1.5
"""Times its arrays' bytes: both are read, one is written."""
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def build() -> None:
    """Compile the program, where it is older than its sources."""
    command = [
        "make",
        "--no-print-directory",
        "-C",
        str(CORE),
        "kernels-benchmark",
        f"PYTHON={sys.executable}",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def parse(lines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Entries of the program's lines, by name; the first line says of which kernels and which BLAS."""
    found: dict[str, dict[str, Any]] = {}
    head: dict[str, Any] = {}
    for line in lines:
        fields = json.loads(line)
        name = fields.pop("name", None)
        if name is None:
            head = fields
        else:
            found[name] = {**fields, **head}
    return found


def measure(cpu: str, groups: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Entries of all kernels of some groups."""
    environment = child_environment(machine.environment(cpu, 1)) | {"OPENBLAS": str(openblas_file())}
    done = subprocess.run([PROGRAM, *groups], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return parse(done.stdout.splitlines())


def rate(entry: Mapping[str, Any]) -> float:
    """What the machine gives at most: FLOP/s, or of rows bytes/s; the median of the turns."""
    if entry["group"] == "rows":
        return ADDITION_PASSES * entry["working_set"] / float(np.median(entry["seconds"][ADDITION]))
    return entry["peak_flops"] / float(np.median(entry["seconds"][MULTIPLY_ADDS]))


def share(entry: Mapping[str, Any]) -> float:
    """What a kernel reaches of that: the median of the ratios within a turn."""
    if entry["group"] == "rows":
        bound, part = ADDITION, entry["bytes"] / (ADDITION_PASSES * entry["working_set"])
    else:
        bound, part = MULTIPLY_ADDS, entry["flops"] / entry["peak_flops"]
    return float(np.median(part * np.divide(entry["seconds"][bound], entry["seconds"]["core"])))


def beside_blas(entry: Mapping[str, Any]) -> float:
    """How much faster than OpenBLAS, however that is called: the median of the ratios within a turn."""
    others = [seconds for side, seconds in entry["seconds"].items() if side.startswith("openblas")]
    return float(np.median(np.min(others, axis=0) / np.array(entry["seconds"]["core"])))


def place(working_set: float, caches: Mapping[str, str]) -> str:
    """The smallest cache that holds so many bytes, or memory."""
    sizes = {
        name.split()[0]: int(size.rstrip("KMG")) * UNITS[size.lstrip("0123456789")]
        for name, size in caches.items()
        if "instruction" not in name
    }
    return next((name for name in sorted(sizes) if working_set <= sizes[name]), "memory")


def _columns_of_flops(entry: Mapping[str, Any], caches: Mapping[str, str]) -> str:
    low, median = np.percentile(entry["seconds"]["core"], [0, 50])
    blas = min(np.median(x) for side, x in entry["seconds"].items() if side.startswith("openblas"))
    return (
        f"{1e-9 * entry['flops'] / median:>8.1f} {1e-9 * entry['flops'] / low:>6.1f} "
        f"{share(entry):>8.0%} {1e-9 * rate(entry):>6.1f} {1e-9 * entry['flops'] / blas:>9.1f} "
        f"{beside_blas(entry):>6.2f}"
    )


def _columns_of_rows(entry: Mapping[str, Any], caches: Mapping[str, str]) -> str:
    low, median = np.percentile(entry["seconds"]["core"], [0, 50])
    return (
        f"{1e-9 * entry['bytes'] / median:>8.1f} {1e-9 * entry['bytes'] / low:>6.1f} "
        f"{share(entry):>10.0%} {1e-9 * rate(entry):>7.1f} "
        f"{1e-9 * entry['elements'] / median:>13.2f}  {place(entry['working_set'], caches)}"
    )


FLOPS_HEAD = f"{'GFLOP/s':>8} {'best':>6} {'of peak':>8} {'peak':>6} {'OpenBLAS':>9} {'ratio':>6}"
ROWS_HEAD = f"{'GB/s':>8} {'best':>6} {'of a += b':>10} {'a += b':>7} {'Gelements/s':>13}  in"
Columns = Callable[[Mapping[str, Any], Mapping[str, str]], str]
TABLES: Mapping[str, tuple[str, Columns]] = {
    "products": (FLOPS_HEAD, _columns_of_flops),
    "attention": (FLOPS_HEAD, _columns_of_flops),
    "rows": (ROWS_HEAD, _columns_of_rows),
}


def format_entries(entries: Mapping[str, Mapping[str, Any]], caches: Mapping[str, str]) -> str:
    """A table a group, a line a kernel; medians, and the best beside them."""
    tables = []
    for group, (head, columns) in TABLES.items():
        chosen = {name: entry for name, entry in entries.items() if entry["group"] == group}
        if not chosen:
            continue
        width = max(map(len, chosen))
        some = next(iter(chosen.values()))
        tables.append(
            f"{group}, {some['kernels']}, one thread, medians of {len(some['seconds']['core'])}\n"
            f"{'kernel':{width}} {head}"
        )
        tables[-1] += "".join(f"\n{name:{width}} {columns(entry, caches)}" for name, entry in chosen.items())
    return "\n\n".join(tables)
