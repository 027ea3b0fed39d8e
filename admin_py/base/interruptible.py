"""Long calls into libraries that look at no signal: Ctrl-C is noticed while they run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

GRACE = 0.5
"""Seconds that a call has to end after Ctrl-C, before it is left to itself."""


def interruptible(function: Callable[[threading.Event], T]) -> T:
    """What a function returns or raises, computed in a thread beside while this one waits for signals.

    After Ctrl-C the thread is left to itself, and what it finds is dropped. Outside of the main thread, to
    which no signal comes, the function is simply called.

    Parameters
    ----------
    function : callable
        Is given an event that is set after Ctrl-C: where it can, it ends then.

    Examples
    --------
    >>> interruptible(lambda stop: stop.is_set())
    False
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        return function(stop)
    found: list[Any] = []
    failed: list[BaseException] = []

    def compute() -> None:
        try:
            found.append(function(stop))
        except BaseException as error:  # a library's panic is no Exception
            failed.append(error)

    # A daemon: the interpreter does not wait for it at its end.
    thread = threading.Thread(target=compute, name="admin_py interruptible", daemon=True)
    try:
        thread.start()
        while thread.is_alive():
            thread.join(GRACE)  # again and again: an interrupt without a signal does not end a wait
    except BaseException:
        stop.set()
        if thread.is_alive():
            thread.join(GRACE)
        raise
    if failed:
        raise failed[0]
    return found[0]
