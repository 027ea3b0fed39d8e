"""Families of Hugging Face that a model of this package can become: a row each.

The rows use the tables by which the same families are read (`translators`, `encoders`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from admin_py.interop import encoders, translators
from admin_py.interop.fairseq import FIRST_POSITION, WITHIN, sinusoids
from admin_py.interop.family import POST_LN, PRE_LN, Family, Settings
from admin_py.interop.language_models import LANGUAGE_MODELS, TIED
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.obstacles import ANY, Allowed
from admin_py.interop.pieces import Piece
from admin_py.interop.words import activation_word
from admin_py.interop.writing import Tensors
from admin_py.model.config import STACKS, TransformerConfig
from admin_py.model.transformer import Transformer

# Translators


def _translator(config: TransformerConfig) -> Settings:
    both = {
        f"{stack}_{theirs}": getattr(config, ours)
        for stack in STACKS
        for ours, theirs in (("heads", "attention_heads"), ("d_ff", "ffn_dim"))
    }
    return {
        **both,
        **{name: getattr(config, name) for name in SAME_NAMES},
        "max_position_embeddings": config.max_length,
        "activation_function": activation_word(config.activation),
        "scale_embedding": config.embedding_scale != 1.0,
        "tie_word_embeddings": config.share_embeddings == "all",
        "is_encoder_decoder": True,
        "decoder_start_token_id": 1,
    }


SAME_NAMES = (
    "vocab_size", "d_model", "encoder_layers", "decoder_layers", "dropout", "attention_dropout",
    "activation_dropout",
)  # fmt: skip


def _marian(config: TransformerConfig) -> Settings:
    """Two embeddings of which the decoder's is the output are tied there, too."""
    share = config.share_embeddings
    return {
        **_translator(config),
        "share_encoder_decoder_embeddings": share in ("all", "inputs"),
        "tie_word_embeddings": share in TIED,
    }


def _m2m_100(config: TransformerConfig) -> Settings:
    return {**_translator(config), "pad_token_id": 1, "bos_token_id": 0, "decoder_start_token_id": 2}


def _translator_places(config: TransformerConfig) -> LayerNames:
    shared = config.share_embeddings in ("all", "inputs")
    ends: dict[str, Any] = {
        "embedding.weight": translators.SHARED,
        "output.weight": translators.OUTPUT,
        "output.bias": translators.BIAS,
    }
    for stack in STACKS:
        own = f"model.{stack}.embed_tokens.weight"
        ends[f"{stack}.embedding.weight"] = translators.SHARED if shared else own
        ends[f"{stack}.positions.weight"] = f"model.{stack}.embed_positions.weight"
        ends[f"{stack}.norm_final"] = f"model.{stack}.layer_norm"
    return LayerNames(ends, "model.{stack}.layers.{layer}", WITHIN)


def _m2m_100_places(config: TransformerConfig) -> LayerNames:
    names, positions = _translator_places(config), sinusoids(config.max_length, config.d_model)
    ends = {**names.ends, **{f"{stack}.positions.weight": positions for stack in STACKS}}
    return replace(names, ends=ends)


def _bart_places(config: TransformerConfig) -> LayerNames:
    """Learned positions, which begin after padding's, and a norm on embeddings."""
    names = _translator_places(config)
    more: dict[str, Any] = {}
    for stack in STACKS:
        more[f"{stack}.positions.weight"] = Piece(
            f"model.{stack}.embed_positions.weight", skip=FIRST_POSITION
        )
        more[f"{stack}.norm_embedding"] = f"model.{stack}.layernorm_embedding"
    return replace(names, ends={**names.ends, **more})


def _finish_translator(config: TransformerConfig, tensors: Tensors) -> None:
    """The bias is [1, V]; embeddings that are one here are so there where all three are, else copies."""
    if translators.BIAS in tensors:
        tensors[translators.BIAS] = tensors[translators.BIAS].reshape(1, -1)
    share = config.share_embeddings
    if share == "inputs":
        for stack in STACKS:
            tensors[f"model.{stack}.embed_tokens.weight"] = tensors[translators.SHARED]


def _finish_untied(config: TransformerConfig, tensors: Tensors) -> None:
    """The same where there is always a shared embedding, which nothing reads unless all are one."""
    _finish_translator(config, tensors)
    if config.share_embeddings == "decoder":
        tensors[translators.OUTPUT] = tensors["model.decoder.embed_tokens.weight"]
    if translators.SHARED not in tensors:
        tensors[translators.SHARED] = tensors["model.encoder.embed_tokens.weight"]


def _other_positions(model: Transformer) -> list[str]:
    wanted = sinusoids(model.config.max_length, model.config.d_model).astype(model.dtype)
    return [
        f"positions of the {stack} that are not M2M100's sinusoids, from number {FIRST_POSITION}"
        for stack in model.config.stacks
        if not np.array_equal(model.parameters.get(f"{stack}.positions.weight", np.empty(0)), wanted)
    ]


TRANSLATOR: Allowed = {
    **dict.fromkeys(("activation", "share_embeddings", "output_bias"), ANY),
    "embedding_scale": (None, 1.0),
    "positions": ("learned",),
}

BART: Allowed = {**TRANSLATOR, "embedding_norm": ("layer",)}


# Encoders


def _bert(config: TransformerConfig) -> Settings:
    sizes = {
        "d_model": "hidden_size", "encoder_layers": "num_hidden_layers", "heads": "num_attention_heads",
        "d_ff": "intermediate_size", "max_length": "max_position_embeddings", "norm_eps": "layer_norm_eps",
        "dropout": "hidden_dropout_prob", "attention_dropout": "attention_probs_dropout_prob",
        "vocab_size": "vocab_size",
    }  # fmt: skip
    return {
        **{theirs: getattr(config, ours) for ours, theirs in sizes.items()},
        "hidden_act": activation_word(config.activation),
        "type_vocab_size": 1,
    }


def _bert_places(config: TransformerConfig) -> LayerNames:
    del config
    family = encoders.FAMILIES["bert"]
    ends = {
        "embedding.weight": "embeddings.word_embeddings.weight",
        "encoder.positions.weight": "embeddings.position_embeddings.weight",
        "encoder.norm_embedding": "embeddings.LayerNorm",
    }
    return LayerNames(ends, family.layer, family.within)


def _finish_bert(config: TransformerConfig, tensors: Tensors) -> None:
    """There is one type of tokens, and it adds nothing."""
    positions = tensors["embeddings.position_embeddings.weight"]
    tensors["embeddings.token_type_embeddings.weight"] = np.zeros((1, config.d_model), positions.dtype)


BERT: Allowed = {
    **dict.fromkeys(("activation", "share_embeddings", "norm_eps"), ANY),
    "embedding_scale": (1.0,),
    "positions": ("learned",),
    "embedding_norm": ("layer",),
}

FAMILIES: Mapping[str, Family] = {
    **LANGUAGE_MODELS,
    "marian": Family(
        "MarianMTModel", "encoder_decoder", (POST_LN,), TRANSLATOR, _marian, _translator_places,
        finish=_finish_translator,
    ),
    "pegasus": Family(
        "PegasusForConditionalGeneration", "encoder_decoder", (PRE_LN,), TRANSLATOR, _translator,
        _translator_places, finish=_finish_untied,
    ),
    "m2m_100": Family(
        "M2M100ForConditionalGeneration", "encoder_decoder", (PRE_LN,),
        {**TRANSLATOR, "output_bias": (False,)}, _m2m_100, _m2m_100_places, _other_positions, _finish_untied,
    ),
    "bart": Family(
        "BartForConditionalGeneration", "encoder_decoder", (POST_LN,), BART, _translator, _bart_places,
        finish=_finish_untied,
    ),
    "mbart": Family(
        "MBartForConditionalGeneration", "encoder_decoder", (PRE_LN,), BART, _translator, _bart_places,
        finish=_finish_untied,
    ),
    "bert": Family("BertModel", "encoder", (POST_LN,), BERT, _bert, _bert_places, finish=_finish_bert),
}  # fmt: skip
"""``model_type`` -> how models are written as it; the first that holds a model is taken."""
