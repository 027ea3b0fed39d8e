"""The modules of the package that can be imported here."""

from __future__ import annotations

import pkgutil
from importlib.util import find_spec

import admin_py as ap

OF_PYTORCH = tuple(f"admin_py.interop.{name}" for name in ("torch_model", "torch_profile", "torch_residual"))
"""Imported where they are needed, and PyTorch is there."""


def package_modules() -> list[str]:
    """Names of all modules, without those that need PyTorch where it is missing."""
    found = [one.name for one in pkgutil.walk_packages(ap.__path__, "admin_py.")]
    return [name for name in found if find_spec("torch") or name not in OF_PYTORCH]
