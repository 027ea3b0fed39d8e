"""Two sides in two processes that take turns: no memory, threads or warm caches in common."""

from __future__ import annotations

import importlib
import multiprocessing
import resource
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np


def measured_peak(threads: int, size: int = 2048, repeats: int = 4) -> float:
    """FLOP/s of a large float32 matrix product: what the machine gives these threads at best."""
    a = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    best = np.inf
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        for _ in range(repeats + 1):
            start = time.perf_counter()
            a @ a
            best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def _serve(pipe: Connection, module: str, arguments: tuple[Any, ...]) -> None:
    side = importlib.import_module(module).Side(*arguments)
    pipe.send(side.name)
    while (i := pipe.recv()) is not None:
        start = time.perf_counter()
        loss = side.step(i)
        pipe.send((time.perf_counter() - start, loss))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


class Runner:
    """One side in a process of its own."""

    def __init__(self, module: str, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, module, arguments), daemon=True)
        self.process.start()
        theirs.close()
        self.name: str = self.pipe.recv()

    def step(self, i: int) -> tuple[float, float]:
        """Seconds of step i, and its loss."""
        self.pipe.send(i)
        return self.pipe.recv()

    def finish(self) -> float:
        """Ends the process; its peak memory in MiB."""
        self.pipe.send(None)
        peak = self.pipe.recv()
        self.process.join()
        return peak


def take_turns(
    runners: Sequence[Runner], samples: int, per_sample: int, warmup: int, rest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds a step, [samples, sides], and each side's last losses."""
    seconds = np.zeros((samples, len(runners)))
    losses = np.zeros(len(runners))
    for runner in runners:
        for i in range(warmup):
            runner.step(i)
    for s in range(samples):
        for k, runner in enumerate(runners):
            time.sleep(rest)  # threads of the side before stop spinning
            first = warmup + s * per_sample
            steps = [runner.step(first + i) for i in range(per_sample)]
            seconds[s, k] = np.mean([t for t, _ in steps])
            losses[k] = steps[-1][1]
    return seconds, losses
