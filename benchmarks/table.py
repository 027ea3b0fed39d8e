"""What was measured of training steps, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.workload import Goal

KIND = "training steps"

Entry = Mapping[str, Any]
"""What `rounds.measure` returns."""


def ratios(entry: Entry, side: str = "pytorch") -> np.ndarray:
    """PyTorch's seconds over ours, of neighbouring samples; side "pytorch_bfloat16": mixed precision."""
    return np.array(entry[side]["seconds"]) / np.array(entry["ours"]["seconds"])


def rate(entry: Entry, side: str) -> float:
    """Useful FLOP/s of the median sample of a side."""
    return entry["flops"] / float(np.median(entry[side]["seconds"]))


def mfu(entry: Entry, side: str) -> float:
    """Over the peak, the better of those measured just before and just after: noise only lowers it."""
    return rate(entry, side) / max(entry["peak"])


def goal_of(entry: Entry) -> Goal | None:
    """What the workload aimed at when it was measured."""
    goal = entry["workload"]["goal"]
    return None if goal is None else Goal(*goal)


HEAD = (
    f"{'':12} {'--------- ours ---------':>24} {'- PyTorch -':>12} {'PyTorch over ours':>34} "
    f"{'goal':>8} {'':>9} {'PyTorch, bfloat16':>19}\n"
    f"{'workload':12} {'ms':>9} {'GFLOP/s':>8} {'MFU':>5} {'ms':>7} {'MFU':>5} "
    f"{'median (quartiles; extremes)':>33} {'ratio':>9} {'MFU':>9} {'ms':>11} {'ratio':>7}  PyTorch's fastest"
)


def row(entry: Entry) -> str:
    """One line of the table."""
    quick, first, median, third, slow = np.percentile(ratios(entry), [0, 25, 50, 75, 100])
    ours, theirs = (1e3 * float(np.median(entry[side]["seconds"])) for side in ("ours", "pytorch"))
    spread = f"{median:.2f} ({first:.2f} to {third:.2f}; {quick:.2f} to {slow:.2f})"
    goal = goal_of(entry)
    wanted = f"{'-':>9} {'-':>9}"
    if goal is not None:
        wanted = (
            f"{goal.ratio:>5.2f} {_verdict(median >= goal.ratio)} "
            f"{100 * goal.mfu:>3.0f} % {_verdict(mfu(entry, 'ours') >= goal.mfu)}"
        )
    mixed = f"{'-':>11} {'-':>7}"
    if "pytorch_bfloat16" in entry:
        seconds = float(np.median(entry["pytorch_bfloat16"]["seconds"]))
        mixed = f"{1e3 * seconds:>11.1f} {np.median(ratios(entry, 'pytorch_bfloat16')):>7.2f}"
    return (
        f"{entry['workload']['name']:12} {ours:>9.1f} {rate(entry, 'ours') * 1e-9:>8.0f} "
        f"{100 * mfu(entry, 'ours'):>3.0f} % {theirs:>7.1f} {100 * mfu(entry, 'pytorch'):>3.0f} % "
        f"{spread:>33} {wanted} {mixed}  {entry['pytorch']['variant']}"
    )


def _verdict(holds: bool) -> str:
    return "yes" if holds else "no "


def describe_entry(entry: Entry) -> str:
    """What stands behind a line: peaks, memory, losses, versions, and the share of each kind of work."""
    ours, options = entry["ours"], entry["options"]
    theirs = [entry[name] for name in ("pytorch", "pytorch_bfloat16") if name in entry]
    before, after = (f"{1e-9 * peak:.0f}" for peak in entry["peak"])
    lines = [
        f"{entry['workload']['name']}: {entry['workload']['what']}; {entry['tokens']:.0f} tokens and "
        f"{entry['flops'] * 1e-9:.1f} useful GFLOP a step; {len(ours['seconds'])} samples of "
        f"{entry['steps_per_sample']} steps, {entry['measured_at']}",
        f"  {options['threads']} threads, CPU setting {options['cpu']}, peak {before} GFLOP/s before "
        f"and {after} after ({entry['peak_blas']}), bandwidth {entry['bandwidth'] * 1e-9:.0f} GB/s",
    ]
    for side in (ours, *theirs):
        loss = "not finite" if side["loss"] is None else f"{side['loss']:.3f}"
        lines.append(
            f"  {side['name']}, {side['kernels']} kernels: from {1e3 * min(side['seconds']):.1f} to "
            f"{1e3 * max(side['seconds']):.1f} ms, peak memory {side['peak_memory_mib']} MiB, "
            f"last loss {loss}"
        )
    if ours["timings"]:
        total = sum(ours["timings"].values())
        shares = sorted(ours["timings"].items(), key=lambda item: -item[1])
        lines.append("  ours by kind: " + ", ".join(f"{kind} {100 * s / total:.0f} %" for kind, s in shares))
    for name, tried in (pair for side in theirs for pair in side["variants"].items()):
        if "left_out" in tried:
            lines.append(f"  PyTorch {name}: left out, {tried['left_out']}")
    return "\n".join(lines)


def format_table(results: Mapping[str, Any]) -> str:
    """All that a file holds, for people."""
    entries = results["entries"].values()
    lines = [machine.one_line(results["machine"]), "", HEAD, *map(row, entries), ""]
    return "\n".join([*lines, *map(describe_entry, entries)])
