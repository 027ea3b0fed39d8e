"""Decoding beside CTranslate2: `python -m benchmarks.decoding`.

The same weights in float32, greedy and with a beam of 5, 32 sentences at once and one, outputs of the same
length. Two processes take turns; wall seconds, and seconds of processors, which other programs disturb less.
Greedy decoding is also timed beside a whole pass for every token. Results are kept as JSON.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import keeping, machine
from benchmarks.decoding_cases import CASES, OLD_WAY, TOKENS, Case, make_sources
from benchmarks.turns import Runner, SideFailed, child_environment

KIND = "decoding"
WHOLE_PASSES = "whole passes"
LIMIT = 300.0
"""Seconds that any answer may take."""


def measure(case: Case, *, threads: int, cpu: str, samples: int, rest: float) -> dict[str, Any]:
    """All samples of both sides, as plain JSON."""
    environment = child_environment(machine.environment(cpu, threads))
    given = make_sources(case.count, case.workload.vocab_size)
    ours = Runner("benchmarks.our_decoding_side", case, given, threads, environment=environment, limit=LIMIT)
    with tempfile.TemporaryDirectory() as folder:
        ours.call("save", folder)
        arguments = (case, given, threads, folder)
        theirs = Runner("benchmarks.ctranslate2_side", *arguments, environment=environment, limit=LIMIT)
    sides = {"ours": ours, "ctranslate2": theirs}
    results: dict[str, dict[str, Any]] = {
        name: {**side.call("describe"), "seconds": [], "cpu_seconds": []} for name, side in sides.items()
    }
    found = {name: side.call("decode", case.count)[2] for name, side in sides.items()}  # warm
    if any(len(ids) != TOKENS for lines in found.values() for ids in lines):
        raise SideFailed(f"an output has not {TOKENS} tokens")
    for sample in range(samples):
        for name in list(sides) if sample % 2 == 0 else reversed(list(sides)):
            time.sleep(rest)  # threads of the side before stop spinning
            seconds, cpu_seconds, _ = sides[name].call("decode", case.count)
            results[name]["seconds"].append(seconds)
            results[name]["cpu_seconds"].append(cpu_seconds)
    entry = about(threads=threads, cpu=cpu) | {"case": asdict(case), **results}
    if case == OLD_WAY:
        entry[WHOLE_PASSES] = [ours.call("whole_passes", case.count) for _ in range(samples)]
    for side in sides.values():
        side.finish()
    return entry


def about(**options: Any) -> dict[str, Any]:
    """What belongs to every entry."""
    return {
        "options": options,
        "versions": machine.package_versions(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        "load": os.getloadavg()[0],
    }


def ratios(entry: Mapping[str, Any], kind: str = "seconds") -> np.ndarray:
    """CTranslate2's over ours, of neighbouring samples."""
    return np.array(entry["ctranslate2"][kind]) / np.array(entry["ours"][kind])


HEAD = (
    f"{'':26} {'sentences a second':>20} {'CTranslate2 over ours':>31} {'':>10} {'processors':>11}\n"
    f"{'case':26} {'ours':>8} {'CTranslate2':>11} {'median (quartiles)':>31} {'goal':>10} "
    f"{'median':>11} {'load':>6}"
)


def row(name: str, entry: Mapping[str, Any]) -> str:
    """One line of the table."""
    first, median, third = np.percentile(ratios(entry), [25, 50, 75])
    count, goal = entry["case"]["count"], entry["case"]["goal"]
    rates = [count / float(np.median(entry[side]["seconds"])) for side in ("ours", "ctranslate2")]
    spread = f"{median:.2f} ({first:.2f} to {third:.2f})"
    reached = "yes" if median >= goal else "no"
    return (
        f"{name:26} {rates[0]:>8.0f} {rates[1]:>11.0f} {spread:>31} {goal:>6.1f} {reached:>3} "
        f"{np.median(ratios(entry, 'cpu_seconds')):>11.2f} {entry['load']:>6.1f}"
    )


def format_table(results: Mapping[str, Any]) -> str:
    """All that a file holds, for people."""
    lines = [machine.one_line(results["machine"]), "", HEAD]
    lines += [row(name, entry) for name, entry in results["entries"].items()]
    for name, entry in results["entries"].items():
        if WHOLE_PASSES in entry:
            new, old = np.array(entry[WHOLE_PASSES]).T
            lines.append(
                f"{name}: a pass for every token takes {np.median(old / new):.1f} times as long, goal 10"
            )
    return "\n".join(lines)


def read_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decoding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--cpu", choices=machine.CPU_SETTINGS, default="native", help="kernels of both sides")
    parser.add_argument("--samples", type=int, default=11)
    parser.add_argument("--rest", type=float, default=0.3, help="seconds before each sample")
    parser.add_argument("--out", type=Path, help="file of the results, by default one in benchmarks/results")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what a file holds; measure nothing")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, keep, print."""
    given = read_arguments(arguments)
    if given.table is not None:
        print(format_table(keeping.load(given.table, KIND)))
        return 0
    here = machine.describe()
    path = given.out or keeping.results_path("decoding", here, cpu=given.cpu, threads=given.threads)
    kept = keeping.load(path, KIND)["entries"] if path.exists() else {}
    options = {name: getattr(given, name) for name in ("threads", "cpu", "samples", "rest")}
    for name in given.cases:
        try:
            kept[name] = measure(CASES[name], **options)
        except SideFailed as failure:
            print(f"{name} cannot be measured: {failure}", file=sys.stderr)
            return 1
        # what was measured is kept, whatever happens to the next
        keeping.save(path, KIND, here, {one: kept[one] for one in CASES if one in kept})
        print(row(name, kept[name]), flush=True)
    print()
    print(format_table(keeping.load(path, KIND)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
