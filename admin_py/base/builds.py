"""The builds of the core, one for each precision; loaded so that waiting threads give way to others.

GCC's OpenMP runtime lets a thread that waits spin for milliseconds before it sleeps. Where other
programs want the processors too, that costs the very thread it waits for its turn: on two busy cores,
steps of a small deep model took four times as long. A short spin costs a few per cent on an idle
machine. The runtime reads its settings when it is loaded, and the package has a copy of its own, so the
setting reaches nobody else. Whoever sets GOMP_SPINCOUNT or OMP_WAIT_POLICY is obeyed. The stacks of its
threads are as large as products of matrices need, whatever ``ulimit -s`` or OMP_STACKSIZE say of others.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from admin_py.base.environment import first_threads, problems
from admin_py.base.quota import processors_granted

MAX_THREADS = 1024
"""More the core refuses."""

SPIN = "1000"
STACK = "4M"
SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")

NAMES: Mapping[str, str] = {"float32": "admin_py._core", "float64": "admin_py._core64"}
"""dtype -> the extension module that computes in it."""


def load() -> dict[str, ModuleType]:
    """Import both precisions of the core, by dtype."""
    ours = {"OMP_STACKSIZE": STACK}
    if not any(name in os.environ for name in SETTINGS):
        ours["GOMP_SPINCOUNT"] = SPIN
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        modules = {dtype: importlib.import_module(name) for dtype, name in NAMES.items()}
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    granted = processors_granted()
    for module in modules.values():
        module.set_num_threads(min(first_threads(os.environ, module.num_procs(), granted), MAX_THREADS))
    for problem in problems(os.environ, modules["float32"].system_info()["kernels"]):
        warnings.warn_explicit(problem, RuntimeWarning, "environment", 1)  # one line, no place in the code
    return modules


MODULES: Mapping[str, ModuleType] = MappingProxyType(load())
"""The build of the core for each dtype. Nothing else in the package imports them."""

DTYPES = tuple(MODULES)

MAX_SEED = 2**64 - 1
"""Largest seed of a model."""
