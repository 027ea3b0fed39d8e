"""The core against PyTorch: results stored in the repository, and live where PyTorch is installed.

Post-LN, Pre-LN and Admin models with copied weights: logits, loss and every gradient, float32 and float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

import numpy as np
import pytest
from reference.ragged import Batch

from proofs.configurations import LARGE_CASES, LOSS_CASES, Case, identifiers
from proofs.core import BUILDS, core_batch, make, set_parameters
from proofs.deviation import deviation, worst_gradient
from proofs.stored_models import SMOOTHING, STORED_CASES, formula_parameters, load_stored, split

# float64 as against the oracle; float32: both sides round, each in its own order.
OUTPUT = {"float64": 1e-13, "float32": 5e-6}
GRADIENT = {"float64": 2e-12, "float32": 3e-4}

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")


@pytest.fixture(scope="module")
def stored() -> Mapping[str, np.ndarray]:
    return load_stored()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", STORED_CASES, ids=identifiers(STORED_CASES))
def test_stored_results(case: Case, dtype: str, stored: Mapping[str, np.ndarray]) -> None:
    module = BUILDS[dtype]
    core = module.Transformer(case.config)
    set_parameters(core, formula_parameters(case.config))
    batch = Batch(**{f: stored[f"{case.name}/{f}"] for f in Batch._fields if f"{case.name}/{f}" in stored})
    packed = core_batch(module, batch)
    prefix = f"{case.name}/{dtype}/"
    assert deviation(core.forward(packed), stored[prefix + "logits"]) < OUTPUT[dtype]
    loss, nll, _ = core.backward(packed, label_smoothing=SMOOTHING)
    assert deviation(loss, stored[prefix + "loss"]) < OUTPUT[dtype]
    assert deviation(nll, stored[prefix + "nll"]) < OUTPUT[dtype]
    worst, where = worst_gradient(core.gradients, split(stored[prefix + "gradients"], case.config))
    assert worst < GRADIENT[dtype], where


@needs_torch
@pytest.mark.parametrize("case", STORED_CASES, ids=identifiers(STORED_CASES))
def test_stored_results_are_those_of_this_torch(case: Case, stored: Mapping[str, np.ndarray]) -> None:
    """What the script would store today is what it stored."""
    from make_torch_results import torch_results

    for key, value in torch_results(case, "float64").items():
        assert deviation(value, stored[key], floor=1e-3) < 1e-12, key
    assert {key for key in stored if key.startswith(f"{case.name}/float64/")} == set(
        torch_results(case, "float64")
    )


@needs_torch
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", LOSS_CASES + LARGE_CASES, ids=identifiers(LOSS_CASES + LARGE_CASES))
def test_live(case: Case, dtype: str) -> None:
    import torch
    from torch_reference import TorchTransformer

    core, params, batch, packed = make(case, dtype, 31)
    model = TorchTransformer(case.config, params, getattr(torch, dtype))
    expected_loss, expected_nll, expected = model.backward(batch, 0.1)
    exact = TorchTransformer(case.config, params, torch.float64)  # of the same weights, whatever the dtype
    assert deviation(core.forward(packed), exact.forward(batch)[0].detach().numpy()) < OUTPUT[dtype]
    loss, nll, _ = core.backward(packed, label_smoothing=0.1)
    assert deviation(loss, expected_loss) < OUTPUT[dtype]
    assert deviation(nll, expected_nll) < OUTPUT[dtype]
    worst, where = worst_gradient(core.gradients, expected, core.trained)
    assert worst < GRADIENT[dtype], where
