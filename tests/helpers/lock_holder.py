"""A process that holds a lock until its input ends; run as a program it is that process.

python lock_holder.py locked|locked_file PATH
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from admin_py.base import locks


@contextmanager
def holder(path: Path, lock: str = "locked") -> Iterator[subprocess.Popen[str]]:
    """Such a process, killed after the block."""
    command = [sys.executable, __file__, lock, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


if __name__ == "__main__":
    with getattr(locks, sys.argv[1])(sys.argv[2]):
        print("held", flush=True)
        sys.stdin.read()
