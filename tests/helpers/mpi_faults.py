"""What goes wrong on one rank of a training, started by `mpiexec`: `python mpi_faults.py FAULT FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from mpi4py import MPI
from mpi_training import DATA, OPTIONS, exchange_early, make_model

import admin_py as ap

FAULT, FOLDER = sys.argv[1:3]
COMM = MPI.COMM_WORLD
LAST = COMM.rank == COMM.size - 1
OTHER = ap.data.copy_task(train=121, valid=24, symbols=8, max_length=8)

CHANGED: dict[str, dict[str, Any]] = {
    "settings": {"clip_norm": 1.0},
    "steps": {"steps": 8},
    "argument": {"label_smoothing": 2.0},
    "checkpoint": {"checkpoint": Path(FOLDER, "another")},
    "patience": {"patience": 3},
    "keep": {"keep": Path(FOLDER, "kept"), "keep_best": 1},
}
"""Fault -> what is given on the last rank alone."""

OWN = Path("/proc/self/cwd/checkpoint")
"""The same path on all ranks, and another file on each."""

COMMON: dict[str, dict[str, Any]] = {
    "folders": {"checkpoint": OWN},
    "accumulate": {"accumulate": COMM.size + 1},
    "no folder": {"checkpoint": Path("/proc/no folder/checkpoint")},
    "full disk": {"checkpoint": Path(FOLDER, "checkpoint"), "checkpoint_every": 3},
}
"""Fault -> what is given on all ranks."""


def lose() -> None:
    """In the next pass."""
    raise MemoryError("a pass of the last rank")


def fail(step: int, model: ap.Transformer, history: Any) -> None:
    """Called after every step."""
    Path(FOLDER, f"step-{step}").touch()
    if step == 5 and FAULT == "callback" and LAST:
        raise RuntimeError("a callback of the last rank")
    if step == 5 and FAULT == "amid a pass" and LAST:
        model._need_decoder = lose  # type: ignore[method-assign]
    if step == 5 and FAULT == "killed" and LAST:
        os.kill(os.getpid(), signal.SIGKILL)
    if step == 5 and FAULT == "interrupted" and LAST:
        raise KeyboardInterrupt
    if step == 2 and FAULT == "full disk" and COMM.rank == 0:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
    if FAULT == "slow":
        time.sleep(0.05)


def main() -> None:
    """Train, and tell the errors as they are."""
    exchange_early()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    model = make_model(OTHER if FAULT == "data" and LAST else DATA)
    if FAULT == "folders":
        place = Path(FOLDER, f"of rank {COMM.rank}")
        place.mkdir()
        os.chdir(place)
        earlier = {**OPTIONS, "optimizer": "adam", "steps": 4 + COMM.rank, "checkpoint": OWN}
        ap.train(make_model(DATA), DATA, **earlier)
    if FAULT == "weights" and LAST:
        model.parameters[next(iter(model.parameters))][0] += 1
    options = {
        **OPTIONS,
        "optimizer": "adam",
        **COMMON.get(FAULT, {}),
        **(CHANGED.get(FAULT, {}) if LAST else {}),
    }
    data = OTHER if FAULT == "data" and LAST else DATA
    try:
        history = ap.train(model, data, comm=COMM, callbacks=[fail], **options)
        Path(FOLDER, f"ended-{COMM.rank}").write_text(f"{history.num_steps} {history.interrupted}")
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        Path(FOLDER, f"raised-{COMM.rank}").write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
