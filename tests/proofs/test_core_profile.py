"""Variance profiling of the core against the oracle, every kind of model, both methods."""

from __future__ import annotations

import numpy as np
import pytest
from reference import profiling
from reference.dropout import CoreDropout, NoDropout

from proofs.configurations import CASES, LARGE_CASES, LOSS_CASES, Case, identifiers, with_dropout
from proofs.core import make
from proofs.deviation import deviation

TOLERANCE = {"float64": 1e-13, "float32": 5e-6}
PROFILED = [case for case in LOSS_CASES if any(
    sub["profiled"] for stack in ("encoder", "decoder") for sub in case.config[stack]["sublayers"]
)] + LARGE_CASES[:1]  # fmt: skip


def check(case: Case, dtype: str, method: str, dropout: bool) -> None:
    config, seed = with_dropout(case.config), 13
    core, params, batch, packed = make(case, dtype, 4, config)
    masks = CoreDropout(seed, 0, config["heads"]) if dropout else NoDropout()
    expected, changed = profiling.profile(config, params, batch, method=method, dropout=masks)
    before = core.weights.copy()
    for apply in (False, True):
        got = core.profile(packed, method=method, dropout=dropout, seed=seed, apply=apply)
        assert set(got) == set(expected)
        for name, profile in expected.items():
            for field in ("omega", "var_input", "var_branch"):
                assert got[name][field].dtype == np.float64
                assert deviation(got[name][field], getattr(profile, field)) < TOLERANCE[dtype], (name, field)
        if not apply:
            assert np.array_equal(core.weights, before)
    for name, value in core.parameters.items():
        assert deviation(value, changed[name]) < TOLERANCE[dtype], name


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("method", ["clinic", "paper"])
@pytest.mark.parametrize("case", PROFILED, ids=identifiers(PROFILED))
def test_admin_models(case: Case, method: str, dropout: bool, dtype: str) -> None:
    """omega of profiled sub-layers is set, that of others stays."""
    check(case, dtype, method, dropout)


@pytest.mark.parametrize("case", CASES, ids=identifiers(CASES))
def test_any_model(case: Case) -> None:
    """Every scheme can be profiled; those without a profiled omega only measure."""
    check(case, "float64", "clinic", True)


def test_clinic_recursion_by_hand() -> None:
    """omega_{i+1}^2 = omega_i^2 Var(x_{i-1}) + Var(a_i) with omega_1 = 1, from the profile's own numbers."""
    case = next(case for case in CASES if case.name == "admin 3-3")
    core, _, _, packed = make(case, "float64", 4)
    for stack in core.profile(packed).values():
        omega, var_input, var_branch = stack["omega"], stack["var_input"], stack["var_branch"]
        assert omega[0] == 1.0
        assert deviation(omega[1:] ** 2, (omega**2 * var_input + var_branch)[:-1]) < 1e-12
    for stack in core.profile(packed, method="paper").values():
        assert (
            deviation(stack["omega"] ** 2, 1.0 + np.cumsum(np.append(0.0, stack["var_branch"][:-1]))) < 1e-12
        )
