"""A grid whose Dask scheduler is killed amid its third cell of four, and goes on without: `... FOLDER`.

Prints what the first call raised, the cells that the second one trained, and how many are the same as here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from grid_somewhere import DATA, SMALL

import admin_py as ap

PATIENCE = {"distributed.comm.timeouts.connect": "2s", "distributed.client.scheduler-info-interval": "500ms"}
NAMES = ["post_ln", "pre_ln", "rezero", "admin"]
GRID: dict[str, Any] = {**SMALL, "schemes": NAMES, "lr": 1e-2}


class Note:
    """A callback that notes the cells which are trained, and kills a process amid the third."""

    def __init__(self, folder: Path, victim: int | None = None) -> None:
        self.folder, self.victim = folder, victim

    def __call__(self, step: int, model: ap.Transformer, history: Any) -> None:
        (self.folder / str(model.config.scheme_name)).touch()
        if step == 2 and self.victim is not None and model.config.scheme_name == NAMES[2]:
            os.kill(self.victim, signal.SIGKILL)


def begin(program: str, *options: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{program}", "--no-dashboard", *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def lose(folder: Path) -> str:
    """Train on one worker until the scheduler is lost; what the grid raised."""
    import dask
    from dask.distributed import Client

    address = folder / "scheduler.json"
    scheduler = begin("scheduler", "--port", 0, "--scheduler-file", address)
    while not address.exists():
        time.sleep(0.05)
    worker = begin("worker", "--scheduler-file", address, "--nthreads", 1, "--no-nanny", "--death-timeout", 5)
    first = folder / "first"
    first.mkdir()
    try:
        with dask.config.set(PATIENCE), Client(scheduler_file=str(address)) as client:
            executor, note = client.get_executor(), Note(first, scheduler.pid)
            ap.grid(DATA, executor=executor, out=folder / "out", callbacks=[note], **GRID)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        for one in (worker, scheduler):
            one.kill()
            one.wait()
    return "nothing"


if __name__ == "__main__":
    where = Path(sys.argv[1])
    raised = lose(where)
    again = where / "again"
    again.mkdir()
    found = ap.grid(DATA, out=where / "out", callbacks=[Note(again)], **GRID)
    here = ap.grid(DATA, **GRID)
    same = sum(a.same_numbers(b) for a, b in zip(found.cells, here.cells, strict=True))
    print("raised", raised)
    print("trained again", *sorted(path.name for path in again.iterdir()))
    print(f"{same} of {len(here.cells)} cells are the same")
