"""The compute core as the proofs use it: models with given weights, results as float64."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from reference.naming import draw_parameters
from reference.ragged import Batch

from admin_py import _core, _core64
from proofs.configurations import Case

BUILDS: dict[str, ModuleType] = {"float32": _core, "float64": _core64}


def core_batch(module: ModuleType, batch: Batch) -> Any:
    """The core's Batch of the same sequences."""
    return module.Batch(*(part for part in batch if part is not None))


def set_parameters(core: Any, params: Mapping[str, np.ndarray]) -> None:
    """Copies the weights in; the core must have exactly the named ones."""
    own = core.parameters
    assert set(own) == set(params), set(own) ^ set(params)
    for name, value in params.items():
        assert own[name].shape == value.shape, name
        own[name][...] = value


def rounded(params: Mapping[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """What a model of that dtype can hold, as float64: the oracle is to see the same weights."""
    return {name: value.astype(dtype).astype(np.float64) for name, value in params.items()}


def make(
    case: Case, dtype: str, seed: int, config: dict[str, Any] | None = None
) -> tuple[Any, dict, Batch, Any]:
    """A core model of the case with weights in general position; weights, batch, and the core's batch."""
    module = BUILDS[dtype]
    config = config or case.config
    params = rounded(draw_parameters(config, seed), dtype)
    core = module.Transformer(config, seed=seed)
    set_parameters(core, params)
    batch = case.batch(seed)
    return core, params, batch, core_batch(module, batch)
