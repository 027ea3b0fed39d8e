"""Progress bars: whether this is a notebook, and a bar for wherever this is."""

from __future__ import annotations

import sys
import warnings
from typing import Any


def in_notebook() -> bool:
    """Whether the code runs in a Jupyter kernel."""
    shell = sys.modules.get("IPython")
    active = shell.get_ipython() if shell is not None else None
    return active is not None and hasattr(active, "kernel")


def new_bar(total: int, done: int, *, what: str, unit: str) -> Any:
    """A bar of `tqdm` on a terminal or in a notebook, `done` of `total` units already there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a notebook has no widgets: the bar is then of text
        from tqdm.auto import tqdm
    return tqdm(total=total, initial=done, desc=what, unit=unit, dynamic_ncols=True)
