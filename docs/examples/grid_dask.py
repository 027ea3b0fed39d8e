"""A grid on the workers of a Dask cluster: here a small one on this machine, elsewhere one of many machines.

    pip install admin-py "dask[distributed]"
    python grid_dask.py OUT

The folder OUT is written by this process alone; workers need admin_py and nothing else. Stop it and start it
again: cells that were whole are not trained again.
"""

from __future__ import annotations

import sys

from dask.distributed import Client, LocalCluster

import admin_py as ap


def main(out: str, *, steps: int = 100, workers: int = 2, processes: bool = True) -> ap.Grid:
    """Three schemes at three depths; each cell is the same bits wherever it is trained."""
    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=processes, dashboard_address=None
    )
    with cluster, Client(cluster) as client:
        return ap.grid(
            ap.data.number_words(train=2000, valid=100),
            schemes=["post_ln", "pre_ln", "admin"],
            layers=[2, 6, 12],
            steps=steps,
            executor=client.get_executor(),
            out=out,
        )


if __name__ == "__main__":  # workers are processes that begin by reading this file
    found = main(sys.argv[1])
    print(found.pivot("layers", "scheme"))
    found.plot("layers", "scheme").figure.savefig(f"{sys.argv[1]}/grid.png")
