"""The command line.

``admin-py study | profile | train | translate | analyse | diagnose | grid | watch | score | convert |
recipes | info``.

Exit status: 0 done, 1 an error (one line on standard error; ``--debug`` shows where), 2 wrong usage, 130
stopped by Ctrl-C with what was done kept, 143 by SIGTERM.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from admin_py._version import __version__
from admin_py.base.signals import Termination
from admin_py.base.streams import finish, occupy_closed, say
from admin_py.cli import (
    analyse,
    convert,
    diagnose,
    grid,
    info,
    profile,
    recipes,
    score,
    study,
    train,
    translate,
    watch,
)
from admin_py.cli.options import STOPPED, UsageError

OK, ERROR, USAGE, TERMINATED = 0, 1, 2, 143

COMMANDS: Mapping[str, ModuleType] = {
    "study": study,
    "profile": profile,
    "train": train,
    "translate": translate,
    "analyse": analyse,
    "diagnose": diagnose,
    "grid": grid,
    "watch": watch,
    "score": score,
    "convert": convert,
    "recipes": recipes,
    "info": info,
}
"""Name -> module with SUMMARY, EXAMPLES, ``add_arguments(parser)`` and ``run(options)``."""


class Parser(argparse.ArgumentParser):
    """One whose help and errors are shown as everything else is."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:
            say(message, stream=file, end="")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(
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
    if isinstance(error, (ValueError, TypeError, IndexError, OSError, RuntimeError, ImportError)) and text:
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
    occupy_closed()
    try:
        options = build_parser().parse_args(arguments)
        options.typed = list(sys.argv[1:] if arguments is None else arguments)
        with Termination() as termination:
            status = _run(options)
        return TERMINATED if termination.came and status == STOPPED else status
    finally:
        finish()


def _run(options: argparse.Namespace) -> int:
    """Run a command; its exit status, whatever becomes of it."""
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        say("admin-py: stopped")
        return STOPPED
    except UsageError as error:
        say(f"admin-py {options.command}: error: {error}")
        return USAGE
    except Exception as error:
        if options.debug:
            raise
        say(f"admin-py: error: {describe(error)}")
        return ERROR
