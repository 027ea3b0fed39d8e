"""The processes that share a training: what they tell each other, and how an error of one ends all."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import shown
from admin_py.base.extras import installed_by
from admin_py.training.checkpoint import first_difference

if TYPE_CHECKING:
    from mpi4py import MPI

T = TypeVar("T")

EXIT = 1
"""Status with which all processes end where one meets an error of its own."""


class OtherRankFailed(RuntimeError):
    """Another process of the training met an error, which the message tells."""


class Alone:
    """A training of one process."""

    size, rank = 1, 0

    def agreed(self, call: Callable[[], T]) -> T:
        """What the call returns here; where it raises on any rank, every rank raises."""
        return call()

    def on_first(self, call: Callable[[], T]) -> T | None:
        """What the call returns on rank 0, which alone makes it; None elsewhere. Errors are agreed."""
        return call()

    def told_by(self, rank: int, call: Callable[[], Any]) -> Any:
        """What the call returns on a rank, plain JSON, on every rank. Errors are agreed."""
        return call()

    def any(self, asked: bool) -> bool:
        """Whether it is so on any rank."""
        return asked

    def joined(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows of all ranks: each gives zeros where another one has the numbers."""
        return rows

    def check_same(self, told: Mapping[str, Any]) -> None:
        """That every rank tells the same; ValueError with what differs, and where."""

    @contextmanager
    def ending_all(self) -> Iterator[None]:
        """An error inside the block that is not agreed ends the processes of all ranks."""
        yield


class Ranks(Alone):
    """A training of several processes, which are the ranks of a communicator of MPI.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        Duplicated, so that messages of the caller's are not mistaken for those of the training.
    """

    def __init__(self, comm: MPI.Intracomm) -> None:
        self.comm = comm.Dup()
        self.size, self.rank = comm.Get_size(), comm.Get_rank()

    def agreed(self, call: Callable[[], T]) -> T:
        error: Exception | None = None
        result: Any = None
        try:
            result = call()
        except Exception as found:
            error = found
        failed = np.zeros(self.size, np.int8)
        self.comm.Allgather(np.array([error is not None], np.int8), failed)
        if not failed.any():
            return result
        first = int(failed.argmax())
        message = self._bytes(b"" if error is None else in_words(error).encode(), first)
        if error is None:
            error = OtherRankFailed(f"rank {first} of {self.size}: {message.decode()}")
        error._of_all_ranks = True  # type: ignore[attr-defined]
        raise error

    def on_first(self, call: Callable[[], T]) -> T | None:
        return self.agreed(call if self.rank == 0 else lambda: None)

    def told_by(self, rank: int, call: Callable[[], Any]) -> Any:
        told = self.agreed(lambda: json.dumps(call()) if self.rank == rank else "")
        return json.loads(self._bytes(told.encode(), rank))

    def any(self, asked: bool) -> bool:
        found = np.zeros(self.size, np.int8)
        self.comm.Allgather(np.array([asked], np.int8), found)
        return bool(found.any())

    def joined(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.zeros_like(rows)
        self.comm.Allreduce(rows, total)  # a number and zeros: the same in any order
        return total

    def check_same(self, told: Mapping[str, Any]) -> None:
        own = json.loads(json.dumps(told))
        first = json.loads(self._bytes(json.dumps(told).encode(), 0))

        def compare() -> None:
            for name in dict.fromkeys((*first, *own)):
                if first.get(name) != own.get(name):
                    where, there, here = first_difference(name, first.get(name), own.get(name))
                    raise ValueError(
                        f"all ranks must train alike: {where} is {shown(here)} on rank {self.rank} and "
                        f"{shown(there)} on rank 0"
                    )

        self.agreed(compare)

    def _bytes(self, given: bytes, root: int) -> bytes:
        """What a rank gives, on every rank."""
        length = np.array([len(given)], np.int64)
        self.comm.Bcast(length, root)
        buffer = np.frombuffer(given, np.uint8).copy() if self.rank == root else np.zeros(length[0], np.uint8)
        self.comm.Bcast(buffer, root)
        return buffer.tobytes()

    @contextmanager
    def ending_all(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not agreed_on(error):
                traceback.print_exc()
                print(f"rank {self.rank} of {self.size}: {in_words(error)}", file=sys.stderr, flush=True)
                self.comm.Abort(EXIT)  # the others may wait for this one
            raise
        finally:
            self.comm.Free()


def agreed_on(error: BaseException) -> bool:
    """Whether all ranks raise it, or that another one did."""
    return getattr(error, "_of_all_ranks", False)


def in_words(error: BaseException) -> str:
    """An error and its kind, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def check_comm(comm: Any) -> Alone:
    """The processes that a communicator stands for: one where there is none, or none else in it.

    Raises
    ------
    TypeError
        If it is no communicator of mpi4py.

    Examples
    --------
    >>> check_comm(None).size
    1
    """
    if comm is None:
        return Alone()
    with installed_by("mpi"):
        from mpi4py import MPI
    if isinstance(comm, MPI.Comm) and comm == MPI.COMM_NULL:
        raise ValueError("comm must be a communicator that this process is in, got MPI.COMM_NULL")
    if not isinstance(comm, MPI.Intracomm):
        raise TypeError(f"comm must be a communicator of mpi4py, such as MPI.COMM_WORLD, got {shown(comm)}")
    return Alone() if comm.Get_size() == 1 else Ranks(comm)
