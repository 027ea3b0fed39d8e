"""What the core did in its regions of threads, and the same on any number of threads.

The core keeps the events of one thread: when regions and tasks begin and end, for which counts of other tasks
they wait, and which counts they raise. `read` makes steps of these, `replay` hands the tasks out as the core
does: in their order, each to the thread that is free first.
"""

from __future__ import annotations

import heapq
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

REGION, REGION_END, TASK, TASK_END, WAIT, DONE = range(6)
"""Kinds of events, as in `csrc/base/trace.h`."""

Counts = dict[int, list[float]]
"""When each count was raised, in order."""


@dataclass
class Item:
    """A part of a task: seconds of work, then a wait for a count or the raise of one."""

    seconds: float
    kind: int
    count: int = 0
    value: int = 0


@dataclass
class Region:
    """The tasks that several threads share, and the work of one thread before them."""

    place: int
    before: float
    """Seconds since the last region's end."""
    tasks: list[list[Item]] = field(default_factory=list)

    @property
    def work(self) -> float:
        """Seconds of all tasks."""
        return sum(item.seconds for task in self.tasks for item in task)


@dataclass
class Step:
    """All regions, and the seconds after the last one."""

    regions: list[Region]
    after: float

    @property
    def seconds(self) -> float:
        """On one thread."""
        return self.after + sum(region.before + region.work for region in self.regions)


def read(events: np.ndarray, begin: float, end: float) -> Step:
    """The step that was made from `begin` to `end`.

    What lies between the tasks of a region counts with the next of them; no region lies within another.
    """
    regions: list[Region] = []
    last = begin
    for seconds, kind, subject, value in events.tolist():
        passed, last = seconds - last, seconds
        if kind == REGION:
            regions.append(Region(int(subject), passed))
        elif kind == TASK:
            regions[-1].tasks.append([Item(passed, TASK)])
        elif kind == REGION_END:
            regions[-1].tasks[-1].append(Item(passed, REGION_END))
        else:
            regions[-1].tasks[-1].append(Item(passed, int(kind), int(subject), int(value)))
    return Step(regions, end - last)


def typical(steps: Sequence[Step]) -> Step:
    """One step of the medians of each part; all must have done the same."""
    first = steps[0]
    shapes = {tuple(tuple(map(len, region.tasks)) for region in step.regions) for step in steps}
    if len(shapes) > 1:
        raise ValueError("steps must have the same regions and tasks")
    regions = []
    for several in zip(*(step.regions for step in steps), strict=True):
        region = Region(several[0].place, float(np.median([one.before for one in several])))
        for tasks in zip(*(one.tasks for one in several), strict=True):
            medians = np.median([[item.seconds for item in task] for task in tasks], axis=0).tolist()
            region.tasks.append(
                [
                    Item(seconds, item.kind, item.count, item.value)
                    for seconds, item in zip(medians, tasks[0], strict=True)
                ]
            )
        regions.append(region)
    return Step(regions, float(np.median([step.after for step in steps]))) if regions else first


def region_seconds(region: Region, threads: int) -> float:
    """Of a region on so many threads."""
    free = [0.0] * max(1, min(threads, len(region.tasks)))
    raised: Counts = defaultdict(list)
    for task in region.tasks:
        now = heapq.heappop(free)
        for item in task:
            now += item.seconds
            if item.kind == DONE:
                raised[item.count].append(now)
            elif item.kind == WAIT and item.value > 0:
                now = max(now, sorted(raised[item.count])[item.value - 1])
        heapq.heappush(free, now)
    return max(free)


@dataclass(frozen=True)
class Part:
    """What a kind of region, or the work of one thread before it, costs on several threads."""

    name: str
    seconds: float
    """Of all of this kind, as long as they last."""
    work: float
    """Seconds of one thread."""
    idle: float
    """Seconds of all threads that had nothing to do."""


def replay(step: Step, threads: int, names: dict[int, str]) -> tuple[float, list[Part]]:
    """Seconds of a step on so many threads, and its parts, those first that leave threads idle longest."""
    lasting: dict[str, float] = defaultdict(float)
    work: dict[str, float] = defaultdict(float)
    for region in step.regions:
        name = names.get(region.place, hex(region.place))
        lasting[name] += region_seconds(region, threads)
        work[name] += region.work
        alone = f"one thread, before {name}"
        lasting[alone] += region.before
        work[alone] += region.before
    lasting["one thread, at the end"] = work["one thread, at the end"] = step.after
    parts = [Part(name, lasting[name], work[name], threads * lasting[name] - work[name]) for name in lasting]
    return sum(lasting.values()), sorted(parts, key=lambda part: -part.idle)


@cache
def function_names(library: Path) -> dict[int, str]:
    """Names of the functions of a library by their place in it, as binutils' `nm` tells them."""
    listed = subprocess.run(["nm", "--defined-only", library], capture_output=True, text=True, check=True)
    return dict(_named(listed.stdout.splitlines()))


def _named(lines: Iterable[str]) -> Iterable[tuple[int, str]]:
    for line in lines:
        place, kind, name = line.split()
        if kind in "tT":
            yield int(place, 16), name.partition(".")[0]
