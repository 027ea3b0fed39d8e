"""A small grid on workers of a library, some of which are killed: `python grid_somewhere.py LIBRARY FOLDER`.

Prints how many cells are the same as those that are trained here, and how many kills there were.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

import admin_py as ap

DATA = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
SMALL: dict[str, Any] = {
    "schemes": ["post_ln", "admin"], "lr": [1e-3, 1e-2], "layers": 1, "d_model": 8, "d_ff": 16, "heads": 2,
    "steps": 4, "max_tokens": 128, "progress": False,
}  # fmt: skip
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


class KillOnce:
    """A callback that kills its process the first time that a cell of Admin comes to its second step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, step: int, model: ap.Transformer, history: Any) -> None:
        if step != 2 or model.config.scheme_name != "admin":
            return
        marker = self.folder / f"killed-{history.lr[-1]!r}"
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def train(library: str, folder: Path) -> ap.Grid:
    """On two workers."""
    options: dict[str, Any] = {**SMALL, "callbacks": [KillOnce(folder)], "out": folder / "out"}
    if library == "workers":
        return ap.grid(DATA, workers=2, **options)
    if library == "ray":
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        executor = runpy.run_path(str(EXAMPLES / "grid_ray.py"))["RayExecutor"]()
        return ap.grid(DATA, executor=executor, **options)
    if library == "submitit":
        import submitit

        local = submitit.LocalExecutor(folder=folder / "jobs")
        local.update_parameters(timeout_min=5)
        return ap.grid(DATA, executor=local, **options)
    from dask.distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        return ap.grid(DATA, executor=client.get_executor(), **options)


if __name__ == "__main__":
    where = Path(sys.argv[2])
    found, here = train(sys.argv[1], where), ap.grid(DATA, **SMALL)
    same = sum(a.same_numbers(b) for a, b in zip(found.cells, here.cells, strict=True))
    kills = len(list(where.glob("killed-*")))
    print(f"{same} of {len(here.cells)} cells are the same, {kills} workers were killed")
