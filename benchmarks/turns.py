"""Sides in processes of their own that take turns: no memory, threads or warm caches in common."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


class SideFailed(Exception):
    """A side has ended, or was ended, before it answered; says why."""


class Runner:
    """One side in a process of its own.

    Parameters
    ----------
    module : str
        Its class `Side` is the side.
    *arguments
        Of that class.
    environment : mapping
        Of the process, whole.
    limit : float, optional
        Seconds that any answer may take; a process that takes longer is killed.
    """

    def __init__(
        self, module: str, *arguments: Any, environment: Mapping[str, str], limit: float | None = None
    ) -> None:
        self.limit = limit
        self.pipe, theirs = Pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serve", str(theirs.fileno())],
            env=dict(environment),
            pass_fds=[theirs.fileno()],
            cwd=ROOT,
        )
        theirs.close()
        weakref.finalize(self, self.process.kill)  # nothing is left running, whatever ends this process
        self.pipe.send((module, arguments))
        self._receive()

    def _receive(self) -> Any:
        if not self.pipe.poll(self.limit):
            self.kill()
            raise SideFailed(f"no answer within {self.limit:.0f} s")
        try:
            error, answer = self.pipe.recv()
        except EOFError:
            raise SideFailed(f"the process ended with status {self.process.wait()}") from None
        if error is not None:
            self.process.wait()
            raise SideFailed(error)
        return answer

    def call(self, name: str, *arguments: Any) -> Any:
        """Answer of a method of the side."""
        self.pipe.send((name, arguments))
        return self._receive()

    def steps(self, first: int, count: int) -> tuple[list[float], float]:
        """Seconds of each of `count` steps, and the last one's loss."""
        return self.call("steps", first, count)

    def finish(self) -> float:
        """Ends the process; its peak memory in MiB."""
        self.pipe.send(None)
        peak = self._receive()
        self.process.wait()
        return peak

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()


class TimedSide:
    """What sides of a training step have in common: subclasses have `step`, which returns the loss."""

    def step(self, i: int) -> float:
        raise NotImplementedError

    def steps(self, first: int, count: int) -> tuple[list[float], float]:
        """Seconds of each step, and the last one's loss."""
        seconds, loss = [], np.nan
        for i in range(first, first + count):
            start = time.perf_counter()
            loss = self.step(i)
            seconds.append(time.perf_counter() - start)
        return seconds, float(loss)


def take_turns(
    runners: Sequence[Runner], samples: int, per_sample: int, first: int, rest: float
) -> tuple[np.ndarray, list[float]]:
    """Seconds a step, [samples, sides], and each side's last loss. The order turns round with each sample."""
    seconds = np.zeros((samples, len(runners)))
    losses = [float("nan")] * len(runners)
    for s in range(samples):
        order = range(len(runners)) if s % 2 == 0 else reversed(range(len(runners)))
        for k in order:
            time.sleep(rest)  # threads of the side before stop spinning
            took, losses[k] = runners[k].steps(first + s * per_sample, per_sample)
            seconds[s, k] = np.mean(took)
    return seconds, losses


def child_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """This process's environment with changes; None takes a variable away."""
    merged: dict[str, str | None] = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}
