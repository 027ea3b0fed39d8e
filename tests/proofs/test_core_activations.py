"""Every named activation and gradient of a pass against the oracle, for every kind of model."""

from __future__ import annotations

import numpy as np
import pytest
from reference import transformer
from reference.naming import sublayer_name

from proofs.configurations import CASES, Case, identifiers
from proofs.core import make
from proofs.deviation import deviation

TOLERANCE = {"float64": 1e-11, "float32": 5e-4}  # gradients of the stream add up over all sub-layers

SITES = {"branch": "a", "normed": "h", "sum": "y", "output": "out"}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=identifiers(CASES))
def test_activations(case: Case, dtype: str) -> None:
    core, params, batch, packed = make(case, dtype, 6)
    expected = transformer.forward(case.config, params, batch)
    core.forward(packed, observe=True)
    for stack, found in expected.stacks.items():
        count = len(found.sublayers)
        assert deviation(core.activation(stack, 0, "output"), found.sublayers[0].x) < TOLERANCE[dtype]
        assert deviation(core.activation(stack, count, "end"), found.out) < TOLERANCE[dtype]
        for index, one in enumerate(found.sublayers, start=1):
            for site, name in SITES.items():
                got = core.activation(stack, index, site)
                assert deviation(got, getattr(one, name)) < TOLERANCE[dtype], (stack, index, site)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", [case for case in CASES if case.config["decoder"]["layers"]],
                         ids=lambda case: case.name)  # fmt: skip
def test_gradients_of_the_stream(case: Case, dtype: str) -> None:
    core, params, batch, packed = make(case, dtype, 6)
    expected = transformer.backward(case.config, params, batch)
    core.backward(packed, training=False, observe=True, keep_gradients=True)
    for stack, found in expected.model.stacks.items():
        for index, gradient in enumerate(found.dx):
            got = core.activation(stack, index, "output_gradient")
            assert deviation(got, gradient) < TOLERANCE[dtype], (stack, index)


def test_gradients_of_branches_by_their_bias() -> None:
    """a = ... + out.bias, so that dL/dout.bias is the sum of dL/da over tokens, without dropout."""
    for case in CASES:
        if not case.config["decoder"]["layers"]:
            continue
        core, _, _, packed = make(case, "float64", 6)
        core.backward(packed, training=False, observe=True, keep_gradients=True)
        for stack in ("encoder", "decoder"):
            config = case.config[stack]
            for index in range(len(config["sublayers"])):
                name = sublayer_name(stack, config, index)
                last = "fc2" if name.endswith("feed_forward") else "out"
                if f"{name}.{last}.bias" not in core.gradients:
                    continue
                got = core.activation(stack, index + 1, "branch_gradient").sum(axis=0)
                assert deviation(core.gradients[f"{name}.{last}.bias"], got) < 1e-11, (case.name, name)


def test_gradients_are_kept_by_passes_that_are_asked_to() -> None:
    core, _, _, packed = make(CASES[0], "float64", 6)
    for options in ({"observe": True}, {"keep_gradients": True}):
        core.backward(packed, **options)
        with pytest.raises(RuntimeError, match="kept"):
            core.activation("decoder", 0, "output_gradient")
    core.backward(packed, observe=True, keep_gradients=True)
    assert np.isfinite(core.activation("decoder", 0, "output_gradient")).all()
    with pytest.raises(IndexError, match="index must be from 1"):
        core.activation("decoder", 0, "branch_gradient")
