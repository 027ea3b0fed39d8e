"""The builds of the core, one for each precision."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from admin_py.base.environment import first_threads, problems
from admin_py.base.openblas import openblas_file
from admin_py.base.quota import processors_granted
from admin_py.base.streams import say

MAX_THREADS = 1024
"""More the core refuses."""

NAMES: Mapping[str, str] = {"float32": "admin_py._core", "float64": "admin_py._core64"}
"""dtype -> the extension module that computes in it."""


def load() -> dict[str, ModuleType]:
    """Import both precisions of the core, by dtype, and OpenBLAS, if its products are asked for."""
    modules = {dtype: importlib.import_module(name) for dtype, name in NAMES.items()}
    granted = processors_granted()
    blas = openblas_file() if os.environ.get("ADMIN_PY_GEMM") == "openblas" else None
    for module in modules.values():
        module.set_num_threads(min(first_threads(os.environ, module.num_procs(), granted), MAX_THREADS))
        if blas is not None:
            module.load_blas(blas)
    core = modules["float32"]
    for problem in problems(os.environ, core.system_info()["kernels"], core.num_procs(), blas=blas):
        _tell(problem)
    return modules


def _tell(problem: str) -> None:
    """Warn in one line, of no place in the code; no filter that makes errors of warnings fails the import."""
    try:
        warnings.warn_explicit(problem, RuntimeWarning, "environment", 1)
    except RuntimeWarning:
        say(f"environment: {problem}")


MODULES: Mapping[str, ModuleType] = MappingProxyType(load())
"""The build of the core for each dtype. Nothing else in the package imports them."""

DTYPES = tuple(MODULES)

MAX_SEED = 2**64 - 1
"""Largest seed of a model."""
