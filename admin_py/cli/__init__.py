"""The command line, a file a command."""

from admin_py.cli.entry import main

__all__ = ["main"]
