"""A grid on the processes of an MPI job: rank 0 hands out the cells, all others train them.

    pip install admin-py[mpi]
    mpiexec -n 9 python -m mpi4py.futures grid_mpi.py OUT

The folder OUT is written by rank 0 alone. Give the same command again where the job was ended: cells that
were whole are not trained again. A process that is killed ends the job, as MPI has it.
"""

from __future__ import annotations

import sys

from mpi4py.futures import MPIPoolExecutor

import admin_py as ap


def main(out: str, *, steps: int = 100) -> ap.Grid:
    """Two schemes at two depths; each cell is the same bits wherever it is trained."""
    with MPIPoolExecutor() as executor:
        return ap.grid(
            ap.data.number_words(train=2000, valid=100),
            schemes=["post_ln", "admin"],
            layers=[2, 6],
            steps=steps,
            executor=executor,
            out=out,
        )


if __name__ == "__main__":
    print(
        main(*sys.argv[1:2], steps=int(sys.argv[2]) if len(sys.argv) > 2 else 100).pivot("layers", "scheme")
    )
