"""Where the tests find real text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_FOLDER = Path(os.environ.get("ADMIN_PY_DATA", Path(__file__).parents[3] / "shared" / "data"))


def real_file(name: str) -> Path:
    """The path of a file of real text; skips the test where it is absent."""
    path = _FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} is not there (ADMIN_PY_DATA names the folder)")
    return path
