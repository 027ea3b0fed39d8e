"""Matplotlib where the environment names a backend that it does not know, as notebooks leave behind."""

from __future__ import annotations

import os
import sys

VARIABLE = "MPLBACKEND"


def need_matplotlib() -> None:
    """Import Matplotlib, if need be without the backend that the environment names.

    A wrong name in ``MPLBACKEND`` makes the import fail, though no file of a figure needs a backend.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import matplotlib
    except ValueError:
        named = os.environ.pop(VARIABLE, None)
        if named is None:
            raise
        for left in [name for name in sys.modules if name.startswith("matplotlib.")]:
            del sys.modules[left]  # of the import that failed: the package would not know them
        try:
            import matplotlib  # noqa: F401
        finally:
            os.environ[VARIABLE] = named
