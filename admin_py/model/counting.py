"""How many trained elements a configuration has."""

from __future__ import annotations

from typing import Any

from admin_py.model.embedding_norm import embedding_norm_of
from admin_py.schemes import Residual, Site

TransformerConfig = Any
"""Which makes use of this file, and is therefore not imported here."""


def count_parameters(config: TransformerConfig) -> int:
    """Of embeddings, positions, all sub-layers, norms and the output.

    Examples
    --------
    >>> from admin_py.model.config import TransformerConfig
    >>> count_parameters(TransformerConfig(vocab_size=1000, encoder_layers=1, decoder_layers=0, d_model=64,
    ...                                    heads=4, d_ff=128, scheme="post_ln"))
    97472
    """
    total = (config.num_embeddings * config.d_model + config.output_bias) * config.vocab_size
    for stack in config.stacks:
        places = zip(config.sites(stack), config.residuals(stack), strict=True)
        total += sum(_sublayer(config, site, residual) for site, residual in places)
        total += _norm(config.stack_scheme(stack).final_norm, config.d_model)
        total += _norm(embedding_norm_of(config.embedding_norm, stack), config.d_model)
        total += {"none": 0, "scalar": 1, "vector": config.d_model}[config.input_scale]
        total += config.max_length * config.d_model if config.positions == "learned" else 0
    return total


def _sublayer(config: TransformerConfig, site: Site, residual: Residual) -> int:
    d = config.d_model
    inner = config.d_ff if site.kind == "feed_forward" else config.heads * config.width_of_heads
    total = _feed_forward(config) if site.kind == "feed_forward" else _attention(config)
    total += sum(_norm(kind, d) for kind in (residual.norm_pre, residual.norm_branch, residual.norm_post))
    total += _norm(residual.norm_inner, inner)
    if residual.omega.trained:
        total += residual.omega.num_elements(d)
    if residual.alpha.trained and not (residual.alpha.shared and _follows_shared_alpha(config, site)):
        total += residual.alpha.num_elements(d)
    return total


def _attention(config: TransformerConfig) -> int:
    d, queries = config.d_model, config.heads * config.width_of_heads
    keys = config.num_kv_heads * config.width_of_heads
    biases = (queries + 2 * keys) * (config.bias in ("all", "qkv", "attention"))
    normed = (queries, keys) if config.qk_norm_whole else (config.width_of_heads,) * 2
    norms = sum(_norm(config.qk_norm, n) for n in normed)
    return 2 * (queries + keys) * d + biases + d * (config.bias in ("all", "attention")) + norms


def _feed_forward(config: TransformerConfig) -> int:
    d, f, inputs = config.d_model, config.d_ff, 2 if config.gated else 1
    return (inputs + 1) * d * f + (inputs * f + d) * (config.bias in ("all", "feed_forward"))


def _follows_shared_alpha(config: TransformerConfig, site: Site) -> bool:
    """Whether an earlier sub-layer of the layer holds the shared alpha."""
    first = site.layer * site.per_layer
    return any(row.alpha.shared for row in config.residuals(site.stack)[first : site.sublayer])


def _norm(kind: str, n: int) -> int:
    """Of a norm over n features: gain, bias, and the one scale of DyT."""
    return {"none": 0, "layer": 2 * n, "rms": n, "dyt": 2 * n + 1}[kind]
