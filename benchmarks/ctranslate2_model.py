"""A model of ours as CTranslate2 reads it: the same weights in float32, tokens named by their numbers.

CTranslate2 multiplies embeddings by sqrt(D) itself (`scale_embeddings`), takes position encodings as
weights, q, k and v of self-attention and k and v of cross-attention as one matrix each, and finds the
tokens with which a target begins and ends by their names in its configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

import admin_py as ap

BOS, EOS = 1, 2
_NAMES = {0: "<pad>", BOS: "<s>", EOS: "</s>", 3: "<unk>"}
_NORM = {"post_ln": "norm_post", "pre_ln": "norm_pre"}


def token_names(vocab_size: int) -> list[str]:
    """A name for each id."""
    return [_NAMES.get(i, str(i)) for i in range(vocab_size)]


def token_ids(names: list[str]) -> list[int]:
    """The ids of what CTranslate2 answers."""
    ids = {name: i for i, name in _NAMES.items()}
    return [ids[name] if name in ids else int(name) for name in names]


def save_for_ctranslate2(model: ap.Transformer, folder: str | os.PathLike[str]) -> None:
    """Write a plain Post-LN or Pre-LN encoder-decoder to a new folder that `ctranslate2.Translator` opens.

    Raises
    ------
    ValueError
        If the model is of another kind: CTranslate2 has no place for what it computes.
    """
    from ctranslate2.specs import TransformerSpec

    config = model.config
    wanted = {
        "activation": "relu", "gated": False, "bias": "all", "output_bias": False, "logits_scale": 1.0,
        "positions": "sinusoidal", "share_embeddings": "all", "embedding_norm": "none",
    }  # fmt: skip
    given = {name: getattr(config, name) for name in wanted}
    if config.kind != "encoder_decoder" or config.scheme not in _NORM or given != wanted:
        raise ValueError(
            f"only plain Post-LN and Pre-LN encoder-decoders with {wanted} can be written, got {config}"
        )
    spec = TransformerSpec.from_config(
        (config.encoder_layers, config.decoder_layers), config.heads, pre_norm=config.scheme == "pre_ln"
    )
    weights = {name: np.array(values, np.float32) for name, values in model.parameters.items()}
    positions = _positions(config.max_length, config.d_model)
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = weights["embedding.weight"]
    spec.decoder.projection.weight = weights["embedding.weight"]
    for stack in ("encoder", "decoder"):
        part = getattr(spec, stack)
        part.scale_embeddings = True
        part.position_encodings.encodings = positions
        for i, layer in enumerate(part.layer):
            _fill_layer(layer, weights, f"{stack}.{i}", _NORM[config.scheme])
        if config.scheme == "pre_ln":
            _fill_norm(part.layer_norm, weights, f"{stack}.norm_final")
    names = token_names(config.vocab_size)
    spec.register_source_vocabulary(names)
    spec.register_target_vocabulary(names)
    spec.config.add_source_bos = spec.config.add_source_eos = False  # sources end as ours do
    spec.config.decoder_start_token = _NAMES[BOS]
    spec.validate()
    spec.optimize()
    spec.save(os.fspath(folder))


def _fill_layer(layer: Any, weights: Mapping[str, np.ndarray], name: str, norm: str) -> None:
    """One layer of either stack."""
    _fill_linears(layer.self_attention, weights, f"{name}.self_attn", ("qkv", ("out",)))
    _fill_norm(layer.self_attention.layer_norm, weights, f"{name}.self_attn.{norm}")
    if f"{name}.cross_attn.q.weight" in weights:
        _fill_linears(layer.attention, weights, f"{name}.cross_attn", ("q", "kv", ("out",)))
        _fill_norm(layer.attention.layer_norm, weights, f"{name}.cross_attn.{norm}")
    for linear, which in ((layer.ffn.linear_0, "fc1"), (layer.ffn.linear_1, "fc2")):
        _fill_linear(linear, weights, f"{name}.feed_forward", (which,))
    _fill_norm(layer.ffn.layer_norm, weights, f"{name}.feed_forward.{norm}")


def _fill_linears(attention: Any, weights: Mapping[str, np.ndarray], name: str, parts: Any) -> None:
    """Each linear map of an attention from the matrices whose names are a sequence's elements."""
    for linear, which in zip(attention.linear, parts, strict=True):
        _fill_linear(linear, weights, name, tuple(which))


def _fill_linear(linear: Any, weights: Mapping[str, np.ndarray], name: str, parts: tuple[str, ...]) -> None:
    """One linear map from one or more matrices, the one above the other."""
    linear.weight = np.concatenate([weights[f"{name}.{part}.weight"] for part in parts])
    linear.bias = np.concatenate([weights[f"{name}.{part}.bias"] for part in parts])


def _fill_norm(norm: Any, weights: Mapping[str, np.ndarray], name: str) -> None:
    norm.gamma, norm.beta = weights[f"{name}.gamma"], weights[f"{name}.nu"]


def _positions(count: int, d: int) -> np.ndarray:
    """Sines and then cosines, as fairseq has them, [count, D]."""
    half = d // 2
    frequencies = np.exp(-np.arange(half) * np.log(10000.0) / max(half - 1, 1))
    angles = np.arange(count)[:, None] * frequencies
    table = np.concatenate([np.sin(angles), np.cos(angles), np.zeros((count, d % 2))], axis=1)
    return table.astype(np.float32)
