"""Grids that take a moment."""

from __future__ import annotations

from typing import Any

import admin_py as ap

SMALL: dict[str, Any] = {
    "layers": 1,
    "d_model": 8,
    "d_ff": 16,
    "heads": 2,
    "steps": 3,
    "max_tokens": 128,
    "progress": False,
}
DATA = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
