"""The oracle against PyTorch: every case by autograd, and PyTorch's own Transformer layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import transformer
from reference.dropout import NoDropout
from reference.naming import draw_parameters
from reference.ragged import offsets_of
from reference.stack import stack_forward
from reference.sublayer import Memory

from proofs.configurations import (
    CASES,
    FINAL,
    LARGE_CASES,
    LOSS_CASES,
    POST,
    PRE,
    Case,
    config,
    identifiers,
)
from proofs.deviation import deviation, worst_gradient

torch = pytest.importorskip("torch")
TorchTransformer = pytest.importorskip("torch_reference").TorchTransformer

TOLERANCE = 1e-12  # float64 on both sides: 1e-16 times the length of the sums and the depth


@pytest.mark.parametrize("case", CASES, ids=identifiers(CASES))
def test_outputs_are_those_of_torch(case: Case) -> None:
    params, batch = draw_parameters(case.config, 1), case.batch(1)
    expected, _ = TorchTransformer(case.config, params, torch.float64).forward(batch)
    assert (
        deviation(transformer.forward(case.config, params, batch).out, expected.detach().numpy()) < TOLERANCE
    )


@pytest.mark.parametrize("case", LOSS_CASES + LARGE_CASES, ids=identifiers(LOSS_CASES + LARGE_CASES))
def test_gradients_are_those_of_autograd(case: Case) -> None:
    params, batch = draw_parameters(case.config, 2), case.batch(2)
    loss, nll, grads = TorchTransformer(case.config, params, torch.float64).backward(
        batch, label_smoothing=0.1
    )
    run = transformer.backward(case.config, params, batch, label_smoothing=0.1)
    assert deviation(run.loss, loss) < TOLERANCE
    assert deviation(run.nll, nll) < TOLERANCE
    worst, where = worst_gradient(run.gradients, grads)
    assert worst < TOLERANCE, where


@pytest.mark.parametrize("name", ["post 3-2", "capped logits", "output bias"])
def test_z_loss(name: str) -> None:
    case = next(case for case in LOSS_CASES if case.name == name)
    params, batch = draw_parameters(case.config, 2), case.batch(2)
    options = {"label_smoothing": 0.1, "z_loss": 0.3}
    loss, nll, grads = TorchTransformer(case.config, params, torch.float64).backward(batch, **options)
    run = transformer.backward(case.config, params, batch, **options)
    assert deviation(run.loss, loss) < TOLERANCE
    assert deviation(run.nll, nll) < TOLERANCE
    worst, where = worst_gradient(run.gradients, grads)
    assert worst < TOLERANCE, where


def copy_layer(layer: Any, params: dict[str, np.ndarray], prefix: str, norms: dict[str, str]) -> None:
    """Our parameters into a torch.nn.TransformerEncoderLayer or TransformerDecoderLayer."""

    def put(target: Any, *names: str) -> None:
        value = np.concatenate([params[f"{prefix}.{name}"] for name in names])
        target.data.copy_(torch.from_numpy(value))

    for ours, theirs in (("self_attn", "self_attn"), ("cross_attn", "multihead_attn")):
        if hasattr(layer, theirs):
            attention = getattr(layer, theirs)
            put(attention.in_proj_weight, *(f"{ours}.{x}.weight" for x in "qkv"))
            put(attention.in_proj_bias, *(f"{ours}.{x}.bias" for x in "qkv"))
            put(attention.out_proj.weight, f"{ours}.out.weight")
            put(attention.out_proj.bias, f"{ours}.out.bias")
    for ours, theirs in (("fc1", "linear1"), ("fc2", "linear2")):
        put(getattr(layer, theirs).weight, f"feed_forward.{ours}.weight")
        put(getattr(layer, theirs).bias, f"feed_forward.{ours}.bias")
    for ours, theirs in norms.items():
        put(getattr(layer, theirs).weight, f"{ours}.gamma")
        put(getattr(layer, theirs).bias, f"{ours}.nu")


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_layers_are_those_of_torch_nn(norm_first: bool, activation: str) -> None:
    """Post-LN and Pre-LN encoder and decoder layers as PyTorch ships them."""
    place = "norm_pre" if norm_first else "norm_post"
    made = config(PRE if norm_first else POST, activation=activation, stacks=FINAL if norm_first else None)
    D, H, F = made["d_model"], made["heads"], made["d_ff"]
    params = draw_parameters(made, 4)
    options = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first, "dtype": torch.float64}
    encoder = torch.nn.TransformerEncoderLayer(D, H, F, activation=activation, **options)
    decoder = torch.nn.TransformerDecoderLayer(D, H, F, activation=activation, **options)
    enc_norms = {f"self_attn.{place}": "norm1", f"feed_forward.{place}": "norm2"}
    dec_norms = {
        f"self_attn.{place}": "norm1",
        f"cross_attn.{place}": "norm2",
        f"feed_forward.{place}": "norm3",
    }
    copy_layer(encoder, params, "encoder.0", enc_norms)
    copy_layer(decoder, params, "decoder.0", dec_norms)

    rng = np.random.default_rng(4)
    x, memory = rng.standard_normal((2, 5, D)), rng.standard_normal((2, 4, D))
    ends = {}
    for name in ("encoder", "decoder"):  # PyTorch's layers know no final norm
        ends[name] = made | {name: made[name] | {"norm_final": "none"}}
    ours = stack_forward(
        ends["encoder"], "encoder", x.reshape(-1, D), offsets_of([5, 5]), None, params, NoDropout()
    ).out
    theirs = encoder(torch.from_numpy(x)).detach().numpy().reshape(-1, D)
    assert deviation(ours, theirs) < TOLERANCE

    read = Memory(memory.reshape(-1, D), offsets_of([4, 4]))
    ours = stack_forward(
        ends["decoder"], "decoder", x.reshape(-1, D), offsets_of([5, 5]), read, params, NoDropout()
    ).out
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    theirs = (
        decoder(torch.from_numpy(x), torch.from_numpy(memory), tgt_mask=mask).detach().numpy().reshape(-1, D)
    )
    assert deviation(ours, theirs) < TOLERANCE
