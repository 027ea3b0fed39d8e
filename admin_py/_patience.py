"""Loads the core so that its waiting threads give way to others.

GCC's OpenMP runtime lets a thread that waits spin for milliseconds before it sleeps. Where other
programs want the processors too, that costs the very thread it waits for its turn: on two busy cores,
steps of a small deep model took four times as long. A short spin costs a few per cent on an idle
machine. The runtime reads its settings when it is loaded, and the package has a copy of its own, so the
setting reaches nobody else. Whoever sets GOMP_SPINCOUNT or OMP_WAIT_POLICY is obeyed.
"""

from __future__ import annotations

import importlib
import os

SPIN = "1000"
SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def load_core() -> None:
    """Import both precisions of the core."""
    ours = not any(name in os.environ for name in SETTINGS)
    if ours:
        os.environ["GOMP_SPINCOUNT"] = SPIN
    try:
        for name in ("admin_py._core", "admin_py._core64"):
            importlib.import_module(name)
    finally:
        if ours:
            del os.environ["GOMP_SPINCOUNT"]
