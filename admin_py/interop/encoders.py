"""BERT, RoBERTa, ELECTRA, DistilBERT and their like as Hugging Face has them.

Post-LN encoders behind a norm on embeddings, with learned positions. The embedding of one token type, which
is added to every token, is a part of the positions here. Heads and poolers are no sub-layers: left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import check_integer
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.pieces import Piece
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, need, refuse
from admin_py.model.config import TransformerConfig

MEANS_NOTHING = (r"(.*\.)?embeddings\.(position_ids|token_type_ids)",)
"""Numbers that the length tells."""

HEADS = (
    r"(.*\.)?pooler\..*",
    r"(cls|lm_head|classifier|qa_outputs|generator_lm_head|pre_classifier|sequence_summary)\..*",
    r"(discriminator_predictions|generator_predictions|vocab_transform|vocab_layer_norm|vocab_projector)\..*",
)
"""What is trained on top of the encoder."""

UNKNOWN = {
    "is_decoder": "an encoder that reads from left to right",
    "add_cross_attention": "cross-attention without an encoder",
}

OLD_WORDS = {"gamma": "gamma", "nu": "beta"}
"""Of a norm in the first checkpoints of BERT."""


class Family(NamedTuple):
    """How the tensors and the settings of an encoder are called.

    Attributes
    ----------
    layer : str
        What the names of a layer begin with.
    within : mapping
        Part of a layer of ours -> theirs.
    words : mapping
        Field of a configuration of ours -> its name in theirs.
    eps : float
        Of norms, where nothing is said.
    behind_padding : bool
        Whether the first position is that after padding's id.
    """

    layer: str
    within: Mapping[str, str]
    words: Mapping[str, str]
    eps: float = 1e-12
    behind_padding: bool = False


_BERT = Family(
    "encoder.layer.{layer}",
    {
        "self_attn.q": "attention.self.query",
        "self_attn.k": "attention.self.key",
        "self_attn.v": "attention.self.value",
        "self_attn.out": "attention.output.dense",
        "self_attn.norm": "attention.output.LayerNorm",
        "feed_forward.fc1": "intermediate.dense",
        "feed_forward.fc2": "output.dense",
        "feed_forward.norm": "output.LayerNorm",
    },
    {
        "d_model": "hidden_size",
        "encoder_layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "d_ff": "intermediate_size",
        "activation": "hidden_act",
        "norm_eps": "layer_norm_eps",
        "dropout": "hidden_dropout_prob",
        "attention_dropout": "attention_probs_dropout_prob",
    },
)
_DISTILBERT = Family(
    "transformer.layer.{layer}",
    {
        **{f"self_attn.{part}": f"attention.{part}_lin" for part in ("q", "k", "v", "out")},
        "self_attn.norm": "sa_layer_norm",
        "feed_forward.fc1": "ffn.lin1",
        "feed_forward.fc2": "ffn.lin2",
        "feed_forward.norm": "output_layer_norm",
    },
    {
        "d_model": "dim",
        "encoder_layers": "n_layers",
        "heads": "n_heads",
        "d_ff": "hidden_dim",
        "activation": "activation",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
    },
)

FAMILIES: Mapping[str, Family] = {
    "bert": _BERT,
    "electra": _BERT,
    "roberta": _BERT._replace(behind_padding=True),
    "xlm-roberta": _BERT._replace(behind_padding=True),
    "camembert": _BERT._replace(behind_padding=True),
    "distilbert": _DISTILBERT,
}
"""Value of ``model_type`` -> how it is read."""


class Encoder:
    """How one kind is read.

    Parameters
    ----------
    kind : str
        Of `FAMILIES`.
    """

    def __init__(self, kind: str) -> None:
        self.kind, self.family = kind, FAMILIES[kind]

    def recognises(self, source: Source) -> bool:
        """Whether the tensors' names begin with the kind's."""
        return f"{self.kind}.embeddings.word_embeddings.weight" in source

    def config_of(self, source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
        """The model that the configuration describes."""
        refuse(source, settings, UNKNOWN)
        family, words = self.family, self.family.words
        kind = settings.get("position_embedding_type", "absolute")
        if kind != "absolute":
            raise ValueError(f"{source.where} cannot be expressed: positions of the kind {kind!r}")
        before = prefix(source)
        vocab_size, d_model = source.shape(f"{before}embeddings.word_embeddings.weight")
        first = before + family.layer.format(layer=0)
        d_ff, width = source.shape(f"{first}.{family.within['feed_forward.fc1']}.weight")
        if width != d_model:
            raise ValueError(
                f"{source.where} cannot be expressed: embeddings of another width than the layers "
                f"(embedding_size={d_model}, hidden_size={width})"
            )
        rows = source.shape(f"{before}embeddings.position_embeddings.weight")[0]
        layers = family.layer.replace(".", r"\.").format(layer=r"(\d+)\.")
        return TransformerConfig(
            vocab_size=vocab_size,
            encoder_layers=source.layers(before.replace(".", r"\.") + layers),
            decoder_layers=0,
            d_model=d_model,
            heads=need(source, settings, words["heads"]),
            d_ff=d_ff,
            scheme="post_ln",
            activation=activation_of(source, settings.get(words["activation"], "gelu")),
            positions="learned",
            max_length=rows - first_position(family, settings),
            embedding_scale=1.0,
            embedding_norm="layer",
            norm_eps=settings.get("layer_norm_eps", family.eps),
            dropout=settings.get(words["dropout"], 0.1),
            attention_dropout=settings.get(words["attention_dropout"], 0.1),
        )

    def places(self, source: Source, config: TransformerConfig) -> LayerNames:
        """Where the tensors lie."""
        del config
        before = prefix(source)
        found = names(self.family, before, positions(self.family, source, source.settings))
        old = f"{before}embeddings.LayerNorm.gamma" in source
        return replace(found, words=OLD_WORDS) if old else found


def names(family: Family, before: str, places: Piece | NDArray[np.float64]) -> LayerNames:
    """Where the tensors lie, of names that begin with this, and positions there or with these numbers."""
    ends: dict[str, Any] = {
        "embedding.weight": f"{before}embeddings.word_embeddings.weight",
        "encoder.positions.weight": places,
        "encoder.norm_embedding": f"{before}embeddings.LayerNorm",
    }
    return LayerNames(ends, before + family.layer, family.within)


def first_position(family: Family, settings: Mapping[str, Any]) -> int:
    """Row of position 0."""
    padding = settings.get("pad_token_id")
    return 1 + (1 if padding is None else int(padding)) if family.behind_padding else 0


def positions(family: Family, source: Source, settings: Mapping[str, Any]) -> NDArray[np.float64]:
    """Positions with the embedding of the token type that all tokens have, number 0 where nothing is said."""
    before = prefix(source)
    rows = source.take(f"{before}embeddings.position_embeddings.weight").astype(np.float64)
    types = f"{before}embeddings.token_type_embeddings.weight"
    if types in source:
        given = source.take(types)
        if rows.ndim != 2 or given.shape[1:] != rows.shape[1:]:
            raise ValueError(
                f"{source.where}: positions and token types must be of the same width, got shapes "
                f"{list(rows.shape)} and {list(given.shape)}"
            )
        number = check_integer("token_type_ids", settings.get("token_type_ids", 0), 0, len(given) - 1)
        rows = rows + given[number]
    return np.asarray(rows[first_position(family, settings) :], np.float64)


def prefix(source: Source) -> str:
    """Of all names but the heads'."""
    last = "embeddings.word_embeddings.weight"
    return next((name.removesuffix(last) for name in source.shapes if name.endswith(last)), "")
