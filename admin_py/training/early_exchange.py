"""Ranks exchange the gradients of the decoder's layers while those of the encoder's are still computed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from admin_py.base.threads import get_num_threads

if TYPE_CHECKING:
    from mpi4py import MPI

    from admin_py.model.transformer import Transformer

WHOLE, NEVER = b"\x01", b"\x00"
"""What is told of gradients: they are whole, or the pass has ended by an error."""


def pays(comm: MPI.Intracomm) -> bool:
    """Whether the processes of this machine leave a processor to each of them, which may wait for messages.

    MPI waits busily: a thread that exchanges would take from those that compute. It must allow that another
    thread than the first one calls it.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        All of its ranks call this.
    """
    from mpi4py import MPI

    machine = comm.Split_type(MPI.COMM_TYPE_SHARED)
    usable = _processors()
    mine = np.zeros(max(usable) + 1, np.int8)
    mine[list(usable)] = 1
    sizes = np.empty(machine.size, np.int64)
    machine.Allgather(np.array([len(mine)]), sizes)
    there = np.zeros(sizes.max(), np.int8)
    machine.Allreduce(np.pad(mine, (0, len(there) - len(mine))), there, MPI.MAX)
    wanted = np.zeros(1, np.int64)
    machine.Allreduce(np.array([get_num_threads() + 1]), wanted)
    machine.Free()
    return int(there.sum()) >= int(wanted[0]) and MPI.Query_thread() >= MPI.THREAD_SERIALIZED


def _processors() -> set[int]:
    """Those that this process may run on; where the system does not tell, all."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


class AfterThePass:
    """Exchanges once a backward pass has ended: where no processor is to spare."""

    @contextmanager
    def beside(self, exchange: Callable[[], None]) -> Iterator[None]:
        """Around a backward pass."""
        yield
        exchange()

    def end(self) -> None:
        """Nothing to end."""


class EarlyExchange:
    """A thread that exchanges amid backward passes of a model.

    Parameters
    ----------
    model : Transformer
        Its passes tell by a pipe that the gradients of the decoder's layers are whole.
    """

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._reading, self._writing = os.pipe()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="admin_py-exchange")
        model._ready = self._writing

    @contextmanager
    def beside(self, exchange: Callable[[], None]) -> Iterator[None]:
        """Around a backward pass: what is done once the gradients are whole, and has been at the end."""
        done: Future[None] = self._thread.submit(self._wait, exchange)
        try:
            yield
        except BaseException:
            os.write(self._writing, NEVER)
            raise
        done.result()

    def _wait(self, exchange: Callable[[], None]) -> None:
        if os.read(self._reading, 1) == WHOLE:
            exchange()

    def end(self) -> None:
        """No pass tells any more, and the thread is gone."""
        del self._model._ready
        self._thread.shutdown(wait=False)
        os.close(self._writing)
        os.close(self._reading)
