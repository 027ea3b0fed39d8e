"""A grid on the processors of this machine, in a pool of one's own.

    pip install admin-py
    python grid_process_pool.py OUT

`workers=` of `ap.grid` makes such a pool by itself, and a new one where a process has died; one's own is for
programs that have one already. Stop it and start it again: cells that were whole are not trained again.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import admin_py as ap


def main(out: str, *, steps: int = 100, workers: int = 2) -> ap.Grid:
    """Two schemes at two depths; each cell is the same bits wherever it is trained."""
    spawned = multiprocessing.get_context("spawn")  # processes that are forked after threads ran may hang
    with ProcessPoolExecutor(workers, mp_context=spawned) as executor:
        return ap.grid(
            ap.data.number_words(train=2000, valid=100),
            schemes=["post_ln", "admin"],
            layers=[2, 6],
            steps=steps,
            executor=executor,
            out=out,
        )


if __name__ == "__main__":  # workers are processes that begin by reading this file
    print(main(sys.argv[1]).pivot("layers", "scheme"))
