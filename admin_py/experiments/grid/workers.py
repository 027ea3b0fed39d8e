"""Where the cells of a grid are trained: here, in a pool of processes, or in any executor."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

from admin_py.experiments.grid.axes import Job
from admin_py.experiments.grid.cell import GridCell
from admin_py.experiments.grid.train_cell import DataFile, pack, run_cell

if TYPE_CHECKING:
    from admin_py.data import Dataset

Done = Callable[[Job, GridCell], None]
"""Called here, in the process that asked, with every cell that is whole."""

_PROCESS = uuid.uuid4().hex


@dataclass(frozen=True)
class Place:
    """Tells whether a job has come to another process than it was sent from."""

    token: str
    pid: int

    @classmethod
    def here(cls) -> Place:
        """This process; a forked one has the token but another pid."""
        return cls(_PROCESS, os.getpid())


def run_here(jobs: Sequence[Job], data: Dataset, done: Done) -> bool:
    """One cell after the other; returns whether Ctrl-C came before the last was whole."""
    try:
        for job in jobs:
            cell = run_cell(job, data)
            if cell.history.interrupted:
                return True
            done(job, cell)
    except KeyboardInterrupt:
        return True
    return False


def run_in(executor: Any, jobs: Sequence[Job], data: Dataset, threads: int | None, done: Done) -> bool:
    """All cells through an executor; returns whether Ctrl-C came before the last was whole.

    Raises
    ------
    RuntimeError
        If a worker has died, or a cell has failed.
    """
    if isinstance(executor, ThreadPoolExecutor):
        return _collect(executor, jobs, data, threads, done)
    packed = pack(data)
    if not isinstance(executor, ProcessPoolExecutor):  # perhaps on machines with other files
        return _collect(executor, jobs, DataFile(data.fingerprint, payload=packed), threads, done)
    with tempfile.TemporaryDirectory(prefix="admin-py-grid-") as folder:
        path = os.path.join(folder, "data")
        with open(path, "wb") as stream:
            stream.write(packed)
        return _collect(executor, jobs, DataFile(data.fingerprint, path=path), threads, done)


def _collect(
    executor: Any, jobs: Sequence[Job], data: Dataset | DataFile, threads: int | None, done: Done
) -> bool:
    """Send the jobs, take the cells as they come."""
    finished: queue.SimpleQueue[int] = queue.SimpleQueue()
    futures: list[Any] = []
    stopped = False
    try:
        for index, job in enumerate(jobs):
            future = executor.submit(run_job, job, data, threads, Place.here())
            futures.append(future)
            if hasattr(future, "add_done_callback"):
                future.add_done_callback(lambda _, index=index: finished.put(index))
            else:
                finished.put(index)  # result() then waits for it in its turn
        for _ in jobs:
            index = finished.get()
            stopped = _take(jobs[index], futures[index], done) or stopped
    except KeyboardInterrupt:
        stopped = True
    finally:
        for future in futures:
            if hasattr(future, "cancel"):
                future.cancel()
    if stopped:
        _take_rest(finished, jobs, futures, done)
    return stopped


def _take(job: Job, future: Any, done: Done) -> bool:
    """Hand on a cell; returns whether it was stopped before it was whole."""
    try:
        cell = future.result()
    except BrokenExecutor as error:
        raise RuntimeError(
            "executor: a worker process has died (out of memory, or killed); cells that were whole are kept. "
            "A script that uses processes must do its work under `if __name__ == '__main__':`"
        ) from error
    except Exception as error:
        raise RuntimeError(f"the cell {job.title} failed: {error}") from error
    if cell.history.interrupted:
        return True
    done(job, cell)
    return False


def _take_rest(finished: queue.SimpleQueue[int], jobs: Sequence[Job], futures: list[Any], done: Done) -> None:
    """Cells that were whole when Ctrl-C came."""
    while not finished.empty():
        index = finished.get()
        future = futures[index]
        whole = getattr(future, "done", lambda: False)() and not future.cancelled()
        if whole and future.exception() is None and not future.result().history.interrupted:
            done(jobs[index], future.result())


def run_job(job: Job, data: Dataset | DataFile, threads: int | None, sent_from: Place) -> GridCell:
    """What an executor runs: a cell, with one thread (or as many as asked for) in another process."""
    elsewhere = sent_from != Place.here()
    stop = None if _stop is None else _stop.is_set
    return run_cell(job, data, (threads or 1) if elsewhere else None, stop)


def check_sendable(executor: Any, jobs: Sequence[Job]) -> None:
    """That jobs can be sent to other processes, where the executor is known to pickle them plainly.

    Raises
    ------
    ValueError
        If a job cannot be pickled, or the pool forks a process that has used several threads.
    """
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor must have submit(function, *arguments), got {executor!r}")
    if not isinstance(executor, ProcessPoolExecutor):
        return
    for job in jobs:
        try:
            pickle.dumps(job)
        except Exception as error:
            raise ValueError(
                f"optimizer: {job.values['optimizer']!r} cannot be sent to another process: {error}. Define "
                "it at the top of a module, or leave executor and workers out"
            ) from error


# A pool of our own

_stop: Any = None
"""In a worker of our pool: the event that says that Ctrl-C has come."""


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of fresh processes (spawned: a forked one may hang on locks of threads that it has not).

    Its workers leave Ctrl-C to the process that asked, stop after the current step when that says so, and
    end when it dies.
    """
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(stop,))
    try:
        yield executor
    finally:
        # Nothing runs any more unless Ctrl-C or an error has ended the block.
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)


def _begin_worker(stop: Any) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when its parent has died, by whatever signal."""
    wait([sentinel])
    os._exit(1)
