"""Marian (OPUS-MT), Pegasus and M2M100 (NLLB) as Hugging Face has them: fairseq's layers under ``model.``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.exact_math import exp, log
from admin_py.interop.fairseq import WITHIN, sinusoids, waves
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, need
from admin_py.model.config import STACKS, TransformerConfig

KINDS = ("marian", "pegasus", "m2m_100")
"""Values of ``model_type``."""

MEANS_NOTHING = (r"model\.(encoder|decoder)\.embed_positions\.weights",)

SHARED, OUTPUT, BIAS = "model.shared.weight", "lm_head.weight", "final_logits_bias"


def is_of(source: Source, settings: Mapping[str, Any]) -> bool:
    """Whether it is said."""
    del source
    return settings.get("model_type") in KINDS


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the configuration describes."""
    first, target = (_embedding(source, stack) for stack in STACKS)
    vocab_size, d_model = source.shape(first)
    for name in (target, OUTPUT):
        if source.shapes.get(name, (vocab_size, d_model)) != (vocab_size, d_model):
            raise ValueError(f"{source.where} cannot be expressed: {name!r} of another size than {first!r}")
    inputs, tied = source.are_one(first, target), source.are_one(target, OUTPUT)
    if SHARED not in (first, target):
        source.pass_over((re.escape(SHARED),))  # both stacks have their own
    both = {(True, True): "all", (False, True): "decoder", (True, False): "inputs", (False, False): "none"}
    marian, m2m_100 = (settings.get("model_type") == kind for kind in ("marian", "m2m_100"))
    return TransformerConfig(
        vocab_size=vocab_size,
        encoder_layers=source.layers(r"model\.encoder\.layers\.(\d+)\."),
        decoder_layers=source.layers(r"model\.decoder\.layers\.(\d+)\."),
        d_model=d_model,
        heads=_one(source, settings, "attention_heads"),
        d_ff=_one(source, settings, "ffn_dim"),
        scheme="post_ln" if marian else "pre_ln",
        activation=activation_of(source, settings.get("activation_function", "relu" if m2m_100 else "gelu")),
        positions="learned",  # sinusoids, which begin elsewhere than ours
        max_length=need(source, settings, "max_position_embeddings"),
        embedding_scale=None if settings.get("scale_embedding", m2m_100) else 1.0,
        share_embeddings=both[inputs, tied],
        output_bias=BIAS in source,
        dropout=settings.get("dropout", 0.1),
        attention_dropout=settings.get("attention_dropout", 0.0),
        activation_dropout=settings.get("activation_dropout", 0.0),
    )


def _embedding(source: Source, stack: str) -> str:
    """Name of a stack's embedding: its own, or the one that both share."""
    own = f"model.{stack}.embed_tokens.weight"
    return own if own in source else SHARED


def _one(source: Source, settings: Mapping[str, Any], name: str) -> int:
    """A size that both stacks must have."""
    found = [int(need(source, settings, f"{stack}_{name}")) for stack in STACKS]
    if found[0] != found[1]:
        raise ValueError(
            f"{source.where} cannot be expressed: stacks of different {name}, {found[0]} and {found[1]}"
        )
    return found[0]


def marian_positions(count: int, width: int) -> NDArray[np.float64]:
    """Marian's positions [count, width]: of angles p 10000^(-2j / D) first the sines, then the cosines.

    Examples
    --------
    >>> marian_positions(2, 4).round(3).tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.841, 0.01, 0.54, 1.0]]
    """
    frequencies = exp(-np.arange((width + 1) // 2, dtype=np.float64) * (2 * log(10_000.0) / width))
    sines, cosines = waves(np.arange(count, dtype=np.float64)[:, None] * frequencies)
    return np.concatenate([sines, cosines], axis=1)[:, :width]


def places(source: Source, config: TransformerConfig) -> LayerNames:
    """Where the tensors lie; M2M100's first position is that after padding's id, which is 1."""
    return _places(source, sinusoids(config.max_length, config.d_model))


def marian_places(source: Source, config: TransformerConfig) -> LayerNames:
    """Of Marian and Pegasus, whose positions may be kept beside the weights."""
    return _places(source, marian_positions(config.max_length, config.d_model))


def _places(source: Source, positions: NDArray[np.float64]) -> LayerNames:
    first, target = (_embedding(source, stack) for stack in STACKS)
    ends: dict[str, Any] = {
        "embedding.weight": first,
        "encoder.embedding.weight": first,
        "decoder.embedding.weight": target,
        "output.weight": OUTPUT,
    }
    if BIAS in source:
        ends["output.bias"] = np.asarray(source.take(BIAS)[0], np.float64)
    for stack in STACKS:
        kept = f"model.{stack}.embed_positions.weight"
        ends[f"{stack}.positions.weight"] = kept if kept in source else positions
        ends[f"{stack}.norm_final"] = f"model.{stack}.layer_norm"
    return LayerNames(ends, "model.{stack}.layers.{layer}", WITHIN)


PLACES = {"marian": marian_places, "pegasus": marian_places, "m2m_100": places}
"""Kind -> where its tensors lie."""
