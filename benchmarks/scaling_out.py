"""A training over several processes: `python -m benchmarks.scaling_out`.

Two ranks of one thread and one process of two threads train in turn, the same updates to the same bits.
What a rank sends in a step is counted, beside the formula: of n trained numbers of s bytes and `accumulate`
batches of R ranks, s n (1 - 1 / R) (accumulate / R + 1). From the seconds of one batch and the bandwidth and
latency of a network follows weak scaling, a batch a node and step, up to 256 nodes: with the exchange after
the backward pass, and with that of the decoder's layers beside the encoder's backward pass, as it is where a
node has a processor to spare for each of its processes.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import keeping, machine
from benchmarks.turns import ROOT, child_environment

KIND = "scaling out"
GOAL = 0.95
"""Speed of two ranks, where that of one process is 1."""

NODES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MESSAGES = 12
"""Small ones of a step, beside the parts of gradients and weights: losses, norms, whether to end."""


class Network(NamedTuple):
    """Between nodes."""

    bytes_a_second: float = 100e9 / 8
    latency: float = 2e-6


class Predicted(NamedTuple):
    """Seconds of a step's parts on so many nodes."""

    nodes: int
    compute: float
    gradients: float
    weights: float
    small: float
    later: float
    """The share of the gradients that are whole before the encoder's backward pass."""

    @property
    def seconds(self) -> float:
        """One after the other."""
        return self.compute + self.gradients + self.weights + self.small

    @property
    def efficiency(self) -> float:
        """Of a node, compared with one alone."""
        return self.compute / self.seconds

    @property
    def early(self) -> float:
        """The same where those are exchanged beside it, which takes its part of two thirds of a step."""
        hidden = min(self.later * self.gradients, (1 - self.later) * 2 / 3 * self.compute)
        return self.compute / (self.seconds - hidden)


def volume(n: int, size: int, ranks: int, accumulate: int) -> tuple[float, float]:
    """Bytes that a rank sends for gradients and for weights."""
    part = n * size * (1 - 1 / ranks)
    return part * accumulate / ranks, part


def predict(n: int, size: int, compute: float, nodes: int, network: Network, later: float = 0.0) -> Predicted:
    """A batch a node: each sends every other one its part, then all collect the weights."""
    gradients, weights = volume(n, size, nodes, nodes)
    hops = (nodes - 1) * network.latency
    return Predicted(
        nodes,
        compute,
        gradients / network.bytes_a_second + hops,
        weights / network.bytes_a_second + hops,
        MESSAGES * math.ceil(math.log2(nodes)) * network.latency if nodes > 1 else 0.0,
        later,
    )


def run_side(options: argparse.Namespace, *, ranks: int) -> dict[str, Any]:
    """Seconds of a side's steps."""
    command = [
        sys.executable, "-m", "benchmarks.shared_side", "--workload", options.workload,
        "--tokens", options.tokens, "--steps", options.steps, "--threads", 2 // ranks,
    ]  # fmt: skip
    if ranks > 1:
        command = [Path(sys.executable).with_name("mpiexec"), "-n", ranks, *command, "--ranks"]
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment = child_environment(machine.environment("native", 2 // ranks)) | root
    ran = subprocess.run(
        list(map(str, command)), cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(ran.stdout)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both sides in turn."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    told: dict[str, Any] = {}
    for i in range(options.rounds):
        for ranks in (1, 2) if i % 2 == 0 else (2, 1):
            found = run_side(options, ranks=ranks)
            seconds[ranks].append(float(np.median(found["seconds"])))
            told = found if ranks == 2 else told
            if told and found["loss"] != told["loss"]:
                raise SystemExit(f"the sides differ: loss {found['loss']!r}, {told['loss']!r}")
    return {
        "workload": options.workload,
        "max_tokens": options.tokens,
        "accumulate": 2,
        "seconds": {"one process, 2 threads": seconds[1], "2 ranks, a thread each": seconds[2]},
        "trained": told["trained"],
        "later": told["later"],
        "itemsize": told["itemsize"],
        "sent": told["sent"],
        "versions": machine.package_versions(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
    }


def predictions(entry: Mapping[str, Any], speed: float, network: Network) -> list[Predicted]:
    """Weak scaling, of nodes so many times as fast as the machine that was measured."""
    compute = float(np.median(entry["seconds"]["one process, 2 threads"])) / entry["accumulate"] / speed
    sizes, later = (entry["trained"], entry["itemsize"]), entry["later"] / entry["trained"]
    return [predict(*sizes, compute, nodes, network, later) for nodes in NODES]


def show(entries: Mapping[str, Any], speed: float, network: Network) -> None:
    """What was measured, and what follows."""
    for name, entry in entries.items():
        one, two = (np.array(values) for values in entry["seconds"].values())
        ratios = one / two
        print(
            f"{name}: {entry['trained']:,} trained numbers, 2 batches of {entry['max_tokens']} tokens\n"
            f"  one process of 2 threads {1e3 * np.median(one):.0f} ms, 2 ranks of one thread "
            f"{1e3 * np.median(two):.0f} ms: speed {np.median(ratios):.3f} of it "
            f"({ratios.min():.3f} to {ratios.max():.3f}; goal {GOAL})"
        )
        formula = volume(entry["trained"], entry["itemsize"], 2, entry["accumulate"])
        print(
            f"  a rank sends {entry['sent']['gradients']:,} bytes of gradients (formula {formula[0]:,.0f}), "
            f"{entry['sent']['weights']:,} of weights ({formula[1]:,.0f}), {entry['sent']['other']:,} beside"
        )
        print(
            f"  weak scaling at {8e-9 * network.bytes_a_second:g} Gbit/s and {1e6 * network.latency:g} us, "
            f"nodes {speed:g} times as fast as this machine:"
        )
        print(f"  {'nodes':>7} {'ms a step':>10} {'exchange, ms':>13} {'efficiency':>11} {'if early':>10}")
        for one_of in predictions(entry, speed, network):
            print(
                f"  {one_of.nodes:>7} {1e3 * one_of.seconds:>10.1f} "
                f"{1e3 * (one_of.seconds - one_of.compute):>13.2f} {one_of.efficiency:>11.1%} "
                f"{one_of.early:>10.1%}"
            )


def draw(entries: Mapping[str, Any], speeds: Sequence[float], network: Network, path: Path) -> None:
    """Efficiency over nodes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    ax = figure.subplots()
    for name, entry in entries.items():
        for speed, style in zip(speeds, ("-", "--", ":"), strict=False):
            found = predictions(entry, speed, network)
            label = f"{name}, nodes {speed:g} times this machine"
            (line,) = ax.plot(
                NODES, [one.early for one in found], style, marker="o", markersize=3, label=label
            )
            after = [one.efficiency for one in found]
            ax.plot(
                NODES, after, style, color=line.get_color(), alpha=0.4, label="  exchanged after the pass"
            )
    ax.set(xscale="log", xlabel="nodes, a batch each", ylabel="efficiency of a node", ylim=(0, 1.02))
    ax.set_xticks(NODES, list(map(str, NODES)))
    ax.minorticks_off()
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep, print and draw; 1 if the goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workload", choices=("tiny", "deep", "small"), default="small")
    parser.add_argument("--tokens", type=int, default=1024, help="of a batch, on each side")
    parser.add_argument("--steps", type=int, default=4, help="of a sample")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--speeds", type=float, nargs="+", default=[1.0, 20.0], help="of nodes")
    parser.add_argument("--table", type=Path, metavar="FILE", help="print what a file holds; measure nothing")
    options = parser.parse_args(arguments)
    about, network = machine.describe(), Network()
    path = options.table or keeping.results_path("scaling_out", about, cpu="native", threads=2)
    entries: dict[str, Any] = keeping.load(path, KIND)["entries"] if path.exists() else {}
    if options.table is None:
        entries[options.workload] = measure(options)
        keeping.save(path, KIND, about, entries)
        draw(entries, options.speeds, network, path.with_suffix(".png"))
    for speed in options.speeds:
        show(entries, speed, network)
    one, two = entries[options.workload]["seconds"].values()
    return 0 if np.median(np.array(one) / np.array(two)) >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
