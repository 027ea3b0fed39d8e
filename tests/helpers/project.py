"""What pyproject.toml says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

try:
    import tomllib
except ImportError:  # Python 3.10: pip carries the same parser
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


def pyproject() -> dict[str, Any]:
    """The tables of the file."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
