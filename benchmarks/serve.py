"""The process of one side: makes it, runs what it is told through a pipe, says what it cost.

Started by `benchmarks.turns.Runner` as ``python -m benchmarks.serve FD``.
"""

from __future__ import annotations

import ctypes
import importlib
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl."""


def serve(pipe: Connection) -> None:
    """Answer calls of the side's methods until there is None; the last answer is the peak memory in MiB."""
    module, arguments = pipe.recv()
    side = importlib.import_module(module).Side(*arguments)
    pipe.send((None, None))
    while (call := pipe.recv()) is not None:
        name, arguments = call
        pipe.send((None, getattr(side, name)(*arguments)))
    pipe.send((None, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def end_with_parent() -> None:
    """Have the system kill this process when its parent has gone, even in the midst of a step."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Serve the pipe whose descriptor is the first argument."""
    end_with_parent()
    pipe = Connection(int(sys.argv[1]))
    try:
        serve(pipe)
    except (EOFError, KeyboardInterrupt):
        pass
    except Exception as error:
        pipe.send((f"{type(error).__name__}: {error}", traceback.format_exc()))


if __name__ == "__main__":
    main()
