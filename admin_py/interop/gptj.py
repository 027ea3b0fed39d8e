"""GPT-J as Hugging Face has it: attention and feed-forward beside each other, which read one norm.

Rotary positions of neighbours, biases of the feed-forward and of the logits. Here each branch has a norm of
its own, both with the numbers of that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from admin_py.interop.gpt_neox import PARALLEL
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, need
from admin_py.model.config import TransformerConfig

MEANS_NOTHING = (r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias|embed_positions)",)
"""Masks, and angles that the configuration tells, too."""

WITHIN = {
    **{f"self_attn.{part}": f"attn.{part}_proj" for part in ("q", "k", "v", "out")},
    "feed_forward.fc1": "mlp.fc_in",
    "feed_forward.fc2": "mlp.fc_out",
    "self_attn.norm": "ln_1",
    "feed_forward.norm": "ln_1",
}
"""Of a layer."""


def prefix(source: Source) -> str:
    """Of all names but the output's."""
    return "transformer." if "transformer.wte.weight" in source else ""


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the configuration describes."""
    before = prefix(source)
    vocab_size, d_model = source.shape(f"{before}wte.weight")
    return TransformerConfig(
        vocab_size=vocab_size,
        encoder_layers=0,
        decoder_layers=source.layers(rf"{before}h\.(\d+)\."),
        d_model=d_model,
        heads=need(source, settings, "n_head"),
        d_ff=source.shape(f"{before}h.0.mlp.fc_in.weight")[0],
        scheme=PARALLEL,
        activation=activation_of(source, settings.get("activation_function", "gelu_new")),
        bias="feed_forward",
        output_bias="lm_head.bias" in source,
        positions="rotary",
        rotary_width=settings.get("rotary_dim", 64),
        rotary_interleaved=True,
        max_length=need(source, settings, "n_positions"),
        embedding_scale=1.0,
        share_embeddings="all" if source.are_one(f"{before}wte.weight", "lm_head.weight") else "none",
        norm_eps=settings.get("layer_norm_epsilon", 1e-5),
        dropout=settings.get("resid_pdrop", 0.0),
        attention_dropout=settings.get("attn_pdrop", 0.0),
    )


def places(source: Source, config: TransformerConfig) -> LayerNames:
    """Where the tensors lie."""
    del config
    return names(prefix(source))


def names(before: str) -> LayerNames:
    """The same, of names that begin with this but for the output's."""
    ends = {
        "embedding.weight": f"{before}wte.weight",
        "decoder.norm_final": f"{before}ln_f",
        "output.weight": "lm_head.weight",
        "output": "lm_head",
    }
    return LayerNames(ends, before + "h.{layer}", WITHIN)
