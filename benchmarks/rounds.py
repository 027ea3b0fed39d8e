"""One workload: PyTorch's fastest variant is found, then both sides take turns."""

from __future__ import annotations

import getpass
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.counting import compulsory_bytes, useful_flops
from benchmarks.turns import Runner, SideFailed, child_environment, take_turns
from benchmarks.workload import Pairs, Workload, make_batches

Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How to measure."""

    threads: int = 2
    cpu: str = "native"
    samples: int = 11
    seconds: float = 60.0
    """That the rounds of a workload may take; fewer samples then, five at least."""
    sample_seconds: float = 0.5
    """That a sample lasts at least, in steps."""
    rest: float = 0.3
    """Seconds before each sample."""
    compile_limit: float = 300.0
    """Seconds that PyTorch may take to compile a workload."""


class Variant(NamedTuple):
    """A way to run PyTorch."""

    compiled: bool
    allocator: str
    bfloat16: bool

    def __str__(self) -> str:
        words = [
            "compiled" if self.compiled else "eager",
            self.allocator,
            *(["bfloat16"] if self.bfloat16 else []),
        ]
        return ", ".join(words)


ALLOCATORS = {"glibc": lambda: "", "jemalloc": machine.find_jemalloc}
"""Name -> what finds the library to load before all others; None where it is not installed."""


def variants(bfloat16: bool) -> list[Variant]:
    """All ways to run PyTorch in float32, or with mixed precision."""
    return [Variant(compiled, allocator, bfloat16) for compiled in (False, True) for allocator in ALLOCATORS]


FEWEST_SAMPLES = 5
TRIALS = 3
TRIAL_SECONDS = 2.0
"""A variant is tried for this time, and for so many cycles of batches at least, if they are not too long."""
LONG_TRIAL_SECONDS = 6.0


def compiled_code(cpu: str) -> str:
    """Folder of what PyTorch has compiled for a setting of the CPU.

    One for each: PyTorch takes up again what it compiled for other vectors than it has now, and then writes
    beyond its buffers or loses its numbers.
    """
    return str(Path(tempfile.gettempdir()) / f"admin-py-benchmarks-{getpass.getuser()}" / f"compiled-{cpu}")


def start_torch(workload: Workload, batches: list[Pairs], options: Options, variant: Variant) -> Runner:
    """A process of PyTorch that has made its first step of every shape, which is when it compiles."""
    library = ALLOCATORS[variant.allocator]()
    if library is None:
        raise SideFailed("its library is not installed")
    changes = machine.environment(options.cpu, options.threads)
    if library:
        changes["LD_PRELOAD"] = library
    changes["TORCHINDUCTOR_CACHE_DIR"] = compiled_code(options.cpu)
    runner = Runner(
        "benchmarks.torch_side",
        workload,
        batches,
        options.threads,
        variant.compiled,
        variant.bfloat16,
        environment=child_environment(changes),
        limit=options.compile_limit,
    )
    runner.steps(0, len(batches) if workload.ragged else 1)
    return runner


def fastest_torch(
    workload: Workload, batches: list[Pairs], options: Options, bfloat16: bool, say: Say
) -> tuple[Runner, Variant, dict[str, Any]]:
    """The variant whose median step is the shortest, still running; what all variants took."""
    best: tuple[float, Runner, Variant] | None = None
    tried: dict[str, Any] = {}
    for variant in variants(bfloat16):
        start = time.perf_counter()
        try:
            runner = start_torch(workload, batches, options, variant)
            began = time.perf_counter()
            seconds = try_steps(runner, len(batches) if workload.ragged else 1)
        except SideFailed as failure:
            tried[str(variant)] = {"left_out": str(failure).splitlines()[0]}
            say(f"  PyTorch {variant}: left out, {tried[str(variant)]['left_out']}")
            continue
        tried[str(variant)] = {"seconds": seconds, "start": began - start}
        say(f"  PyTorch {variant}: {1e3 * np.median(seconds):.1f} ms a step, began in {began - start:.0f} s")
        found = (float(np.median(seconds)), runner, variant)
        if best is None or found[0] < best[0]:
            best, found = found, best
        if found is not None:
            found[1].finish()
    if best is None:
        raise SideFailed("no variant of PyTorch runs")
    return best[1], best[2], tried


def try_steps(runner: Runner, cycle: int) -> list[float]:
    """Seconds a step of a few cycles of batches."""
    seconds: list[float] = []
    start = time.perf_counter()
    while True:
        seconds.append(float(np.mean(runner.steps(0, cycle)[0])))
        took = time.perf_counter() - start
        if took > (TRIAL_SECONDS if len(seconds) >= TRIALS else LONG_TRIAL_SECONDS):
            return seconds


@contextmanager
def machine_side(options: Options) -> Iterator[Runner]:
    """The process that measures the peak."""
    environment = child_environment(machine.environment(options.cpu, options.threads))
    runner = Runner("benchmarks.machine", options.threads, environment=environment)
    try:
        yield runner
    finally:
        runner.finish()


def plan_samples(seconds: Sequence[float], cycle: int, options: Options) -> tuple[int, int]:
    """Samples, and steps a sample, from the seconds a step of all sides."""
    steps = int(np.ceil(options.sample_seconds / min(seconds)))
    steps = cycle * -(-steps // cycle)
    turn = steps * sum(seconds) + len(seconds) * options.rest
    return int(np.clip(options.seconds // turn, FEWEST_SAMPLES, options.samples)), steps


def measure(workload: Workload, options: Options, say: Say = print) -> dict[str, Any]:
    """All of one workload, as plain JSON."""
    batches = make_batches(workload)
    say(f"{workload.name}: {workload.what}")
    found = {"pytorch": fastest_torch(workload, batches, options, False, say)}
    if machine.has_bfloat16(options.cpu):
        found["pytorch_bfloat16"] = fastest_torch(workload, batches, options, True, say)
    environment = child_environment(machine.environment(options.cpu, options.threads))
    ours = Runner("benchmarks.our_side", workload, batches, options.threads, environment=environment)
    cycle = len(batches) if workload.ragged else 1
    ours.steps(0, 2 * cycle)  # warm
    steps_of = [float(np.median(tried[str(variant)]["seconds"])) for _, variant, tried in found.values()]
    samples, steps = plan_samples([float(np.median(try_steps(ours, cycle))), *steps_of], cycle, options)
    runners = {"ours": ours, **{name: runner for name, (runner, _, _) in found.items()}}
    with machine_side(options) as best:
        before, bandwidth, blas = best.call("peak"), best.call("bandwidth"), best.call("blas")
        timings = ours.call("timings")
        seconds, losses = take_turns(list(runners.values()), samples, steps, 2 * cycle, options.rest)
        timings = _difference(ours.call("timings"), timings)
        after = best.call("peak")
    sides: dict[str, dict[str, Any]] = {}
    for k, (name, runner) in enumerate(runners.items()):
        about = runner.call("describe")
        memory = round(runner.finish())
        sides[name] = {
            **about,
            "seconds": seconds[:, k].tolist(),
            "loss": _finite(losses[k]),
            "peak_memory_mib": memory,
        }
    sides["ours"]["timings"] = timings
    for name, (_, variant, tried) in found.items():
        sides[name] |= {"variant": str(variant), "variants": tried}
    return {
        "workload": asdict(workload),
        "options": asdict(options),
        "versions": machine.package_versions(),
        "measured_at": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
        "steps_per_sample": steps,
        "tokens": float(np.mean([batch.num_tokens for batch in batches])),
        "flops": float(np.mean([useful_flops(workload, batch) for batch in batches])),
        "bytes": float(np.mean([compulsory_bytes(workload, batch) for batch in batches])),
        "peak": [before, after],
        "peak_blas": blas,
        "bandwidth": bandwidth,
        **sides,
    }


def _finite(loss: float) -> float | None:
    """A loss as JSON holds it; None if it is not finite, which the table then says."""
    return loss if np.isfinite(loss) else None


def _difference(after: dict[str, float] | None, before: dict[str, float] | None) -> dict[str, float] | None:
    """Seconds between two readings of timings, where there are any."""
    if after is None:
        return None
    return {kind: seconds - (before or {}).get(kind, 0.0) for kind, seconds in after.items()}
