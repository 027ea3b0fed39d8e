"""The package on top of the core: every scheme against the oracle, folding, and trainings of equal bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import profiling, transformer
from reference.dropout import CoreDropout
from reference.naming import draw_parameters
from reference.ragged import Batch

import admin_py as ap
from proofs.configurations import Case
from proofs.core import rounded
from proofs.deviation import deviation, worst_gradient

SIZES: dict[str, Any] = {"vocab_size": 23, "d_model": 12, "heads": 3, "d_ff": 16, "dropout": 0.1}


def packed(batch: Batch) -> ap.Batch:
    """The package's batch of the same sequences."""
    source = (batch.source_tokens, batch.source_offsets)
    return ap.Batch(
        source, None if batch.target_tokens is None else (batch.target_tokens, batch.target_offsets)
    )


def batch_for(config: ap.TransformerConfig, seed: int) -> Batch:
    """Ragged random sequences for the model."""
    return Case("scheme", config.to_core(), (3, 1, 7, 4), (5, 2, 4, 6)).batch(seed)


def config_of(scheme: Any, layers: tuple[int, int] = (2, 3), **fields: Any) -> ap.TransformerConfig:
    return ap.TransformerConfig(
        encoder_layers=layers[0], decoder_layers=layers[1], scheme=scheme, **SIZES | fields
    )


@pytest.mark.parametrize("layers", [(2, 3), (0, 4)])
@pytest.mark.parametrize("scheme", ap.schemes.names())
def test_every_scheme(scheme: str, layers: tuple[int, int]) -> None:
    """As the package makes it: its initial weights, profiled, forward and backward with dropout."""
    config = config_of(scheme, layers)
    model = ap.Transformer(config, seed=5, dtype="float64")
    made, batch = config.to_core(), batch_for(config, 5)
    params = {name: np.array(value) for name, value in model.parameters.items()}
    expected, params = profiling.profile(made, params, batch, dropout=CoreDropout(9, 0, 3))
    profile = model.profile(packed(batch), seed=9)
    for stack, values in expected.items():
        assert deviation(profile.omega(stack), values.omega) < 1e-12
    run = transformer.backward(
        made, params, batch, label_smoothing=0.1, dropout=CoreDropout(model.seed, 3, 3)
    )
    loss = model.backward(packed(batch), label_smoothing=0.1, step=3)
    assert deviation(loss.loss, run.loss) < 1e-12
    worst, where = worst_gradient(model.gradients, run.gradients, model.trained)
    assert worst < 1e-11, where


@pytest.mark.parametrize("layers", [(2, 3), (0, 4), (3, 0)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
@pytest.mark.parametrize("scheme", ["admin", "admin_torch_trained", "deepnorm"])
def test_folding(scheme: str, layers: tuple[int, int], dtype: str, tolerance: float) -> None:
    """The folded model is the oracle's plain model, and computes what the oracle says of the given one."""
    config = config_of(scheme, layers)
    model = ap.Transformer(config, seed=6, dtype=dtype)
    params = rounded(draw_parameters(config.to_core(), 6), dtype)
    model.load_state(params)
    batch = batch_for(config, 6)
    expected = transformer.forward(config.to_core(), params, batch).out
    plain = model.reparameterise()
    assert not any(name.endswith(".omega") for name in plain.parameters)
    assert deviation(plain.forward(packed(batch)), expected) < tolerance
    state = {name: np.array(value, dtype=np.float64) for name, value in plain.parameters.items()}
    assert deviation(transformer.forward(plain.config.to_core(), state, batch).out, expected) < tolerance


def test_trainings_are_equal_for_any_number_of_threads() -> None:
    """Batches, dropout, clipping, accumulation, validation: all bits of weights and history."""
    data = ap.data.number_words(train=300, valid=40)
    sizes = {"vocab_size": data.vocab_size, "d_model": 32, "heads": 4, "d_ff": 64, "attention_dropout": 0.1}
    results = []
    for threads in (1, 2, 3):
        ap.set_num_threads(threads, oversubscribe=True)
        model = ap.Transformer(config_of("admin", (2, 2), **sizes), seed=1)
        profile = model.profile(next(iter(data.batches(max_tokens=1024, seed=1))))
        history = ap.train(
            model,
            data,
            optimizer=ap.RAdam(lr=1e-3, betas=(0.9, 0.98)),
            schedule=ap.schedules.inverse_sqrt(lr=1e-3, warmup=4),
            steps=6,
            max_tokens=512,
            accumulate=2,
            clip_norm=0.5,
            valid_every=3,
            observe_every=3,
            progress=False,
        )
        weights = {name: np.array(value) for name, value in model.parameters.items()}
        curves = {
            name: np.array(getattr(history, name)) for name in ("loss", "nll", "grad_norm", "update_norm")
        }
        results.append(weights | curves | {"omega": np.array(profile.omega("decoder"))})
    for other in results[1:]:
        for name, value in results[0].items():
            assert np.all(np.isfinite(value)), name
            assert np.array_equal(value, other[name]), name
