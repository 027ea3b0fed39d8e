"""Families of Hugging Face that a model of this package can become: a row each.

The rows use the tables by which the same families are read (`gpt2`, `opt`, `llama`, `translators`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from admin_py.interop import encoders, gpt2, llama, opt, translators
from admin_py.interop.fairseq import FIRST_POSITION, WITHIN, sinusoids
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.obstacles import (
    ANY,
    Allowed,
    differing_fields,
    differing_sublayers,
    fewest,
    meaning,
)
from admin_py.interop.pieces import Piece
from admin_py.interop.words import activation_word
from admin_py.interop.writing import Tensors
from admin_py.model.config import STACKS, TransformerConfig
from admin_py.model.rotary import THETA
from admin_py.model.transformer import Transformer
from admin_py.schemes import Scheme, get

Settings = dict[str, Any]


def _none(model: Transformer) -> list[str]:
    del model
    return []


def _as_they_are(config: TransformerConfig, tensors: Tensors) -> None:
    del config, tensors


class Family(NamedTuple):
    """How a model is written as one of a family.

    Attributes
    ----------
    architecture : str
        Class of `transformers`.
    kind : str
        Of model, as `TransformerConfig.kind`.
    schemes : tuple of Scheme
        What its sub-layers may be.
    allowed : mapping
        What fields may be, see `obstacles.Allowed`.
    settings : callable
        What ``config.json`` says of a configuration.
    places : callable
        Where parameters lie.
    beyond : callable
        What else of a model stands in the way.
    finish : callable
        Changes the tensors where theirs are more than ours, in place.
    """

    architecture: str
    kind: str
    schemes: tuple[Scheme, ...]
    allowed: Allowed
    settings: Callable[[TransformerConfig], Settings]
    places: Callable[[TransformerConfig], LayerNames]
    beyond: Callable[[Transformer], list[str]] = _none
    finish: Callable[[TransformerConfig, Tensors], None] = _as_they_are

    def obstacles(self, model: Transformer) -> list[str]:
        """What of a model of its kind it cannot hold."""
        ways = [differing_sublayers(model.config, scheme) for scheme in self.schemes]
        return differing_fields(model.config, self.allowed) + fewest(ways) + self.beyond(model)

    @property
    def factors(self) -> tuple[float | None, ...]:
        """Values of ``embedding_scale``."""
        return self.allowed.get("embedding_scale", (None,))


# Language models


def _decoder(config: TransformerConfig, names: Mapping[str, str]) -> Settings:
    """Sizes, by the family's names of them, and what all language models say."""
    sizes = {theirs: getattr(config, ours) for ours, theirs in names.items()}
    return {**sizes, "vocab_size": config.vocab_size, "tie_word_embeddings": config.share_embeddings in TIED}


TIED = ("all", "decoder")
"""Values of ``share_embeddings`` with which the output of a language model is its embedding."""

LANGUAGE_MODEL: Allowed = {
    "activation": ANY,
    "share_embeddings": ANY,
    "embedding_scale": (1.0,),
}


def _gpt2(config: TransformerConfig) -> Settings:
    sizes = {
        "d_model": "n_embd", "decoder_layers": "n_layer", "heads": "n_head", "d_ff": "n_inner",
        "max_length": "n_positions", "norm_eps": "layer_norm_epsilon", "dropout": "resid_pdrop",
        "attention_dropout": "attn_pdrop",
    }  # fmt: skip
    return {
        **_decoder(config, sizes),
        "embd_pdrop": config.dropout,
        "activation_function": activation_word(config.activation),
        "scale_attn_weights": meaning(config, "attention_scale") is None,
    }


def _gpt2_places(config: TransformerConfig) -> LayerNames:
    del config
    return gpt2.names("transformer.")


def _opt(config: TransformerConfig) -> Settings:
    sizes = {
        "d_model": "hidden_size", "decoder_layers": "num_hidden_layers", "heads": "num_attention_heads",
        "d_ff": "ffn_dim", "max_length": "max_position_embeddings", "dropout": "dropout",
        "attention_dropout": "attention_dropout",
    }  # fmt: skip
    pre = config.residuals("decoder")[0].norm_pre != "none"
    return {
        **_decoder(config, sizes),
        "word_embed_proj_dim": config.d_model,
        "activation_function": activation_word(config.activation),
        "do_layer_norm_before": pre,
        "_remove_final_layer_norm": pre and config.stack_scheme("decoder").final_norm == "none",
    }


def _opt_places(config: TransformerConfig) -> LayerNames:
    del config
    return opt.names("model.decoder.")


BIASES = {
    "none": (False, False),
    "attention": (True, False),
    "feed_forward": (False, True),
    "all": (True, True),
}
"""Ours -> Llama's ``attention_bias`` and ``mlp_bias``."""


def _llama(config: TransformerConfig) -> Settings:
    sizes = {
        "d_model": "hidden_size", "decoder_layers": "num_hidden_layers", "heads": "num_attention_heads",
        "num_kv_heads": "num_key_value_heads", "width_of_heads": "head_dim", "d_ff": "intermediate_size",
        "max_length": "max_position_embeddings", "norm_eps": "rms_norm_eps",
        "attention_dropout": "attention_dropout",
    }  # fmt: skip
    rope: Settings = {"rope_type": "default", "rope_theta": config.rotary_theta or THETA}
    if config.rotary_scaling:
        rope |= {"rope_type": "llama3", **dict(zip(llama.SCALING, config.rotary_scaling, strict=True))}
    return {
        **_decoder(config, sizes),
        "hidden_act": activation_word(config.activation),
        "rope_parameters": rope,
    }


def _mistral(config: TransformerConfig) -> Settings:
    return {**_llama(config), "sliding_window": None}


def _llama_biases(config: TransformerConfig) -> Settings:
    attention, feed_forward = BIASES[config.bias]
    return {**_llama(config), "attention_bias": attention, "mlp_bias": feed_forward}


def _llama_places(config: TransformerConfig) -> LayerNames:
    del config
    return llama.names("model.")


def _of_llama(architecture: str, settings: Callable[..., Settings], **fields: Any) -> Family:
    allowed: Allowed = {
        **LANGUAGE_MODEL,
        "gated": (True,),
        "positions": ("rotary",),
        **dict.fromkeys(("kv_heads", "norm_eps", "rotary_theta", "rotary_scaling"), ANY),
        **fields,
    }
    return Family(architecture, "language_model", (llama.PRE_RMS,), allowed, settings, _llama_places)


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

POST_LN, PRE_LN = get("post_ln"), get("pre_ln")

FAMILIES: Mapping[str, Family] = {
    "gpt2": Family(
        "GPT2LMHeadModel", "language_model", (PRE_LN,),
        {**LANGUAGE_MODEL, "positions": ("learned",), "norm_eps": ANY, "attention_scale": (None, 1.0)},
        _gpt2, _gpt2_places,
    ),
    "opt": Family(
        "OPTForCausalLM", "language_model", (POST_LN, PRE_LN, opt.WITHOUT_FINAL_NORM),
        {**LANGUAGE_MODEL, "positions": ("learned",)},
        _opt, _opt_places,
    ),
    "llama": _of_llama("LlamaForCausalLM", _llama_biases, bias=tuple(BIASES), head_width=ANY),
    "mistral": _of_llama("MistralForCausalLM", _mistral, bias=("none",), head_width=ANY),
    "qwen2": _of_llama("Qwen2ForCausalLM", _llama, bias=("qkv",)),
    "qwen3": _of_llama("Qwen3ForCausalLM", _llama, bias=("none",), head_width=ANY, qk_norm=("rms",)),
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
