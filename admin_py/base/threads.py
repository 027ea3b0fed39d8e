"""How many threads the core uses. The numbers it computes do not depend on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from admin_py.base.arguments import door
from admin_py.base.builds import MAX_THREADS, MODULES
from admin_py.base.checks import check_bool, check_integer


@door
def set_num_threads(n: int, *, oversubscribe: bool = False) -> None:
    """Set how many threads the core uses, in both precisions.

    At first it is what the environment variable ``ADMIN_PY_NUM_THREADS`` says, or else ``OMP_NUM_THREADS``,
    but no more than the processors that the process may use (a warning tells who asks for more by the
    first); without both it is these, or as many of them
    as the quotas of its control groups grant.

    Parameters
    ----------
    n : int
        At least 1, at most the number of processors that the process may use.
    oversubscribe : bool, default False
        Allow more threads than processors. They are slower, and compute the same bits.

    Raises
    ------
    TypeError
        If `n` is not an integer or `oversubscribe` not a bool.
    ValueError
        If `n` is out of range.

    See Also
    --------
    get_num_threads
    threads : for one block of code alone.

    Notes
    -----
    Any number of Python threads may compute at the same time, each with a model of its own and so many
    threads; of more than 256 in all the core makes no use. Where a limit of the system leaves fewer, it
    computes with these and warns once. A forked process computes, too: a fork waits for what other threads
    compute just then. A model that a thread was using stays busy in the child, which can go on with a copy.
    `threadpoolctl` sees the core's BLAS, whose own threads the core does not use, and not the core's
    threads: the number of these is set here alone.

    Examples
    --------
    >>> import admin_py as ap
    >>> before = ap.get_num_threads()
    >>> ap.set_num_threads(1)
    >>> ap.get_num_threads()
    1
    >>> ap.set_num_threads(before)
    """
    n = check_integer("n", n, 1, MAX_THREADS)
    processors = num_processors()
    if n > processors and not check_bool("oversubscribe", oversubscribe):
        raise ValueError(
            f"n must be at most the number of processors, {processors}, got {n}; "
            "oversubscribe=True allows more, which is slower and computes the same"
        )
    for core in MODULES.values():
        core.set_num_threads(n)


def get_num_threads() -> int:
    """Number of threads that the core uses.

    Returns
    -------
    int
        As `set_num_threads` set it.

    Examples
    --------
    >>> import admin_py as ap
    >>> ap.get_num_threads() >= 1
    True
    """
    return MODULES["float32"].get_num_threads()


@door
@contextmanager
def threads(n: int, *, oversubscribe: bool = False) -> Iterator[None]:
    """So many threads inside a ``with`` block, and as many as before after it, however it ends.

    The number is the core's: other Python threads that compute meanwhile have it, too.

    Parameters
    ----------
    n : int
        As of `set_num_threads`.
    oversubscribe : bool, default False
        Allow more threads than processors.

    Raises
    ------
    TypeError, ValueError
        As `set_num_threads`, before the block begins.

    Examples
    --------
    >>> import admin_py as ap
    >>> before = ap.get_num_threads()
    >>> with ap.threads(1):
    ...     ap.get_num_threads()
    1
    >>> ap.get_num_threads() == before
    True
    """
    before = get_num_threads()
    set_num_threads(n, oversubscribe=oversubscribe)
    try:
        yield
    finally:
        set_num_threads(before, oversubscribe=True)  # it may have been more than the processors


def num_processors() -> int:
    """Number of processors that the process may use."""
    return MODULES["float32"].num_procs()
