"""A configuration as the dict from which the compute core builds a model."""

from __future__ import annotations

from typing import Any

from admin_py.model.embedding_norm import embedding_norm_of
from admin_py.schemes import Residual, Site

TransformerConfig = Any
"""Which makes use of this file, and is therefore not imported here."""

STACKS = ("encoder", "decoder")

SAME = (
    "vocab_size", "d_model", "heads", "d_ff", "max_length", "activation", "gated", "bias",
    "positions", "share_embeddings", "output_bias", "logits_scale",
    "dropout", "attention_dropout", "activation_dropout", "norm_eps",
)  # fmt: skip
"""Fields that the core has by the same name and in the same words."""


def core_config(config: TransformerConfig) -> dict[str, Any]:
    """All fields that the core reads; what is None here is 0 there.

    Examples
    --------
    >>> from admin_py.model.config import TransformerConfig
    >>> found = core_config(TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0))
    >>> found["heads"], found["attention"]["kv_heads"], len(found["encoder"]["sublayers"])
    (8, 0, 2)
    """
    return {
        **{name: getattr(config, name) for name in SAME},
        "embedding_scale": config.embedding_scale or 0.0,
        "attention": {
            "head_width": config.head_width or 0,
            "kv_heads": config.kv_heads or 0,
            "scale": config.attention_scale or 0.0,
            "score_cap": config.score_cap or 0.0,
            "qk_norm": config.qk_norm,
            "qk_norm_whole": config.qk_norm_whole,
            "rotary": _rotary(config),
        },
        "logits_cap": config.logits_cap or 0.0,
        **{stack: _stack(config, stack) for stack in STACKS},
    }


def _rotary(config: TransformerConfig) -> dict[str, Any]:
    factor, low, high, length = config.rotary_scaling or (0.0, 0.0, 0.0, 0)
    return {
        "theta": config.rotary_theta or 0.0,
        "width": config.rotary_width or 0,
        "interleaved": config.rotary_interleaved,
        "factor": factor,
        "low_frequency_factor": low,
        "high_frequency_factor": high,
        "original_length": length,
    }


def _stack(config: TransformerConfig, stack: str) -> dict[str, Any]:
    present = stack in config.stacks
    return {
        "layers": config.stack_layers(stack),
        "causal": stack == "decoder",
        "cross": stack == "decoder" and config.encoder_layers > 0,
        "norm_embedding": embedding_norm_of(config.embedding_norm, stack) if present else "none",
        "norm_final": config.stack_scheme(stack).final_norm if present else "none",
        "input_scale": config.input_scale if present else "none",
        "embedding_gain": config.embedding_gain(stack),
        "sublayers": [
            _sublayer(config, site, residual)
            for site, residual in zip(config.sites(stack), config.residuals(stack), strict=True)
        ],
    }


def _sublayer(config: TransformerConfig, site: Site, residual: Residual) -> dict[str, Any]:
    window = config.windows(site.stack)[site.layer] if site.kind == "self_attn" else None
    fused = config.qkv_fused_init if residual.qkv_fused_init is None else residual.qkv_fused_init
    gains = {name: config.init_gain * gain for name, gain in residual.gains.items()}
    return {**residual.to_dict(), "gains": gains, "qkv_fused_init": fused, "window": window or 0}
