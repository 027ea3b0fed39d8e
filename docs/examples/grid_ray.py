"""A grid on a Ray cluster: here one on this machine; RAY_ADDRESS names one that is running.

    pip install admin-py "ray"
    python grid_ray.py OUT

A cell whose worker is killed is trained again by Ray itself. The folder OUT is written by this process alone.
Stop it and start it again: cells that were whole are not trained again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import ray

import admin_py as ap


class RayExecutor:
    """What `ap.grid` asks of an executor, as tasks of Ray."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Send one cell."""
        return ray.remote(num_cpus=1, max_retries=3)(function).remote(*arguments).future()


def main(out: str, *, steps: int = 100, workers: int | None = None) -> ap.Grid:
    """Two schemes at two depths; each cell is the same bits wherever it is trained."""
    ray.init(num_cpus=workers, include_dashboard=False)
    try:
        return ap.grid(
            ap.data.number_words(train=2000, valid=100),
            schemes=["post_ln", "admin"],
            layers=[2, 6],
            steps=steps,
            executor=RayExecutor(),
            out=out,
        )
    finally:
        ray.shutdown()


if __name__ == "__main__":
    print(main(sys.argv[1]).pivot("layers", "scheme"))
