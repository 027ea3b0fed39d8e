"""The process of one side: makes it, runs what it is told through a pipe, says what it cost.

Started by `benchmarks.turns.Runner` as ``python -m benchmarks.serve FD``.
"""

from __future__ import annotations

import importlib
import resource
import sys
import traceback
from multiprocessing.connection import Connection


def serve(pipe: Connection) -> None:
    """Answer calls of the side's methods until there is None; the last answer is the peak memory in MiB."""
    module, arguments = pipe.recv()
    side = importlib.import_module(module).Side(*arguments)
    pipe.send((None, None))
    while (call := pipe.recv()) is not None:
        name, arguments = call
        pipe.send((None, getattr(side, name)(*arguments)))
    pipe.send((None, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    """Serve the pipe whose descriptor is the first argument."""
    pipe = Connection(int(sys.argv[1]))
    try:
        serve(pipe)
    except Exception as error:
        pipe.send((f"{type(error).__name__}: {error}", traceback.format_exc()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
