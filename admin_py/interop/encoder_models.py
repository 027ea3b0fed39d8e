"""Encoders of Hugging Face that a model of this package can become: a row each.

The rows use the tables by which the same families are read (`encoders`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from admin_py.interop import encoders
from admin_py.interop.family import POST_LN, Family, Settings, named
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.obstacles import ANY, Allowed
from admin_py.interop.pieces import Piece
from admin_py.interop.words import activation_word
from admin_py.interop.writing import Tensors
from admin_py.model.config import TransformerConfig

PADDING = 0
"""Id of padding in the data of this package."""

POSITIONS = "embeddings.position_embeddings.weight"

TOKEN_TYPES = "embeddings.token_type_embeddings.weight"


def _first(family: encoders.Family) -> int:
    return encoders.first_position(family, {"pad_token_id": PADDING})


def _settings(family: encoders.Family, config: TransformerConfig) -> Settings:
    return {
        **named(config, family.words),
        family.words["activation"]: activation_word(config.activation),
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_length + _first(family),
    }


def _with_types(family: encoders.Family, config: TransformerConfig) -> Settings:
    """Of those that add an embedding of the token's type."""
    return {**_settings(family, config), "type_vocab_size": 1, "embedding_size": config.d_model}


def _places(family: encoders.Family, config: TransformerConfig) -> LayerNames:
    del config
    return encoders.names(family, "", Piece(POSITIONS, skip=_first(family)))


def _add_types(config: TransformerConfig, tensors: Tensors) -> None:
    """There is one type of tokens, and it adds nothing."""
    tensors[TOKEN_TYPES] = np.zeros((1, config.d_model), tensors[POSITIONS].dtype)


ENCODER: Allowed = {
    **dict.fromkeys(("activation", "share_embeddings"), ANY),
    "embedding_scale": (1.0,),
    "positions": ("learned",),
    "embedding_norm": ("layer",),
}


def _like_bert(kind: str, architecture: str) -> Family:
    family = encoders.FAMILIES[kind]
    return Family(
        architecture,
        "encoder",
        (POST_LN,),
        {**ENCODER, "norm_eps": ANY},
        partial(_with_types, family),
        partial(_places, family),
        finish=_add_types,
        fixed=("pad_token_id",) if family.behind_padding else (),
    )


DISTILBERT = encoders.FAMILIES["distilbert"]

ENCODERS: Mapping[str, Family] = {
    "bert": _like_bert("bert", "BertModel"),
    "electra": _like_bert("electra", "ElectraModel"),
    "roberta": _like_bert("roberta", "RobertaModel"),
    "xlm-roberta": _like_bert("xlm-roberta", "XLMRobertaModel"),
    "camembert": _like_bert("camembert", "CamembertModel"),
    "distilbert": Family(
        "DistilBertModel",
        "encoder",
        (POST_LN,),
        {**ENCODER, "norm_eps": (DISTILBERT.eps,)},
        partial(_settings, DISTILBERT),
        partial(_places, DISTILBERT),
    ),
}
"""Value of ``model_type`` -> how models are written as it."""
