"""Our own pool of processes: how it begins whatever the program came from, and how it ends at Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any

from admin_py.base.locks import exit_now
from admin_py.base.signals import Deferred
from admin_py.base.streams import occupy_closed, shielded

TERMINATED = 143
"""Exit status of a worker that SIGTERM has ended."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_asked: Any = None
"""In a worker of our pool: a byte that all of them see, not 0 once they are to stop."""


def in_worker() -> bool:
    """Whether this process is one of our pool."""
    return _asked is not None


def asked_to_stop() -> bool:
    """Whether this is a worker of our pool that is to stop after its step."""
    return _asked is not None and bool(_asked.value)


class Pool(ProcessPoolExecutor):
    """A pool of fresh processes (spawned: a forked one may hang on locks of threads that it has not).

    Its workers leave Ctrl-C to the process that asked, stop after the current step when that says so, and
    end when it dies. SIGTERM ends them after the current step, too.

    Parameters
    ----------
    workers : int

    Attributes
    ----------
    stopped : bool
        Whether `stop` or `kill` was called.
    on_stop : callable
        Called by `stop`.
    """

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._flag = context.RawValue("b", 0)  # without a lock, which a killed worker could hold for ever
        self.stopped = False
        self.on_stop: Callable[[], None] = lambda: None
        super().__init__(workers, mp_context=context, initializer=_begin_worker, initargs=(self._flag,))

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        """As of every executor; this is where processes begin."""
        with _beginning(), readable_main():
            return super().submit(function, *arguments, **options)

    def stop(self) -> None:
        """Ask the workers to stop; may be called in the midst of anything."""
        self.stopped, self._flag.value = True, 1
        self.on_stop()

    def kill(self) -> None:
        """End the workers now; may be called in the midst of anything."""
        self.stopped = True
        for process in list((self._processes or {}).values()):
            if process.pid is not None:
                process.kill()


@contextmanager
def pool(workers: int) -> Iterator[Pool]:
    """A pool for a block: the first Ctrl-C (or SIGTERM) asks the workers to stop, the second ends them.

    Nothing is raised then, so that no lock stays held: who collects the results is told by `on_stop`.
    """
    with shielded():
        resource_tracker.ensure_running()  # which unblocks signals
    executor = Pool(workers)
    with Deferred(executor.stop, executor.kill):
        try:
            yield executor
        finally:
            # Nothing runs any more unless Ctrl-C or an error has ended the block.
            executor._flag.value = 1
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _beginning() -> Iterator[None]:
    """What new processes need: signals that wait until they can take them, and standard streams that work."""
    occupy_closed()
    with shielded():  # the standard library flushes them without asking
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


# The main program


def main_can_be_read() -> bool:
    """Whether new processes can run the main program again, to know what is defined there.

    Not one from standard input, a pipe, ``python -c``, a notebook or a prompt.
    """
    main = sys.modules.get("__main__")
    if getattr(main, "__spec__", None) is not None:
        return True  # python -m
    file = getattr(main, "__file__", None)
    return file is not None and _is_program(file)


def _is_program(file: str) -> bool:
    return os.path.isfile(file) and not os.path.abspath(file).startswith(("/dev/", "/proc/"))


@contextmanager
def readable_main() -> Iterator[None]:
    """Without the file name of a main program that new processes cannot read: they would die of it."""
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if main is None or file is None or main_can_be_read():
        yield
        return
    del main.__file__
    try:
        yield
    finally:
        main.__file__ = file


# In a worker


def _begin_worker(flag: Any) -> None:
    global _asked
    _asked = flag
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)  # a training waits for its step and its checkpoint before
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _leave(number: int, frame: Any) -> None:
    exit_now(TERMINATED)


def _end_with(sentinel: int) -> None:
    """End this process when its parent has died, by whatever signal."""
    wait([sentinel])
    exit_now(1)
