"""GPT-2 as Hugging Face has it: Pre-LN, learned positions, matrices [in, out], the output mostly tied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from admin_py.interop.layer_names import LayerNames
from admin_py.interop.pieces import Piece
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, need, refuse
from admin_py.model.config import TransformerConfig

MEANS_NOTHING = (r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)",)
"""Masks."""

UNKNOWN = {
    "scale_attn_by_inverse_layer_idx": "scores divided by the number of the layer",
    "add_cross_attention": "cross-attention without an encoder",
}

WITHIN: Mapping[str, str | Piece] = {
    **{f"self_attn.{part}": Piece("attn.c_attn", number, 3) for number, part in enumerate("qkv")},
    "self_attn.out": "attn.c_proj",
    "feed_forward.fc1": "mlp.c_fc",
    "feed_forward.fc2": "mlp.c_proj",
    "self_attn.norm": "ln_1",
    "feed_forward.norm": "ln_2",
}
"""Of a layer."""


def recognises(source: Source) -> bool:
    """Whether the tensors have GPT-2's names."""
    return any(name.endswith("h.0.attn.c_attn.weight") for name in source.shapes)


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the configuration describes."""
    refuse(source, settings, UNKNOWN)
    before = prefix(source)
    d_model = source.shape(f"{before}wte.weight")[1]
    tied = source.are_one(f"{before}wte.weight", "lm_head.weight")
    return TransformerConfig(
        vocab_size=source.shape(f"{before}wte.weight")[0],
        encoder_layers=0,
        decoder_layers=source.layers(rf"{before}h\.(\d+)\."),
        d_model=d_model,
        heads=need(source, settings, "n_head"),
        d_ff=source.shape(f"{before}h.0.mlp.c_fc.weight")[1],
        scheme="pre_ln",
        activation=activation_of(source, settings.get("activation_function", "gelu_new")),
        positions="learned",
        max_length=source.shape(f"{before}wpe.weight")[0],
        embedding_scale=1.0,
        share_embeddings="all" if tied else "none",
        norm_eps=settings.get("layer_norm_epsilon", 1e-5),
        dropout=settings.get("resid_pdrop", 0.1),
        attention_dropout=settings.get("attn_pdrop", 0.1),
        attention_scale=None if settings.get("scale_attn_weights", True) else 1.0,
    )


def prefix(source: Source) -> str:
    """Of all names but the output's, where there is an output."""
    return "transformer." if "transformer.wte.weight" in source else ""


def places(source: Source, config: TransformerConfig) -> LayerNames:
    """Where the tensors lie."""
    del config
    return names(prefix(source))


def names(before: str) -> LayerNames:
    """The same, of names that begin with this."""
    ends = {
        "embedding.weight": f"{before}wte.weight",
        "decoder.positions.weight": f"{before}wpe.weight",
        "decoder.norm_final": f"{before}ln_f",
        "output.weight": "lm_head.weight",
    }
    return LayerNames(ends, before + "h.{layer}", WITHIN, transposed=True)
