"""Finite differences of the float64 core's own loss: every parameter, norm, field and stack, dropout on."""

from __future__ import annotations

import numpy as np
import pytest

from proofs.configurations import LARGE_CASES, LOSS_CASES, Case, identifiers, smooth, with_dropout
from proofs.core import make
from proofs.deviation import worst_difference, worst_direction

TOLERANCE = 1e-7  # relative; the differences themselves are good to about 1e-9


def check(case: Case, per_tensor: int, z_loss: float = 0.0) -> None:
    config, seed = with_dropout(case.config), 11
    print("seed", seed)
    core, _, _, packed = make(case, "float64", seed, config)
    options = {"label_smoothing": 0.1, "z_loss": z_loss, "training": True, "step": 3}

    def loss() -> float:
        return float(core.loss(packed, **options)[0])

    core.backward(packed, **options)
    params, grads = core.parameters, {name: np.array(g) for name, g in core.gradients.items()}
    if per_tensor:
        worst, where = worst_difference(
            loss, params, grads, names=core.trained, per_tensor=per_tensor, seed=seed, tolerance=TOLERANCE
        )
        assert worst < TOLERANCE, where
    assert worst_direction(loss, params, grads, names=core.trained, seed=seed) < TOLERANCE


@pytest.mark.parametrize("case", LOSS_CASES, ids=identifiers(LOSS_CASES))
def test_every_tensor(case: Case) -> None:
    check(case, per_tensor=3)


@pytest.mark.parametrize("name", ["pre 2-3", "capped logits", "output bias"])
def test_z_loss(name: str) -> None:
    check(smooth(next(case for case in LOSS_CASES if case.name == name)), per_tensor=3, z_loss=0.4)


@pytest.mark.parametrize("case", [smooth(case) for case in LARGE_CASES], ids=identifiers(LARGE_CASES))
def test_large_sizes_along_directions(case: Case) -> None:
    check(case, per_tensor=0)
