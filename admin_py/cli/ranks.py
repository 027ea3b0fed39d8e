"""The processes that ``mpiexec`` or ``srun`` started for one command."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from admin_py.base.extras import installed_by
from admin_py.base.streams import say
from admin_py.cli.options import UsageError
from admin_py.training.ranks import EXIT, agreed_on, in_words

if TYPE_CHECKING:
    from mpi4py import MPI

SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_NUM_TASKS")
"""Variables by which launchers tell how many processes there are: of Open MPI, MPICH and Intel MPI, Slurm."""

LATER = 1.0
"""Seconds by which other ranks wait with an error that rank 0 may have, too, and tells first."""


def started() -> int:
    """How many processes the launcher says it started; 1 without one."""
    sizes = [os.environ.get(name, "") for name in SIZES]
    return max([1, *(int(size) for size in sizes if size.isdecimal())])


def world() -> MPI.Intracomm | None:
    """The processes of this command, where it is more than this one.

    Raises
    ------
    UsageError
        If a launcher started several that do not find each other.
    """
    count = started()
    if count == 1:
        return None
    with installed_by("mpi"):
        from mpi4py import MPI
    if MPI.COMM_WORLD.Get_size() == 1:
        raise UsageError(
            f"{count} processes were started, which do not find each other: mpi4py was built for another MPI "
            f"than that of the launcher, {MPI.Get_library_version().split(',')[0]}"
        )
    return MPI.COMM_WORLD


def processors_of(comm: MPI.Intracomm) -> int:
    """How many processors a rank has for itself: its own, shared with other ranks of the machine."""
    from mpi4py import MPI

    from admin_py.base.threads import get_num_threads

    here = comm.Split_type(MPI.COMM_TYPE_SHARED)
    own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    sharing = sum(bool(own & other) for other in here.allgather(own))
    here.Free()
    return max(1, get_num_threads() // sharing)


@contextlib.contextmanager
def one_of(comm: MPI.Intracomm) -> Iterator[None]:
    """Inside the block this process is one of several, of which the first alone shows what it does.

    An error that the others do not know of ends them, too: they might wait for this one.
    """
    rank, size = comm.Get_rank(), comm.Get_size()
    try:
        with open(os.devnull, "w") as nowhere, contextlib.ExitStack() as stack:
            if rank > 0:
                stack.enter_context(contextlib.redirect_stdout(nowhere))
            yield
    except (Exception, KeyboardInterrupt) as error:
        if agreed_on(error):
            raise
        if rank > 0:
            time.sleep(LATER)
        say(f"admin-py: rank {rank} of {size}: error: {in_words(error)}")
        comm.Abort(EXIT)
