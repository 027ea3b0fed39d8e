"""The oracle's hand-written gradients against differences of its own loss, dropout and smoothing on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import transformer
from reference.dropout import RandomDropout
from reference.naming import draw_parameters, parameter_shapes

from proofs.configurations import LOSS_CASES, Case, identifiers, with_dropout
from proofs.deviation import worst_difference, worst_direction

TOLERANCE = 1e-7  # rounding of the loss, 1e-16, over the step and the gradients' size


def check(case: Case, elements: bool) -> None:
    config, seed = with_dropout(case.config), 3
    print("seed", seed)
    params, batch, dropout = draw_parameters(config, seed), case.batch(seed), RandomDropout(seed)

    def loss() -> float:
        return transformer.loss(config, params, batch, label_smoothing=0.1, dropout=dropout)[0]

    run = transformer.backward(config, params, batch, label_smoothing=0.1, dropout=dropout)
    assert run.loss == loss()
    if elements:
        worst, where = worst_difference(loss, params, run.gradients, names=params, per_tensor=1, seed=seed)
        assert worst < TOLERANCE, where
    assert worst_direction(loss, params, run.gradients, names=params, seed=seed) < TOLERANCE


@pytest.mark.parametrize("case", LOSS_CASES, ids=identifiers(LOSS_CASES))
def test_gradients_are_those_of_the_loss(case: Case) -> None:
    check(case, elements=False)


@pytest.mark.parametrize("name", ["every field", "norms everywhere"])
def test_gradients_element_by_element(name: str) -> None:
    check(next(case for case in LOSS_CASES if case.name == name), elements=True)


def sees_itself_alone(config: dict[str, Any], name: str) -> bool:
    """Whether a parameter is of self-attention with a window of one token."""
    stack, _, rest = name.partition(".")
    layer, _, part = rest.partition(".")
    if not part.startswith("self_attn."):
        return False
    rows = config[stack]["sublayers"]
    return bool(rows[int(layer) * (len(rows) // config[stack]["layers"])]["window"] == 1)


def test_every_parameter_takes_part() -> None:
    """No case is blind: every parameter of every case moves the loss, but for what softmax cancels."""
    for case in LOSS_CASES:
        params = draw_parameters(case.config, 5)
        grads = transformer.backward(case.config, params, case.batch(5)).gradients
        assert set(grads) == set(parameter_shapes(case.config))
        for name, g in grads.items():
            # a softmax over one key has no gradient
            alone = case.name in ("one token each", "width 1")
            alone = alone or sees_itself_alone(case.config, name)
            if not name.endswith(("k.bias", "norm_k.nu")) and not alone:
                assert np.abs(g).max() > 1e-9, (case.name, name)


def test_a_wrong_gradient_is_seen() -> None:
    """The check itself: one element off by a millionth of the gradient's size does not pass."""
    case = next(case for case in LOSS_CASES if case.name == "admin 3-3")
    params, batch = draw_parameters(case.config, 7), case.batch(7)
    grads = transformer.backward(case.config, params, batch).gradients

    def loss() -> float:
        return transformer.loss(case.config, params, batch)[0]

    assert worst_direction(loss, params, grads, names=params, directions=1) < TOLERANCE
    grads["decoder.1.cross_attn.v.weight"][2, 3] += 1e-6 * np.sqrt(sum((g**2).sum() for g in grads.values()))
    assert worst_direction(loss, params, grads, names=params, directions=1) > TOLERANCE
