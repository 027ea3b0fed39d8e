"""A grid as jobs of Slurm, by submitit: a job a cell. Without Slurm they are processes of this machine.

    pip install admin-py submitit
    python grid_submitit.py OUT

A job that ends without having told how it went (killed, or over its limits) is submitted again, twice at
most. The folder OUT is written by this process alone. Stop it and start it again: cells that were whole are
not trained again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import submitit

import admin_py as ap


def main(out: str, *, steps: int = 100) -> ap.Grid:
    """Two schemes at two depths; each cell is the same bits wherever it is trained."""
    executor = submitit.AutoExecutor(folder=Path(out, "jobs"))
    executor.update_parameters(timeout_min=60, cpus_per_task=1, mem_gb=2, slurm_array_parallelism=64)
    return ap.grid(
        ap.data.number_words(train=2000, valid=100),
        schemes=["post_ln", "admin"],
        layers=[2, 6],
        steps=steps,
        executor=executor,
        out=out,
    )


if __name__ == "__main__":
    print(main(sys.argv[1]).pivot("layers", "scheme"))
