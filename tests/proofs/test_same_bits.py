"""The same bits on every processor: all tables of kernels that this one can run, and digests of trainings.

Results depend on IEEE arithmetic alone, in an order that the data fix. Dropout is on everywhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__
from optimizer_rules import OPTIONS, RULES

from proofs.configurations import (
    ADMIN,
    CASES,
    ENCODER_CASES,
    LARGE_CASES,
    POST,
    Case,
    config,
    identifiers,
    with_dropout,
)
from proofs.core import BUILDS, make
from proofs.passes import arrays, dependency, output_change, passes, same, steps
from proofs.tables import promised
from tools import digest

# Widths around the lengths of vectors, of lines and of steps of sums, and beyond the steps of a product.
WIDTHS = (2, 7, 8, 15, 16, 17, 31, 33, 64, 67, 130)
WIDE = [
    Case(
        f"width {n}",
        config(ADMIN if n > 2 else POST, heads=1, d_model=n, d_ff=n + 1, vocab_size=n + 2, activation="gelu"),
    )
    for n in WIDTHS
]
DEEP = Case("more than a depth of steps", config(POST, heads=3, d_model=270, d_ff=530, vocab_size=601))
CHOSEN = [*CASES, *ENCODER_CASES, *WIDE, DEEP, *LARGE_CASES]
"""Every kind of model, norm, residual and activation, and sizes that are awkward."""


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Iterator[str]]:
    """A function that goes through all tables that this processor promises; each is in use until the next."""

    def each() -> Iterator[str]:
        for name in promised():
            monkeypatch.setenv("ADMIN_PY_CPU", name)
            assert [module.system_info()["kernels"] for module in BUILDS.values()] == [name] * len(BUILDS)
            yield name

    return each


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CHOSEN, ids=identifiers(CHOSEN))
def test_passes(case: Case, dtype: str, tables: Callable[[], Iterator[str]]) -> None:
    """Forward and backward passes, observations, norms and profiles."""
    same([passes(case, dtype, 1 + number) for number, _ in enumerate(tables())])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [CASES[0], *WIDE[1:], *LARGE_CASES], ids=lambda case: case.name)
def test_analyses(case: Case, dtype: str, tables: Callable[[], Iterator[str]]) -> None:
    same([dependency(case, dtype) | output_change(case, dtype) for _ in tables()])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options"), RULES, ids=[f"{kind} {options}" for kind, options in RULES])
def test_training_steps(
    kind: str, options: dict[str, Any], dtype: str, tables: Callable[[], Iterator[str]]
) -> None:
    case = next(case for case in CASES if case.name == "odd width 33")
    results = []
    for _ in tables():
        core, *_ = make(case, dtype, 52, with_dropout(case.config))
        optimizer = BUILDS[dtype].Optimizer(kind, **OPTIONS | options)
        results.append({"norms": steps(case, core, optimizer, range(4))} | arrays(core, optimizer))
    same(results)


def test_initial_weights(tables: Callable[[], Iterator[str]]) -> None:
    made = config(ADMIN, d_model=48, d_ff=96)
    same([{"weights": BUILDS["float32"].Transformer(made, seed=5).weights.copy()} for _ in tables()])


@pytest.mark.parametrize("name", digest.WAYS)
def test_digests_are_those_of_every_machine(name: str) -> None:
    """Of all that it digests. Whoever changes bits on purpose runs `tools/digest.py --write`."""
    assert digest.compute(name) == digest.kept()[name]


POORER = {
    "ADMIN_PY_CPU": "generic",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA4,-AVX512F,-AVX512VL",
    "NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__),
}
"""What lets the core, the C library and NumPy choose as on a processor of long ago.

The C library keeps its fast fma, which is exact anyway: without, these trainings would take many minutes.
"""

TRAININGS = """
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from admin_py import _core
from tools import digest
print(_core.system_info()["kernels"], [name for name in __cpu_dispatch__ if __cpu_features__[name]])
print(digest.compute("kinds"))
"""
"""Prints what is not hidden of this processor, and a digest."""


def test_trainings_as_on_a_poorer_processor() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAININGS],
        cwd=Path(digest.__file__).parents[1],
        env={**os.environ, **POORER},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["generic []", digest.kept()["kinds"]], done.stderr


LIBRARIES = {**POORER, "OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "2"}
"""As above, and NumPy's BLAS too, on two threads where it has one here.

The core keeps its kernels, without which a study would take minutes.
"""
del LIBRARIES["ADMIN_PY_CPU"]


@pytest.mark.parametrize("name", ["analyses", "study"])
def test_analyses_with_libraries_as_on_a_poorer_processor(name: str) -> None:
    """Nothing that NumPy's BLAS and exponentials compute is in a number of an analysis."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"from tools import digest; print(digest.compute({name!r}))"],
        cwd=Path(digest.__file__).parents[1],
        env={**os.environ, **LIBRARIES},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == digest.kept()[name], done.stderr
