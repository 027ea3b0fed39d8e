"""The input of a stack: x_0 = input_scale (.) dropout(norm(embedding_scale embedding[token] + position))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .dropout import NoDropout
from .gradients import Gradients
from .naming import embedding_names
from .norms import norm_backward, norm_forward
from .ragged import positions


def sinusoids(count: int, D: int) -> np.ndarray:
    """Positions [count, D] in fairseq's arrangement: sines, then cosines; an odd last feature is 0."""
    half = D // 2
    frequencies = np.exp(-np.arange(half) * np.log(10000.0) / max(half - 1, 1))
    angles = np.arange(count)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles), np.zeros((count, D % 2))], axis=1)


def embedding_scale(config: dict[str, Any]) -> float:
    """The factor on embeddings, sqrt(D) where the configuration has 0."""
    return float(config["embedding_scale"] or np.sqrt(config["d_model"]))


def embedding_forward(
    config: dict[str, Any],
    stack_name: str,
    tokens: np.ndarray,
    offsets: np.ndarray,
    params: Mapping[str, np.ndarray],
    dropout: NoDropout,
) -> tuple[np.ndarray, Any]:
    """x_0 [M, D] of packed tokens [M], and what backward reads."""
    D = config["d_model"]
    where = positions(offsets)
    if config["positions"] == "learned":
        table = params[f"{stack_name}.positions.weight"]
    elif config["positions"] == "rotary":
        table = np.zeros((int(where.max()) + 1, D))
    else:
        table = sinusoids(int(where.max()) + 1, D)
    e = embedding_scale(config) * params[embedding_names(config)[stack_name]][tokens] + table[where]
    name = f"{stack_name}.norm_embedding"
    e, normed = norm_forward(config[stack_name]["norm_embedding"], e, params, name, config["norm_eps"])
    mask = dropout.rows(stack_name, "embedding", e.shape, config["dropout"])
    scale = params.get(f"{stack_name}.input_scale", np.ones(1))
    return scale * (e * mask), (tokens, where, e * mask, mask, scale, params, normed)


def embedding_backward(
    config: dict[str, Any], stack_name: str, dx: np.ndarray, saved: Any, grads: Gradients
) -> None:
    """Gradients of the embedding, the positions, the norm and the scale, of dx_0 [M, D]."""
    tokens, where, dropped, mask, scale, params, normed = saved
    if config[stack_name]["input_scale"] != "none":
        product = dx * dropped
        vector = config[stack_name]["input_scale"] == "vector"
        grads.add(f"{stack_name}.input_scale", product.sum(axis=0) if vector else product.sum())
    name = f"{stack_name}.norm_embedding"
    de = norm_backward(config[stack_name]["norm_embedding"], dx * scale * mask, normed, params, name, grads)
    np.add.at(grads[embedding_names(config)[stack_name]], tokens, embedding_scale(config) * de)
    if config["positions"] == "learned":
        np.add.at(grads[f"{stack_name}.positions.weight"], where, de)
