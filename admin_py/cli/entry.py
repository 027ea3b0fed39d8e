"""The command line: ``admin-py study | profile | train | analyse | grid | info``.

Exit status: 0 done, 1 an error (one line on standard error; ``--debug`` shows where), 2 wrong usage, 130
stopped by Ctrl-C with what was done kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

from admin_py._version import __version__
from admin_py.cli import analyse, grid, info, profile, study, train
from admin_py.cli.options import STOPPED, UsageError

OK, ERROR, USAGE = 0, 1, 2

COMMANDS: Mapping[str, ModuleType] = {
    "study": study,
    "profile": profile,
    "train": train,
    "analyse": analyse,
    "grid": grid,
    "info": info,
}
"""Name -> module with SUMMARY, EXAMPLES, ``add_arguments(parser)`` and ``run(options)``."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="admin-py",
        description="Deep Transformers on a CPU: how Post-LN, Pre-LN, Admin and others train.",
    )
    parser.add_argument("--version", action="version", version=f"admin-py {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        one = subparsers.add_parser(
            name,
            help=command.SUMMARY,
            description=command.SUMMARY[:1].upper() + command.SUMMARY[1:] + ".",
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    return parser


def describe(error: BaseException) -> str:
    """An error in one line.

    Examples
    --------
    >>> describe(FileNotFoundError(2, "No such file or directory", "a.txt"))
    'a.txt: No such file or directory'
    >>> describe(ValueError("heads must divide\\nd_model"))
    'heads must divide d_model'
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"not enough memory{': ' + text if text else ''}"
    if isinstance(error, (ValueError, TypeError, IndexError, OSError, RuntimeError)) and text:
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        The exit status.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("admin-py: stopped", file=sys.stderr)
        return STOPPED
    except UsageError as error:
        print(f"admin-py {options.command}: error: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        # The reader of our output has gone; nothing is left to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except Exception as error:
        if options.debug:
            raise
        print(f"admin-py: error: {describe(error)}", file=sys.stderr)
        return ERROR
