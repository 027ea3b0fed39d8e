"""What a backward pass keeps and what it computes again never shows: gradients are the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference.naming import draw_parameters

from proofs.configurations import CASES, Case, with_dropout
from proofs.core import BUILDS, core_batch, make, set_parameters
from proofs.test_random_configurations import random_case

DTYPES = tuple(BUILDS)
MODES: tuple[dict[str, Any], ...] = (
    {"segment_layers": 0},
    *({"segment_layers": n} for n in (-1, 1, 2, 3, 100)),
    {"segment_layers": 1, "observe": True},
)


def gradients(core: Any, packed: Any, **mode: Any) -> tuple[tuple[float, float, int], np.ndarray]:
    loss = core.backward(packed, label_smoothing=0.1, step=4, **mode)
    return loss, core.gradient_buffer.copy()


def compare(core: Any, packed: Any) -> None:
    """An observed pass keeps everything; all other modes must agree with it."""
    expected, kept = gradients(core, packed, observe=True)
    seen = core.observations()
    for mode in MODES:
        core.gradient_buffer[...] = np.nan  # of which nothing may be left
        loss, found = gradients(core, packed, **mode)
        assert loss == expected, mode
        np.testing.assert_array_equal(found, kept, err_msg=str(mode))
    for stack, columns in seen.items():
        for name, column in columns.items():
            np.testing.assert_array_equal(core.observations()[stack][name], column)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for case in CASES if case.config["decoder"]["layers"]], ids=str)
def test_every_case(case: Case, dtype: str) -> None:
    core, _, _, packed = make(case, dtype, 3, with_dropout(case.config))
    compare(core, packed)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(60))
def test_random_configurations(seed: int, dtype: str) -> None:
    case = random_case(seed)
    print("seed", seed, case.config)
    core, _, _, packed = make(case, dtype, seed)
    compare(core, packed)


def deep(seed: int) -> Case:
    """Seven layers of random sub-layers in both stacks: segments of two and three do not divide them."""
    rng = np.random.default_rng(seed)
    case = random_case(seed)
    made = dict(case.config)
    for name in ("encoder", "decoder"):
        stack = dict(made[name])
        sublayers = stack["sublayers"]
        if not sublayers:
            continue
        per_layer = len(sublayers) // stack["layers"]
        order = rng.integers(0, stack["layers"], 7)
        stack["sublayers"] = [
            sub for layer in order for sub in sublayers[layer * per_layer : (layer + 1) * per_layer]
        ]
        stack["layers"] = 7
        made[name] = stack
    return Case(f"deep {seed}", made, case.source_lengths, case.target_lengths)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("seed", range(8))
def test_deep_stacks_and_threads(seed: int, threads: int) -> None:
    case = deep(seed)
    print("seed", seed, case.config)
    module = BUILDS["float64"]
    core = module.Transformer(case.config, seed=seed)
    set_parameters(core, draw_parameters(case.config, seed))
    before = module.get_num_threads()
    module.set_num_threads(threads)
    try:
        compare(core, core_batch(module, case.batch(seed)))
    finally:
        module.set_num_threads(before)


def test_accumulated_gradients() -> None:
    case = deep(3)
    core, _, _, packed = make(case, "float32", 3)
    for _ in range(2):
        core.backward(packed, accumulate=True)
    kept = core.gradient_buffer.copy()
    core.gradient_buffer[...] = 0
    for _ in range(2):
        core.backward(packed, accumulate=True, segment_layers=2)
    np.testing.assert_array_equal(core.gradient_buffer, kept)


def test_a_segmented_pass_has_no_activations_to_show() -> None:
    case = deep(1)
    core, _, _, packed = make(case, "float32", 1)
    core.backward(packed, observe=True, segment_layers=2)
    assert core.observations()["decoder"]["grad_norm"].shape == (
        len(case.config["decoder"]["sublayers"]) + 1,
    )
    with pytest.raises(RuntimeError, match="activations are kept by an observed pass"):
        core.activation("decoder", 1, "output")
    with pytest.raises(ValueError, match="cannot be kept where activations are computed again"):
        core.backward(packed, observe=True, keep_gradients=True, segment_layers=2)
