"""The compute core, in both precisions, against the oracle, over the whole table of configurations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import transformer
from reference.dropout import CoreDropout
from reference.naming import parameter_shapes, untrained_names

from proofs.configurations import (
    CASES,
    LARGE_CASES,
    LOSS_CASES,
    POST,
    PRE,
    Case,
    config,
    identifiers,
    with_dropout,
)
from proofs.core import BUILDS, core_batch, make, rounded, set_parameters
from proofs.deviation import deviation, worst_gradient

DTYPES = ("float64", "float32")
# Both sides sum in their own order. float64: 1e-16 a rounding, sums of a few hundred terms through up to nine
# sub-layers. float32: 6e-8 a rounding, the same sums. The gradient of a number (input_scale, alpha, DyT's
# scale) is one sum over all elements whose terms cancel: rounding counts by the terms, not by the sum.
OUTPUT = {"float64": 1e-13, "float32": 5e-6}
GRADIENT = {"float64": 2e-12, "float32": 3e-4}
ALL = CASES + LARGE_CASES
WITH_LOSS = LOSS_CASES + LARGE_CASES


def by_name(name: str) -> Case:
    return next(case for case in ALL if case.name == name)


@pytest.mark.parametrize("case", CASES, ids=identifiers(CASES))
def test_parameters_are_those_of_the_table(case: Case) -> None:
    core = BUILDS["float64"].Transformer(case.config)
    shapes = parameter_shapes(case.config)
    assert {name: value.shape for name, value in core.parameters.items()} == shapes
    fixed = untrained_names(case.config)
    assert set(core.trained) == set(shapes) - fixed
    assert core.num_parameters == sum(int(np.prod(shapes[name])) for name in shapes if name not in fixed)
    assert core.trained_length >= core.num_parameters


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ALL, ids=identifiers(ALL))
def test_forward(case: Case, dtype: str) -> None:
    core, params, batch, packed = make(case, dtype, 1)
    expected = transformer.forward(case.config, params, batch).out
    got = core.forward(packed)
    assert got.dtype == dtype
    assert deviation(got, expected) < OUTPUT[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", WITH_LOSS, ids=identifiers(WITH_LOSS))
def test_loss_and_gradients(case: Case, dtype: str) -> None:
    core, params, batch, packed = make(case, dtype, 2)
    run = transformer.backward(case.config, params, batch, label_smoothing=0.1)
    for loss, nll, num_tokens in (
        core.loss(packed, label_smoothing=0.1),
        core.backward(packed, label_smoothing=0.1),
    ):
        assert deviation(loss, run.loss) < OUTPUT[dtype]
        assert deviation(nll, run.nll) < OUTPUT[dtype]
        assert num_tokens == run.num_tokens
    worst, where = worst_gradient(core.gradients, run.gradients, core.trained)
    assert worst < GRADIENT[dtype], where


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", WITH_LOSS, ids=identifiers(WITH_LOSS))
def test_gradients_under_dropout(case: Case, dtype: str) -> None:
    """With the masks of the core's hash, written again in NumPy: every site, row and column."""
    config, seed, step = with_dropout(case.config), 77, 5
    core, params, batch, packed = make(case, dtype, 3, config)
    core.seed = seed
    dropout = CoreDropout(seed, step, config["heads"])
    run = transformer.backward(config, params, batch, label_smoothing=0.1, dropout=dropout)
    loss, nll, _ = core.backward(packed, label_smoothing=0.1, training=True, step=step)
    assert deviation(loss, run.loss) < OUTPUT[dtype]
    assert deviation(nll, run.nll) < OUTPUT[dtype]
    worst, where = worst_gradient(core.gradients, run.gradients, core.trained)
    assert worst < GRADIENT[dtype], where
    assert core.loss(packed, label_smoothing=0.1, training=True, step=step)[0] == pytest.approx(
        loss, rel=1e-6
    )


def test_dropout_is_off_outside_training() -> None:
    case = by_name("admin 3-3")
    config = with_dropout(case.config)
    core, params, batch, packed = make(case, "float64", 3, config)
    expected = transformer.loss(config, params, batch)[0]
    assert deviation(core.loss(packed)[0], expected) < OUTPUT["float64"]
    assert deviation(core.backward(packed, training=False)[0], expected) < OUTPUT["float64"]
    assert deviation(core.loss(packed, training=True)[0], expected) > 1e-3


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing(smoothing: float) -> None:
    core, params, batch, packed = make(by_name("post 3-2"), "float64", 4)
    run = transformer.backward(by_name("post 3-2").config, params, batch, label_smoothing=smoothing)
    loss, nll, _ = core.backward(packed, label_smoothing=smoothing)
    assert deviation(loss, run.loss) < OUTPUT["float64"]
    assert deviation(nll, run.nll) < OUTPUT["float64"]
    assert worst_gradient(core.gradients, run.gradients)[0] < GRADIENT["float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["post 3-2", "capped logits", "output bias", "large vocabulary"])
def test_z_loss(name: str, dtype: str) -> None:
    case = by_name(name)
    core, params, batch, packed = make(case, dtype, 4)
    options = {"label_smoothing": 0.1, "z_loss": 0.3}
    run = transformer.backward(case.config, params, batch, **options)
    loss, nll, _ = core.backward(packed, **options)
    assert deviation(loss, run.loss) < OUTPUT[dtype]
    assert deviation(nll, run.nll) < OUTPUT[dtype]
    assert deviation(core.loss(packed, **options)[0], run.loss) < OUTPUT[dtype]
    assert run.loss > transformer.backward(case.config, params, batch, label_smoothing=0.1).loss + 0.01
    assert worst_gradient(core.gradients, run.gradients)[0] < GRADIENT[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("place", ["sub-layer", "stack"])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_an_input_scale_of_any_size(size: float, place: str, dtype: str) -> None:
    """What lies behind a scale has its gradient to the last digits, measured against itself."""
    subs = [PRE, {**PRE, **POST, "input_scale": size}]
    names = ["decoder.0.feed_forward.norm_pre.gamma", "decoder.0.feed_forward.norm_pre.nu"]
    stacks = {"causal": True, "cross": False}
    if place == "stack":
        subs, names, stacks = [PRE], ["embedding.weight"], {**stacks, "input_scale": "scalar"}
    case = Case("scaled", config(subs, encoder=0, share_embeddings="none", stacks=stacks))
    core, params, batch, packed = make(case, dtype, 6)
    if place == "stack":
        params["decoder.input_scale"][...] = size
        params = rounded(params, dtype)
        set_parameters(core, params)
    run = transformer.backward(case.config, params, batch)
    core.backward(packed)
    for name in names:
        assert deviation(core.gradients[name], run.gradients[name]) < GRADIENT[dtype], name


def test_scale_and_accumulation() -> None:
    """scale multiplies the gradients, not the loss; accumulate adds to what is there."""
    case = by_name("every field")
    core, params, batch, packed = make(case, "float64", 5)
    run = transformer.backward(case.config, params, batch)
    loss = core.backward(packed, scale=0.25)[0]
    assert deviation(loss, run.loss) < OUTPUT["float64"]
    assert (
        worst_gradient(core.gradients, {k: 0.25 * g for k, g in run.gradients.items()})[0]
        < GRADIENT["float64"]
    )
    other = case.batch(6)
    core.backward(core_batch(BUILDS["float64"], other), accumulate=True, scale=0.75)
    second = transformer.backward(case.config, params, other).gradients
    total = {name: 0.25 * run.gradients[name] + 0.75 * second[name] for name in second}
    assert worst_gradient(core.gradients, total)[0] < GRADIENT["float64"]
    core.backward(packed)
    assert worst_gradient(core.gradients, run.gradients)[0] < GRADIENT["float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_scale_zero_leaves_no_gradient(dtype: str) -> None:
    core, _, _, packed = make(by_name("post 3-2"), dtype, 5)
    core.backward(packed)
    assert np.any(core.gradient_buffer)
    core.backward(packed, scale=0.0)
    assert not np.any(core.gradient_buffer)


def check_observations(core: Any, run: transformer.LossPass, tolerance: float) -> None:
    got = core.observations()
    assert set(got) == set(run.model.stacks)
    for name, stack in run.model.stacks.items():
        assert deviation(got[name]["var_input"], [np.var(s.x) for s in stack.sublayers]) < tolerance
        assert deviation(got[name]["var_branch"], [np.var(s.a) for s in stack.sublayers]) < tolerance
        assert deviation(got[name]["grad_norm"], [np.linalg.norm(dx) for dx in stack.dx]) < tolerance


@pytest.mark.parametrize("case", WITH_LOSS, ids=identifiers(WITH_LOSS))
def test_observations(case: Case) -> None:
    """Var(x_{i-1}), Var(a_i) and |dL/dx_i| of every sub-layer, with dropout on."""
    config = with_dropout(case.config)
    core, params, batch, packed = make(case, "float64", 7, config)
    run = transformer.backward(config, params, batch, dropout=CoreDropout(7, 2, config["heads"]))
    core.backward(packed, step=2, observe=True)
    check_observations(core, run, GRADIENT["float64"])


@pytest.mark.parametrize(
    "name", ["admin 3-3", "every field", "norms everywhere", "language model, share all"]
)
def test_activations(name: str) -> None:
    """x_0 .. x_R and a_1 .. a_R of an observed forward pass; observing changes nothing."""
    case = by_name(name)
    core, params, batch, packed = make(case, "float64", 8)
    run = transformer.forward(case.config, params, batch)
    plain = core.forward(packed)
    assert np.array_equal(core.forward(packed, observe=True), plain)
    for stack_name, stack in run.stacks.items():
        xs = [stack.sublayers[0].x] + [s.out for s in stack.sublayers]
        for i, x in enumerate(xs):
            assert deviation(core.activation(stack_name, i, "output"), x) < OUTPUT["float64"]
        for i, sub in enumerate(stack.sublayers):
            assert deviation(core.activation(stack_name, i + 1, "branch"), sub.a) < OUTPUT["float64"]


@pytest.mark.parametrize("name", ["admin 3-3", "every field", "kappa everywhere"])
def test_results_do_not_depend_on_what_ran_before(name: str) -> None:
    """The workspace is reused: small batches after large ones give the bits of a fresh model."""
    case = by_name(name)
    config = with_dropout(case.config) | {"max_length": 80}
    larger = Case("larger", config, (70, 1, 40), (64, 66, 3))
    fresh, _, _, packed = make(case, "float32", 9, config)
    expected = fresh.backward(packed, step=1), fresh.gradient_buffer.copy(), fresh.forward(packed)
    used, _, _, packed = make(case, "float32", 9, config)
    big = core_batch(BUILDS["float32"], larger.batch(9))
    for _ in range(2):
        used.forward(big, training=True)
        used.backward(big, observe=True)
        used.profile(big, apply=False)
        assert used.backward(packed, step=1) == expected[0]
        assert np.array_equal(used.gradient_buffer, expected[1])
        assert np.array_equal(used.forward(packed), expected[2])
