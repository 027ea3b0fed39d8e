"""OPT as Hugging Face has it: fairseq's layers, learned positions from row 2, embeddings as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.interop.fairseq import FIRST_POSITION, WITHIN
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.pieces import Piece, Places
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, need, refuse
from admin_py.model.config import TransformerConfig
from admin_py.schemes import Scheme, get

MEANS_NOTHING = ()

PLAIN = {"gamma": 1.0, "nu": 0.0}
"""Of a norm without gains and biases."""

WITHOUT_FINAL_NORM = Scheme(
    "pre_ln_without_final_norm", get("pre_ln").rule, source="OPT, _remove_final_layer_norm"
)

UNKNOWN = {"layerdrop": "layers that are left out in training"}


def prefix(source: Source) -> str:
    """Of all names but the output's."""
    return "model.decoder." if "model.decoder.embed_tokens.weight" in source else "decoder."


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the configuration describes."""
    refuse(source, settings, UNKNOWN)
    before = prefix(source)
    vocab_size, d_model = source.shape(f"{before}embed_tokens.weight")
    if settings.get("hidden_size", d_model) != d_model:
        raise ValueError(
            f"{source.where} cannot be expressed: embeddings of another width than the layers "
            f"(word_embed_proj_dim={d_model}, hidden_size={settings['hidden_size']})"
        )
    tied = source.are_one(f"{before}embed_tokens.weight", "lm_head.weight")
    pre, final = settings.get("do_layer_norm_before", True), f"{before}final_layer_norm.weight" in source
    if not _is_affine(settings):
        final = not settings.get("_remove_final_layer_norm", False)
    return TransformerConfig(
        vocab_size=vocab_size,
        encoder_layers=0,
        decoder_layers=source.layers(rf"{before}layers\.(\d+)\."),
        d_model=d_model,
        heads=need(source, settings, "num_attention_heads"),
        d_ff=source.shape(f"{before}layers.0.fc1.weight")[0],
        scheme=("pre_ln" if final else WITHOUT_FINAL_NORM) if pre else "post_ln",
        activation=activation_of(source, settings.get("activation_function", "relu")),
        bias="all" if settings.get("enable_bias", True) else "none",
        positions="learned",
        max_length=source.shape(f"{before}embed_positions.weight")[0] - FIRST_POSITION,
        embedding_scale=1.0,
        share_embeddings="all" if tied else "none",
        dropout=settings.get("dropout", 0.1),
        attention_dropout=settings.get("attention_dropout", 0.0),
    )


def _is_affine(settings: Mapping[str, Any]) -> bool:
    """Whether norms have gains and biases, as all have but Galactica's."""
    return bool(settings.get("layer_norm_elementwise_affine", True))


def places(source: Source, config: TransformerConfig) -> Places:
    """Where the tensors lie."""
    table = names(prefix(source))

    def place(name: str) -> Piece | NDArray[np.float64]:
        last = name.rpartition(".")[2]
        if last in PLAIN and not _is_affine(source.settings):
            return np.full(config.d_model, PLAIN[last])
        return table(name)

    return place


def names(before: str) -> LayerNames:
    """The same, of names that begin with this."""
    ends: dict[str, Any] = {
        "embedding.weight": f"{before}embed_tokens.weight",
        "decoder.positions.weight": Piece(f"{before}embed_positions.weight", skip=FIRST_POSITION),
        "decoder.norm_final": f"{before}final_layer_norm",
        "output.weight": "lm_head.weight",
    }
    return LayerNames(ends, before + "layers.{layer}", WITHIN)
