"""The whole model: encoder, language model or encoder-decoder, its loss and all its gradients.

An encoder-decoder reads the source whole and the target without each last token, and predicts the target
without each first token; a language model does that with its only sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .attention import soft_cap
from .cross_entropy import cross_entropy_backward, cross_entropy_forward
from .dropout import NoDropout
from .embedding import embedding_backward, embedding_forward
from .gradients import Gradients
from .naming import embedding_names
from .ragged import Batch, shift
from .stack import StackPass, stack_backward, stack_forward
from .sublayer import Memory


@dataclass
class ModelPass:
    """A forward pass: ``out`` is logits [M_target, V], or hidden states [M, D] of an encoder."""

    out: np.ndarray
    slopes: np.ndarray | float  # [M_target, V] derivative of capped logits
    labels: np.ndarray | None  # [M_target]
    stacks: dict[str, StackPass]
    embeddings: dict[str, Any]
    inputs: dict[str, tuple[np.ndarray, np.ndarray]]  # tokens and offsets that each stack reads


@dataclass
class LossPass:
    """Loss and gradients; ``model.stacks[...].dx`` holds the gradients of the sub-layers' outputs."""

    loss: float
    nll: float
    num_tokens: int
    gradients: Gradients
    model: ModelPass = field(repr=False)


def forward(
    config: dict[str, Any], params: Mapping[str, np.ndarray], batch: Batch, dropout: NoDropout | None = None
) -> ModelPass:
    """Runs the stacks that the model has."""
    dropout = dropout or NoDropout()
    has = {name: bool(config[name]["layers"]) for name in ("encoder", "decoder")}
    inputs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    labels = None
    if has["encoder"]:
        inputs["encoder"] = batch.source_tokens, batch.source_offsets
    if has["decoder"]:
        tokens, offsets = (batch.target_tokens, batch.target_offsets) if has["encoder"] else batch[:2]
        assert tokens is not None
        assert offsets is not None
        read, labels, read_offsets = shift(tokens, offsets)
        inputs["decoder"] = read, read_offsets
    slopes: np.ndarray | float = 1.0
    stacks: dict[str, StackPass] = {}
    embeddings: dict[str, Any] = {}
    memory = None
    for name, (tokens, offsets) in inputs.items():  # the encoder first
        x, embeddings[name] = embedding_forward(config, name, tokens, offsets, params, dropout)
        stacks[name] = stack_forward(config, name, x, offsets, memory, params, dropout)
        memory = Memory(stacks[name].out, offsets)
    out = stacks["decoder" if has["decoder"] else "encoder"].out
    if has["decoder"]:
        out = out @ params[embedding_names(config)["output"]].T + params.get("output.bias", 0.0)
        out, slopes = soft_cap(config["logits_scale"] * out, config["logits_cap"])
    return ModelPass(out, slopes, labels, stacks, embeddings, inputs)


def loss(
    config: dict[str, Any],
    params: Mapping[str, np.ndarray],
    batch: Batch,
    *,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    dropout: NoDropout | None = None,
) -> tuple[float, float, int]:
    """Label-smoothed loss, nll and the number of predicted tokens."""
    run = forward(config, params, batch, dropout)
    assert run.labels is not None
    value, nll, _ = cross_entropy_forward(run.out, run.labels, label_smoothing, z_loss)
    return value, nll, len(run.labels)


def backward(
    config: dict[str, Any],
    params: Mapping[str, np.ndarray],
    batch: Batch,
    *,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    dropout: NoDropout | None = None,
    scale: float = 1.0,
) -> LossPass:
    """Loss, and the gradients of scale * loss by every parameter, trained or not."""
    run = forward(config, params, batch, dropout)
    assert run.labels is not None
    value, nll, saved = cross_entropy_forward(run.out, run.labels, label_smoothing, z_loss)
    dlogits = scale * cross_entropy_backward(saved, run.labels, label_smoothing, z_loss) * run.slopes
    dlogits = dlogits * config["logits_scale"]
    grads = Gradients(params)
    output = embedding_names(config)["output"]
    grads.add(output, dlogits.T @ run.stacks["decoder"].out)  # logits = scale (x W^T + b)
    if config["output_bias"]:
        grads.add("output.bias", dlogits.sum(axis=0))
    dout = dlogits @ params[output]
    dx, dmemory = stack_backward(config, "decoder", dout, run.stacks["decoder"], params, grads)
    embedding_backward(config, "decoder", dx, run.embeddings["decoder"], grads)
    if "encoder" in run.stacks:
        dout = np.zeros_like(run.stacks["encoder"].out) if dmemory is None else dmemory
        dx, _ = stack_backward(config, "encoder", dout, run.stacks["encoder"], params, grads)
        embedding_backward(config, "encoder", dx, run.embeddings["encoder"], grads)
    return LossPass(value, nll, len(run.labels), grads, run)
