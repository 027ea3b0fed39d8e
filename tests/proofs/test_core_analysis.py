"""Dependency and output change of the core against the oracle: all components kept, every kind of model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import analysis, transformer
from reference.naming import draw_parameters

from proofs.configurations import CASES, ENCODER_CASES, LARGE_CASES, Case, identifiers
from proofs.core import make, rounded, set_parameters
from proofs.deviation import deviation

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}  # some ten roundings a sub-layer, all variances positive
SUM_TOLERANCE = 1e-10  # what components may miss of their sum, in float64
ALL = [*CASES, *ENCODER_CASES, *LARGE_CASES[:1]]


def is_linear(case: Case) -> bool:
    """No DyT on the way of the residual."""
    subs = [sub for stack in ("encoder", "decoder") for sub in case.config[stack]["sublayers"]]
    return not any(
        sub["norm_post"] == "dyt" or (sub["residual_normed"] and sub["norm_pre"] == "dyt") for sub in subs
    )


LINEAR = [case for case in ALL if is_linear(case)]
NOT_LINEAR = [case for case in ALL if not is_linear(case)]


def expected_table(components: analysis.Components) -> np.ndarray:
    """Mean over tokens of the variance over features [R, R + 2]."""
    r = len(components.rows)
    table = np.zeros((r, r + 2))
    for i, row in enumerate(components.rows):
        variances = row.var(axis=2).mean(axis=1)
        table[i, : i + 2], table[i, -1] = variances[:-1], variances[-1]
    return table


@pytest.mark.parametrize("max_memory", [1, 2**30], ids=["sequence by sequence", "all at once"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", LINEAR, ids=identifiers(LINEAR))
def test_dependency(case: Case, dtype: str, max_memory: int) -> None:
    core, params, batch, packed = make(case, dtype, 21)
    run = transformer.forward(case.config, params, batch)
    before = core.weights.copy()
    got = core.dependency(packed, max_memory=max_memory, components=True)
    assert set(got) == set(run.stacks)
    for name, stack in run.stacks.items():
        own = analysis.components(case.config, name, stack, params)
        for row, sub in zip(own.rows, stack.sublayers, strict=True):  # the oracle's own proof
            assert np.abs(row.sum(axis=0) - sub.y).max() < SUM_TOLERANCE
        assert np.abs(own.output.sum(axis=0) - stack.sublayers[-1].out).max() < SUM_TOLERANCE
        table = got[name]
        assert deviation(table["variances"], expected_table(own)) < TOLERANCE[dtype]
        sums = [sub.y.var(axis=1).mean() for sub in stack.sublayers]
        assert deviation(table["sums"], np.array(sums)) < TOLERANCE[dtype]
        wanted = analysis.predicted(case.config, name, stack, params)
        assert deviation(table["predicted"], wanted) < TOLERANCE[dtype]
        assert table["num_tokens"] == len(stack.out)
        last = table["last"].transpose(1, 0, 2)
        assert deviation(last, own.rows[-1]) < TOLERANCE[dtype]
        if dtype == "float64":
            assert np.abs(last.sum(axis=0) - stack.sublayers[-1].y).max() < SUM_TOLERANCE
    assert np.array_equal(core.weights, before)


@pytest.mark.parametrize("case", NOT_LINEAR, ids=identifiers(NOT_LINEAR))
def test_a_norm_that_is_not_linear_is_an_error(case: Case) -> None:
    core, _, _, packed = make(case, "float64", 21)
    with pytest.raises(ValueError, match=r"sub-layer \d of the encoder sends its residual through a DyT"):
        core.dependency(packed)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", ALL, ids=identifiers(ALL))
def test_output_change(case: Case, dtype: str) -> None:
    core, params, batch, packed = make(case, dtype, 22)
    other, *_ = make(case, dtype, 22)
    drawn = draw_parameters(case.config, 23)
    moved = rounded({name: 0.9 * params[name] + 0.1 * drawn[name] for name in params}, dtype)
    set_parameters(other, moved)
    got = core.output_change(other, packed)
    one, two = transformer.forward(case.config, params, batch), transformer.forward(case.config, moved, batch)
    assert set(got) == set(one.stacks)
    for name, stack in one.stacks.items():
        change, input_change = analysis.changes(stack, two.stacks[name], case.config["norm_eps"])
        table: dict[str, Any] = got[name]
        # the oracle's outputs are 1e-6 away in float32, and differences of a tenth stand on them
        room = TOLERANCE[dtype] * 20
        assert deviation(table["change"], change) < room
        assert deviation(np.array(table["input_change"]), np.array(input_change)) < room
        sums = np.array([sub.y.var(axis=1).mean() for sub in stack.sublayers])
        assert deviation(table["var_sum"], sums) < TOLERANCE[dtype]
    same = core.output_change(make(case, dtype, 22)[0], packed)
    assert all(not table["change"].any() and table["input_change"] == 0.0 for table in same.values())
