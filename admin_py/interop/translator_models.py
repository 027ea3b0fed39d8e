"""Translators of Hugging Face that a model of this package can become: a row each.

The rows use the tables by which the same families are read (`translators`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from admin_py.interop import translators
from admin_py.interop.fairseq import FIRST_POSITION, sinusoids
from admin_py.interop.family import POST_LN, PRE_LN, Family, Settings
from admin_py.interop.language_models import TIED
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.obstacles import ANY, Allowed
from admin_py.interop.pieces import Piece
from admin_py.interop.words import activation_word
from admin_py.interop.writing import Tensors
from admin_py.model.config import STACKS, TransformerConfig
from admin_py.model.transformer import Transformer


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


def _own(stack: str) -> str:
    """Name of a stack's embedding that is its own."""
    return f"model.{stack}.embed_tokens.weight"


def _positions(stack: str) -> str:
    return f"model.{stack}.embed_positions.weight"


def _names(config: TransformerConfig, positions: Mapping[str, Any]) -> LayerNames:
    shared = config.share_embeddings in ("all", "inputs")
    embeddings = {f"{stack}.": translators.SHARED if shared else _own(stack) for stack in STACKS}
    output = {"output.weight": translators.OUTPUT, "output.bias": translators.BIAS}
    return translators.names("model.", {"": translators.SHARED, **embeddings}, positions, output)


def _translator_places(config: TransformerConfig) -> LayerNames:
    return _names(config, {stack: _positions(stack) for stack in STACKS})


def _sinusoid_places(config: TransformerConfig) -> LayerNames:
    return _names(config, dict.fromkeys(STACKS, sinusoids(config.max_length, config.d_model)))


def _behind_padding() -> dict[str, Piece]:
    """Positions that are kept, which begin after padding's."""
    return {stack: Piece(_positions(stack), skip=FIRST_POSITION) for stack in STACKS}


def _bart_places(config: TransformerConfig) -> LayerNames:
    return _names(config, _behind_padding())


def _fsmt(config: TransformerConfig) -> Settings:
    """Two vocabularies, of one size here."""
    told = _m2m_100(config)
    sizes = dict.fromkeys(("src_vocab_size", "tgt_vocab_size"), told.pop("vocab_size"))
    return {**told, **sizes, "langs": ["source", "target"]}


def _fsmt_places(config: TransformerConfig) -> LayerNames:
    """Where all embeddings are one the decoder's is read as the encoder's."""
    embeddings = {"": _own("decoder"), **{f"{stack}.": _own(stack) for stack in STACKS}}
    del config
    output = translators.FAMILIES["fsmt"].output
    return translators.names("model.", embeddings, _behind_padding(), {"output.weight": output})


def _finish_translator(config: TransformerConfig, tensors: Tensors) -> None:
    """The bias is [1, V]; embeddings that are one here are so there where all three are, else copies."""
    if translators.BIAS in tensors:
        tensors[translators.BIAS] = tensors[translators.BIAS].reshape(1, -1)
    share = config.share_embeddings
    if share == "inputs":
        for stack in STACKS:
            tensors[_own(stack)] = tensors[translators.SHARED]


def _finish_untied(config: TransformerConfig, tensors: Tensors) -> None:
    """The same where there is always a shared embedding, which nothing reads unless all are one."""
    _finish_translator(config, tensors)
    if config.share_embeddings == "decoder":
        tensors[translators.OUTPUT] = tensors[_own("decoder")]
    if translators.SHARED not in tensors:
        tensors[translators.SHARED] = tensors[_own("encoder")]


def _finish_fsmt(config: TransformerConfig, tensors: Tensors) -> None:
    """Both embeddings and the output are there, whichever are one."""
    tensors.setdefault(_own("encoder"), tensors[_own("decoder")])
    tensors.setdefault(translators.FAMILIES["fsmt"].output, tensors[_own("decoder")])


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

TRANSLATORS: Mapping[str, Family] = {
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
        {**TRANSLATOR, "output_bias": (False,)}, _m2m_100, _sinusoid_places, _other_positions, _finish_untied,
        fixed=("pad_token_id",),
    ),
    "bart": Family(
        "BartForConditionalGeneration", "encoder_decoder", (POST_LN,), BART, _translator, _bart_places,
        finish=_finish_untied,
    ),
    "mbart": Family(
        "MBartForConditionalGeneration", "encoder_decoder", (PRE_LN,), BART, _translator, _bart_places,
        finish=_finish_untied,
    ),
    "fsmt": Family(
        "FSMTForConditionalGeneration", "encoder_decoder", (POST_LN,),
        {**TRANSLATOR, "output_bias": (False,), "share_embeddings": ("all", "decoder", "none")},
        _fsmt, _fsmt_places, finish=_finish_fsmt, fixed=("pad_token_id",),
    ),
}  # fmt: skip
"""Value of ``model_type`` -> how models are written as it."""
