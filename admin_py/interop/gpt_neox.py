"""GPT-NeoX (Pythia) as Hugging Face has it: attention and feed-forward beside or after each other.

LayerNorm before each branch and at the end, rotary positions of a part of each head by halves, biases, and
q, k and v in one matrix, head by head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from admin_py.interop.layer_names import LayerNames
from admin_py.interop.pieces import Piece
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, need
from admin_py.model.config import TransformerConfig
from admin_py.schemes import Residual, Scheme, Site

MEANS_NOTHING = (
    r"(gpt_neox\.)?layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)",
    r"(gpt_neox\.)?rotary_emb\.inv_freq",
)
"""Masks, and wavelengths that the configuration tells, too."""

OUTPUTS = ("lm_head.weight", "embed_out.weight")
"""Names of the output's matrix, of later versions and of earlier ones."""


def _beside(site: Site) -> Residual:
    return Residual(norm_pre="layer", parallel=site.kind == "feed_forward")


PARALLEL = Scheme(
    "parallel",
    _beside,
    source="Wang, Komatsuzaki, GPT-J-6B, 2021, github.com/kingoflolz/mesh-transformer-jax",
    final_norm="layer",
    summary="y = x + attention(LN(x)) + feed-forward(LN(x))",
)


def prefix(source: Source) -> str:
    """Of all names but the output's."""
    return "gpt_neox." if "gpt_neox.embed_in.weight" in source else ""


def output_of(source: Source) -> str:
    """Name of the output's matrix."""
    return next((name for name in OUTPUTS if name in source), OUTPUTS[0])


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the configuration describes."""
    before = prefix(source)
    vocab_size, d_model = source.shape(f"{before}embed_in.weight")
    heads = need(source, settings, "num_attention_heads")
    tied = source.are_one(f"{before}embed_in.weight", output_of(source))
    biased = f"{before}layers.0.attention.dense.bias" in source
    return TransformerConfig(
        vocab_size=vocab_size,
        encoder_layers=0,
        decoder_layers=source.layers(rf"{before}layers\.(\d+)\."),
        d_model=d_model,
        heads=heads,
        d_ff=source.shape(f"{before}layers.0.mlp.dense_h_to_4h.weight")[0],
        scheme=PARALLEL if settings.get("use_parallel_residual", True) else "pre_ln",
        activation=activation_of(source, settings.get("hidden_act", "gelu")),
        bias="all" if biased else "feed_forward",
        positions="rotary",
        max_length=need(source, settings, "max_position_embeddings"),
        embedding_scale=1.0,
        share_embeddings="all" if tied else "none",
        norm_eps=settings.get("layer_norm_eps", 1e-5),
        dropout=settings.get("hidden_dropout", 0.0),
        attention_dropout=settings.get("attention_dropout", 0.0),
        **_rotary(source, settings, d_model // heads),
    )


def _rotary(source: Source, settings: Mapping[str, Any], width: int) -> dict[str, Any]:
    """Base, and how much of a head is turned; said in one entry, or in two by earlier versions."""
    told = dict(settings.get("rope_parameters") or settings.get("rope_scaling") or {})
    if told.get("rope_type", told.get("type", "default")) != "default":
        raise ValueError(f"{source.where} cannot be expressed: rotary positions of the kind {told!r}")
    share = told.get("partial_rotary_factor", settings.get("rotary_pct", 0.25))
    theta = told.get("rope_theta", settings.get("rotary_emb_base", 10_000.0))
    return {"rotary_theta": theta, "rotary_width": int(width * share)}


def places(source: Source, config: TransformerConfig) -> LayerNames:
    """Where the tensors lie."""
    return names(prefix(source), output_of(source), config.heads)


def names(before: str, output: str, heads: int) -> LayerNames:
    """The same, of names that begin with this but for the output's."""
    ends = {
        "embedding.weight": f"{before}embed_in.weight",
        "decoder.norm_final": f"{before}final_layer_norm",
        "output.weight": output,
    }
    within: dict[str, str | Piece] = {
        **{
            f"self_attn.{part}": Piece("attention.query_key_value", number, 3, groups=heads)
            for number, part in enumerate("qkv")
        },
        "self_attn.out": "attention.dense",
        "feed_forward.fc1": "mlp.dense_h_to_4h",
        "feed_forward.fc2": "mlp.dense_4h_to_h",
        "self_attn.norm": "input_layernorm",
        "feed_forward.norm": "post_attention_layernorm",
    }
    return LayerNames(ends, before + "layers.{layer}", within)
