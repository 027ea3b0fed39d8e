"""Where trainings are done: here, in a pool of processes, or in any executor."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from admin_py.base.checks import shown
from admin_py.base.scratch import scratch_folder
from admin_py.base.threads import set_num_threads
from admin_py.experiments.jobs import Job
from admin_py.experiments.train_job import Trained, Way

if TYPE_CHECKING:
    from admin_py.data import Dataset


class Task(Protocol):
    """What is done with every job; may be sent to another process."""

    @property
    def needs_text(self) -> bool:
        """Whether it reads the text of the data, not the ids alone."""

    @property
    def shows_training(self) -> bool:
        """Whether each training's own progress is shown where one follows another, or the whole's alone."""

    def __call__(self, job: Job, data: Dataset, way: Way) -> Trained:
        """Train a job; its history says so if it was stopped."""


Done = Callable[[Job, Trained], None]
"""Called here, in the process that asked, with everything that is whole."""

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


# Data for other processes


@dataclass(frozen=True)
class DataFile:
    """A dataset for other processes: each reads it once.

    Attributes
    ----------
    key : str
        Fingerprint of the dataset, and whether it has its text.
    path : str or None
        File that holds it, where the processes see the same files.
    payload : bytes or None
        The dataset itself, where they may not.
    """

    key: str
    path: str | None = None
    payload: bytes | None = None

    def load(self) -> Dataset:
        """The dataset, kept until another one is asked for."""
        if self.key not in _LOADED:
            payload = self.payload
            if payload is None:
                payload = Path(str(self.path)).read_bytes()
            _LOADED.clear()
            _LOADED[self.key] = pickle.loads(zlib.decompress(payload))
        return _LOADED[self.key]


_LOADED: dict[str, Any] = {}
"""The dataset of this process's last job."""


def pack(data: Dataset, *, text: bool = False) -> bytes:
    """What a `DataFile` holds: ids, and the text only where it is read."""
    from admin_py.data.dataset import Dataset, Split

    splits = {name: data.split(name) for name in data.splits}
    if not text:
        splits = {name: Split(one.source, one.target) for name, one in splits.items()}
    return zlib.compress(pickle.dumps(Dataset(data.name, data.kind, data.tokenizer, splits)), level=1)


# Doing


@dataclass(frozen=True)
class Work:
    """Jobs and what is done with them.

    Attributes
    ----------
    jobs : sequence of Job
    ways : sequence of Way
        One a job.
    task : callable
        A `Task`.
    data : Dataset
    threads : int or None
        Of each worker; one where nothing is said.
    """

    jobs: Sequence[Job]
    ways: Sequence[Way]
    task: Task
    data: Dataset
    threads: int | None = None


def do_here(work: Work, begins: Callable[[Job], None], done: Done) -> bool:
    """One job after the other; returns whether Ctrl-C came before the last was whole."""
    try:
        for job, way in zip(work.jobs, work.ways, strict=True):
            begins(job)
            found = work.task(job, work.data, way)
            if found.result.history.interrupted:
                return True
            done(job, found)
    except KeyboardInterrupt:
        return True
    return False


def do_in(executor: Any, work: Work, done: Done) -> bool:
    """All jobs through an executor; returns whether Ctrl-C came before the last was whole.

    Raises
    ------
    RuntimeError
        If a worker has died, or a job has failed.
    """
    if isinstance(executor, ThreadPoolExecutor):
        return _collect(executor, work, work.data, done)
    text = work.task.needs_text
    packed, key = pack(work.data, text=text), f"{work.data.fingerprint}{' with text' if text else ''}"
    if not isinstance(executor, ProcessPoolExecutor):  # perhaps on machines with other files
        return _collect(executor, work, DataFile(key, payload=packed), done)
    with scratch_folder() as folder:
        path = folder / "data"
        path.write_bytes(packed)
        return _collect(executor, work, DataFile(key, path=str(path)), done)


def _collect(executor: Any, work: Work, data: Dataset | DataFile, done: Done) -> bool:
    """Send the jobs, take what they give as it comes."""
    finished: queue.SimpleQueue[int] = queue.SimpleQueue()
    futures: list[Any] = []
    stopped = False
    try:
        for index, (job, way) in enumerate(zip(work.jobs, work.ways, strict=True)):
            future = executor.submit(do_job, work.task, job, data, way, work.threads, Place.here())
            futures.append(future)
            if hasattr(future, "add_done_callback"):
                future.add_done_callback(lambda _, index=index: finished.put(index))
            else:
                finished.put(index)  # result() then waits for it in its turn
        for _ in work.jobs:
            index = finished.get()
            stopped = _take(work.jobs[index], futures[index], done) or stopped
    except KeyboardInterrupt:
        stopped = True
    finally:
        for future in futures:
            if hasattr(future, "cancel"):
                future.cancel()
    if stopped:
        _take_rest(finished, work.jobs, futures, done)
    return stopped


def _take(job: Job, future: Any, done: Done) -> bool:
    """Hand on what a job gave; returns whether it was stopped before it was whole."""
    try:
        found = future.result()
    except BrokenExecutor as error:
        raise RuntimeError(
            "executor: a worker process has died (out of memory, or killed); what was whole is kept. "
            "A script that uses processes must do its work under `if __name__ == '__main__':`"
        ) from error
    except Exception as error:
        raise RuntimeError(f"the training of {job.title} failed: {error}") from error
    if found.result.history.interrupted:
        return True
    done(job, found)
    return False


def _take_rest(finished: queue.SimpleQueue[int], jobs: Sequence[Job], futures: list[Any], done: Done) -> None:
    """What was whole when Ctrl-C came."""
    while not finished.empty():
        index = finished.get()
        future = futures[index]
        whole = getattr(future, "done", lambda: False)() and not future.cancelled()
        if whole and future.exception() is None and not future.result().result.history.interrupted:
            done(jobs[index], future.result())


def do_job(
    task: Task, job: Job, data: Dataset | DataFile, way: Way, threads: int | None, sent_from: Place
) -> Trained:
    """What an executor runs: a job, with one thread (or as many as asked for) in another process."""
    if sent_from != Place.here():
        set_num_threads(threads or 1, oversubscribe=True)
    if _stop is not None:
        way = replace(way, stop=_stop.is_set)
    return task(job, data.load() if isinstance(data, DataFile) else data, way)


def check_sendable(executor: Any, work: Work, *, own_pool: bool = False) -> None:
    """That jobs can be sent to other processes, where the executor is known to pickle them plainly.

    Raises
    ------
    ValueError
        If something that is sent cannot be pickled; naming the argument.
    """
    if not own_pool:
        if not callable(getattr(executor, "submit", None)):
            raise TypeError(f"executor must have submit(function, *arguments), got {shown(executor)}")
        if not isinstance(executor, ProcessPoolExecutor):
            return
    sent: list[tuple[str, Any, Any]] = [("optimizer", job.values["optimizer"], job) for job in work.jobs]
    sent += [("callbacks", one, one) for one in (work.ways[0].callbacks if work.ways else ())]
    for name, told, what in sent:
        try:
            pickle.dumps(what)
        except Exception as error:
            raise ValueError(
                f"{name}: {shown(told)} cannot be sent to another process: {error}. Define it at the top of "
                "a module, or leave executor and workers out"
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
