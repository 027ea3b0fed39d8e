"""Configurations of the proofs as those of the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from reference.naming import draw_parameters

import admin_py as ap
from admin_py.model.core_config import SAME
from admin_py.schemes import Residual, Scheme, Table

STACKS = ("encoder", "decoder")
_SCALING = ("factor", "low_frequency_factor", "high_frequency_factor", "original_length")


def config_of(core: Mapping[str, Any]) -> ap.TransformerConfig:
    """What `TransformerConfig.to_core` makes this of; its schemes are tables."""
    schemes = [
        Scheme(
            "made up",
            Table({stack: [Residual.from_dict(_fields(row)) for row in core[stack]["sublayers"]]}),
            final_norm=core[stack]["norm_final"],
        )
        for stack in STACKS
    ]
    attention, rotary = core["attention"], core["attention"]["rotary"]
    scaling = tuple(rotary[name] for name in _SCALING)
    return ap.TransformerConfig(
        **{name: core[name] for name in SAME},
        **{f"{stack}_layers": core[stack]["layers"] for stack in STACKS},
        scheme=(schemes[0], schemes[1]),
        input_scale=next(core[stack]["input_scale"] for stack in STACKS if core[stack]["layers"]),
        embedding_scale=core["embedding_scale"] or None,
        head_width=attention["head_width"] or None,
        kv_heads=attention["kv_heads"] or None,
        attention_scale=attention["scale"] or None,
        score_cap=attention["score_cap"] or None,
        qk_norm=attention["qk_norm"],
        qk_norm_whole=attention["qk_norm_whole"],
        attention_window=_windows(core),
        embedding_norm=tuple(core[stack]["norm_embedding"] for stack in STACKS),
        logits_cap=core["logits_cap"] or None,
        **(
            {
                "rotary_theta": rotary["theta"] or None,
                "rotary_width": rotary["width"] or None,
                "rotary_interleaved": rotary["interleaved"],
                "rotary_scaling": scaling if rotary["factor"] else None,
            }
            if core["positions"] == "rotary"
            else {}
        ),
    )


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """A sub-layer's, without its window, which is a field of the configuration."""
    return {name: value for name, value in row.items() if name != "window"}


def _windows(core: Mapping[str, Any]) -> list[int | None]:
    """Of every layer, the encoder's first: of its self-attention, which is its first sub-layer."""
    found = []
    for stack in STACKS:
        rows, layers = core[stack]["sublayers"], core[stack]["layers"]
        found += [row["window"] or None for row in rows[:: len(rows) // layers]] if layers else []
    return found


def drawn(config: ap.TransformerConfig, dtype: str = "float64", seed: int = 1) -> ap.Transformer:
    """A model with weights in general position: no gain is 1, no bias and no alpha 0."""
    model = ap.Transformer(config, seed=seed, dtype=dtype)
    for name, value in draw_parameters(config.to_core(), seed).items():
        model.parameters[name][...] = value
    return model


def batch_of(config: ap.TransformerConfig, seed: int = 1) -> ap.Batch:
    """Sequences of several lengths, a pair of one token among them."""
    rng = np.random.default_rng(seed)
    lengths = ((3, 1, 7), (5, 2, 4))[: 2 if config.kind == "encoder_decoder" else 1]
    if config.kind == "language_model":
        lengths = ((5, 2, 4),)
    return ap.Batch(*([rng.integers(0, config.vocab_size, n) for n in side] for side in lengths))
