"""Where trainings are done: here, in a pool of processes, or in any executor."""

from __future__ import annotations

import io
import os
import pickle
import queue
import uuid
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol

from admin_py.base.checks import attribute_of, shown
from admin_py.base.scratch import scratch_folder
from admin_py.base.threads import set_num_threads
from admin_py.experiments.jobs import Job
from admin_py.experiments.pool import Pool, asked_to_stop, in_worker, main_can_be_read, readable_main
from admin_py.experiments.train_job import Stopped, Trained, Way
from admin_py.experiments.translating import Translating

if TYPE_CHECKING:
    from admin_py.data import Dataset


class Task(Protocol):
    """What is done with every job; may be sent to another process."""

    @property
    def needs_text(self) -> bool:
        """Whether it reads the text of the data, not the ids alone."""

    @property
    def translating(self) -> Translating | None:
        """How every job's model translates held-out sentences, if it does."""

    @property
    def shows_training(self) -> bool:
        """Whether each training's own progress is shown where one follows another, or the whole's alone."""

    def __call__(self, job: Job, data: Dataset, way: Way) -> Trained:
        """Train a job; its history says so if it was stopped."""


Done = Callable[[Job, Trained], None]
"""Called here, in the process that asked, with everything that is whole."""

DIED = (
    "executor: a worker process has died (out of memory, or killed); what was whole is kept. "
    "A script that uses processes must do its work under `if __name__ == '__main__':`"
)

TRIES = 3
"""Of a job whose worker died, or was lost by the executor."""


class WorkerDied(RuntimeError):
    """A worker process has ended amid its job; the pool is of no use any more."""


STOP = -1
"""In the place of a finished job's number: Ctrl-C has come."""


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
    digest : str
        SHA-256 of what it holds.
    path : str or None
        File that holds it, where the processes see the same files.
    payload : bytes or None
        The dataset itself, where they may not.
    """

    digest: str
    path: str | None = None
    payload: bytes | None = None

    @classmethod
    def of(cls, packed: bytes, path: Path | None = None) -> DataFile:
        """What `pack` made, to travel by itself or, written to this path, by a file."""
        digest = sha256(packed).hexdigest()
        if path is None:
            return cls(digest, payload=packed)
        path.write_bytes(packed)
        return cls(digest, path=str(path))

    def load(self) -> Dataset:
        """The dataset, kept until another one is asked for.

        Raises
        ------
        OSError
            If its file cannot be read.
        ValueError
            If its file holds something else than what was sent.
        """
        found = _LOADED.get(self.digest)
        if found is None:
            found = pickle.loads(zlib.decompress(self._sent()))
            _LOADED.clear()
            _LOADED[self.digest] = found
        return found

    def _sent(self) -> bytes:
        """What was sent; it is not unpickled before it is known to be that."""
        packed = Path(str(self.path)).read_bytes() if self.payload is None else self.payload
        if sha256(packed).hexdigest() != self.digest:
            raise ValueError(
                f"data: {self.path or 'what came'!r} is not what was sent to this process: it was changed "
                "on the way"
            )
        return packed


_LOADED: dict[str, Any] = {}
"""The dataset of this process's last job, by its digest."""


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
    WorkerDied
        If a worker has died, and the executor with it.
    RuntimeError
        If a job has failed.
    """
    if isinstance(executor, ThreadPoolExecutor):
        return _collect(executor, work, work.data, done)
    packed = pack(work.data, text=work.task.needs_text)
    if not isinstance(executor, ProcessPoolExecutor):  # perhaps on machines with other files
        return _collect(executor, work, DataFile.of(packed), done)
    with scratch_folder() as folder:
        return _collect(executor, work, DataFile.of(packed, folder / "data"), done)


def _collect(executor: Any, work: Work, data: Dataset | DataFile, done: Done) -> bool:
    """Send the jobs, take what they give as it comes."""
    finished: queue.SimpleQueue[int] = queue.SimpleQueue()
    futures: list[Any] = []
    tries = [0] * len(work.jobs)
    stopped = False
    own = executor if isinstance(executor, Pool) else None

    def send(index: int) -> Any:
        tries[index] += 1
        job, way = work.jobs[index], work.ways[index]
        with readable_main():
            future = executor.submit(do_job, work.task, job, data, way, work.threads, Place.here())
        if hasattr(future, "add_done_callback"):
            future.add_done_callback(lambda _: finished.put(index))
        else:
            finished.put(index)  # result() then waits for it in its turn
        return future

    if own is not None:
        own.on_stop = lambda: finished.put(STOP)
    try:
        futures.extend(send(index) for index in range(len(work.jobs)))
        left = len(futures)
        while left:
            index = finished.get()
            if index == STOP:  # what waits for a worker ends as soon as one takes it up
                continue
            if tries[index] < TRIES and _was_lost(executor, futures[index]):
                futures[index] = send(index)
                continue
            left -= 1
            stopped = _take(work.jobs[index], futures[index], done, own) or stopped
    except KeyboardInterrupt:
        stopped = True
    except BrokenExecutor as error:  # a worker has died while the others were sent their jobs
        if own is None or not own.stopped:
            raise WorkerDied(DIED) from error
        stopped = True
    finally:
        if own is None:  # ours cancels by itself, in an order that does not confuse it
            _cancel(futures)
    if stopped:
        _take_rest(finished, work.jobs, futures, done)
    return stopped


def _was_lost(executor: Any, future: Any) -> bool:
    """Whether a job ended by an error of the executor's own library, which is not the training's."""
    ask = getattr(future, "exception", None)
    try:
        error = None if ask is None else ask()
    except (BrokenExecutor, CancelledError):
        return False  # there is nothing left to send it to
    owner = type(executor).__module__.partition(".")[0]
    return error is not None and owner != "concurrent" and type(error).__module__.startswith(f"{owner}.")


def _cancel(futures: Sequence[Any]) -> None:
    """What has not begun, where an executor can do that."""
    for future in futures:
        if hasattr(future, "cancel"):
            future.cancel()


def _take(job: Job, future: Any, done: Done, own: Pool | None) -> bool:
    """Hand on what a job gave; returns whether it was stopped before it was whole."""
    try:
        found = future.result()
    except (CancelledError, BrokenExecutor) as error:
        if own is not None and own.stopped:
            return True
        if isinstance(error, CancelledError):
            raise RuntimeError(f"executor: the training of {job.title} was cancelled") from error
        raise WorkerDied(DIED) from error
    except Stopped:
        return True
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
        if index == STOP:
            continue
        future = futures[index]
        whole = getattr(future, "done", lambda: False)() and not future.cancelled()
        if whole and future.exception() is None and not future.result().result.history.interrupted:
            done(jobs[index], future.result())


def do_job(
    task: Task, job: Job, data: Dataset | DataFile, way: Way, threads: int | None, sent_from: Place
) -> Trained:
    """What an executor runs: a job, with one thread (or as many as asked for) in another process."""
    if asked_to_stop():
        raise Stopped
    if sent_from != Place.here():
        set_num_threads(threads or 1, oversubscribe=True)
    if in_worker():
        way = replace(way, stop=asked_to_stop)
    return task(job, data.load() if isinstance(data, DataFile) else data, way)


def check_sendable(executor: Any, work: Work, *, own_pool: bool = False) -> None:
    """That jobs can be sent to other processes, where the executor is known to pickle them plainly.

    Raises
    ------
    ValueError
        If something that is sent cannot be pickled; naming the argument.
    """
    if not own_pool:
        if not callable(attribute_of(executor, "submit")):
            raise TypeError(f"executor must have submit(function, *arguments), got {shown(executor)}")
        if not isinstance(executor, ProcessPoolExecutor):
            return
    sent: list[tuple[str, Any, Any]] = [("optimizer", job.values["optimizer"], job) for job in work.jobs]
    sent += [("callbacks", one, one) for one in (work.ways[0].callbacks if work.ways else ())]
    sent += [("data", work.data.tokenizer, work.data.tokenizer)]
    unread = not main_can_be_read() and (own_pool or _spawns(executor))
    for name, told, what in sent:
        pickler = _Pickler(io.BytesIO())
        try:
            pickler.dump(what)
        except Exception as error:
            raise ValueError(
                f"{name}: {shown(told)} cannot be sent to another process: {error}. Define it at the top of "
                "a module, or leave executor and workers out"
            ) from error
        if unread and pickler.here is not None:
            raise ValueError(
                f"{name}: {shown(told)} needs {pickler.here}, which is defined in a program that is no file "
                "(standard input, a notebook or a prompt), where no other process can read it. Define it in "
                "a module, or leave executor and workers out"
            )


def _spawns(executor: Any) -> bool:
    """Whether the processes of an executor know nothing of this one but its main program."""
    context = attribute_of(executor, "_mp_context")
    return context is not None and context.get_start_method() != "fork"


class _Pickler(pickle.Pickler):
    """Notes what of the main program a pickle asks for."""

    here: str | None = None

    def reducer_override(self, what: Any) -> Any:
        if isinstance(what, (type, FunctionType)) and what.__module__ == "__main__":
            self.here = what.__qualname__
        return NotImplemented
