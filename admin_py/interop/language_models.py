"""Language models of Hugging Face that a model of this package can become: a row each.

The rows use the tables by which the same families are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from admin_py.interop import gemma, gpt2, gpt_neox, gptj, llama, opt
from admin_py.interop.family import POST_LN, PRE_LN, Family, Settings, named, none
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.obstacles import ANY, Allowed, meaning
from admin_py.interop.pieces import Places
from admin_py.interop.words import activation_word
from admin_py.model.config import TransformerConfig
from admin_py.model.rotary import THETA
from admin_py.model.transformer import Transformer
from admin_py.schemes import Scheme


def _decoder(config: TransformerConfig, names: Mapping[str, str]) -> Settings:
    """Sizes, by the family's names of them, and what all language models say."""
    return {
        **named(config, names),
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.share_embeddings in TIED,
    }


TIED = ("all", "decoder")
"""Values of ``share_embeddings`` with which the output of a language model is its embedding."""

LANGUAGE_MODEL: Allowed = {
    "activation": ANY,
    "share_embeddings": ANY,
    "embedding_scale": (1.0,),
}


def _like_gpt2(config: TransformerConfig) -> Settings:
    """In the words that GPT-J has, too."""
    sizes = {
        "d_model": "n_embd", "decoder_layers": "n_layer", "heads": "n_head", "d_ff": "n_inner",
        "max_length": "n_positions", "norm_eps": "layer_norm_epsilon", "dropout": "resid_pdrop",
        "attention_dropout": "attn_pdrop",
    }  # fmt: skip
    return {
        **_decoder(config, sizes),
        "embd_pdrop": config.dropout,
        "activation_function": activation_word(config.activation),
    }


def _gpt2(config: TransformerConfig) -> Settings:
    return {
        **_like_gpt2(config),
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
        "enable_bias": config.bias == "all",
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
    return {**_llama(config), "sliding_window": config.windows("decoder")[0]}


def _llama_biases(config: TransformerConfig) -> Settings:
    attention, feed_forward = BIASES[config.bias]
    return {**_llama(config), "attention_bias": attention, "mlp_bias": feed_forward}


def _windows(config: TransformerConfig) -> Settings:
    """Of one length, in the layers that are named."""
    found = config.windows("decoder")
    return {
        "sliding_window": next(filter(None, found), None),
        "layer_types": [llama.LAYER_TYPES[one is not None] for one in found],
    }


def _qwen(config: TransformerConfig) -> Settings:
    attention, _ = BIASES.get(config.bias, (False, False))  # Qwen 2 always has those of q, k and v
    windows = {**_windows(config), "use_sliding_window": any(config.windows("decoder"))}
    return {**_llama(config), **windows, "attention_bias": attention}


def _gemma(config: TransformerConfig) -> Settings:
    return {**_llama(config), "attention_bias": config.bias == "attention"}


def _gemma2(config: TransformerConfig) -> Settings:
    told = _llama_biases(config)
    windows = _windows(config)
    return {
        **told,
        **windows,
        "sliding_window": windows["sliding_window"] or config.max_length,  # they need one that no layer has
        "hidden_activation": told["hidden_act"],
        "query_pre_attn_scalar": _divisor(config),
        "attn_logit_softcapping": config.score_cap,
        "final_logit_softcapping": config.logits_cap,
    }


def _divisor(config: TransformerConfig) -> int:
    """What scores are divided by the root of, to the next integer."""
    scale = config.attention_scale
    return config.width_of_heads if scale is None else round(max(scale, 1e-9) ** -2)


def _gpt_neox(config: TransformerConfig) -> Settings:
    sizes = {
        "d_model": "hidden_size", "decoder_layers": "num_hidden_layers", "heads": "num_attention_heads",
        "d_ff": "intermediate_size", "max_length": "max_position_embeddings", "norm_eps": "layer_norm_eps",
        "dropout": "hidden_dropout", "attention_dropout": "attention_dropout",
    }  # fmt: skip
    turned = config.rotary_width or config.width_of_heads
    share = turned / config.width_of_heads
    if int(config.width_of_heads * share) < turned:  # which is how they make a width of it
        share = float(np.nextafter(share, 2.0))
    rope = {"rope_type": "default", "rope_theta": config.rotary_theta or THETA}
    return {
        **_decoder(config, sizes),
        "hidden_act": activation_word(config.activation),
        "attention_bias": config.bias == "all",
        "use_parallel_residual": any(row.parallel for row in config.residuals("decoder")),
        "rope_parameters": {**rope, "partial_rotary_factor": share},
    }


def _gptj(config: TransformerConfig) -> Settings:
    return {
        **_like_gpt2(config),
        "rotary_dim": config.rotary_width or config.width_of_heads,
    }


def _gptj_places(config: TransformerConfig) -> LayerNames:
    del config
    return gptj.names("transformer.")


def _two_norms(model: Transformer) -> list[str]:
    """A layer's branches read one norm there."""
    found, first, second = model.parameters, "self_attn.norm_pre", "feed_forward.norm_pre"
    apart = [
        name.partition(f".{first}")[0]
        for name in found
        if first in name
        and not np.array_equal(found[name], found.get(name.replace(first, second), found[name]))
    ]
    layers = ", ".join(dict.fromkeys(apart))
    return [f"norms of attention and feed-forward that differ, in {layers}"] if apart else []


def _gpt_neox_places(config: TransformerConfig) -> LayerNames:
    return gpt_neox.names("gpt_neox.", gpt_neox.OUTPUTS[0], config.heads)


def _gemma_places(config: TransformerConfig) -> Places:
    del config
    return gemma.names("model.", second=False)


def _gemma2_places(config: TransformerConfig) -> Places:
    del config
    return gemma.names("model.", second=True)


def _other_windows(model: Transformer) -> list[str]:
    """Of several lengths."""
    lengths = sorted(set(filter(None, model.config.windows("decoder"))))
    return [f"windows of several lengths, {', '.join(map(str, lengths))}"] if len(lengths) > 1 else []


def _windows_in_turn(model: Transformer) -> list[str]:
    """Of several lengths, or in some layers alone."""
    found = model.config.windows("decoder")
    return ["windows that differ from layer to layer"] if len(set(found)) > 1 else []


def _not_whole(model: Transformer) -> list[str]:
    """Norms of each head; of one head both are the same."""
    config = model.config
    return ["qk_norm_whole=False"] if config.heads > 1 and not config.qk_norm_whole else []


def _around(model: Transformer) -> list[str]:
    """A factor on scores that is 1 / sqrt of no integer, and what `_other_windows` finds."""
    scale = model.config.attention_scale
    fits = scale is None or (
        _divisor(model.config) > 0 and np.isclose(_divisor(model.config) ** -0.5, scale, 1e-15, 0)
    )
    found = [] if fits else [f"attention_scale={scale!r}, which is 1 / sqrt of no integer"]
    return found + _other_windows(model)


def _llama_places(config: TransformerConfig) -> LayerNames:
    del config
    return llama.names("model.")


def _of_llama(
    architecture: str,
    settings: Callable[..., Settings],
    scheme: Scheme = llama.PRE_RMS,
    places: Callable[[TransformerConfig], Places] = _llama_places,
    beyond: Callable[[Transformer], list[str]] = none,
    **fields: Any,
) -> Family:
    allowed: Allowed = {
        **LANGUAGE_MODEL,
        "gated": (True,),
        "positions": ("rotary",),
        **dict.fromkeys(("kv_heads", "norm_eps", "rotary_theta", "rotary_scaling"), ANY),
        **fields,
    }
    return Family(architecture, "language_model", (scheme,), allowed, settings, places, beyond)


LANGUAGE_MODELS: Mapping[str, Family] = {
    "gpt2": Family(
        "GPT2LMHeadModel", "language_model", (PRE_LN,),
        {**LANGUAGE_MODEL, "positions": ("learned",), "norm_eps": ANY, "attention_scale": (None, 1.0)},
        _gpt2, _gpt2_places,
    ),
    "opt": Family(
        "OPTForCausalLM", "language_model", (POST_LN, PRE_LN, opt.WITHOUT_FINAL_NORM),
        {**LANGUAGE_MODEL, "positions": ("learned",), "bias": ("all", "none")},
        _opt, _opt_places,
    ),
    "llama": _of_llama("LlamaForCausalLM", _llama_biases, bias=tuple(BIASES), head_width=ANY),
    "mistral": _of_llama(
        "MistralForCausalLM", _mistral, beyond=_windows_in_turn, bias=("none",), head_width=ANY,
        attention_window=ANY,
    ),
    "qwen2": _of_llama(
        "Qwen2ForCausalLM", _qwen, beyond=_other_windows, bias=("qkv",), attention_window=ANY
    ),
    "qwen3": _of_llama(
        "Qwen3ForCausalLM", _qwen, beyond=_other_windows, bias=("none", "attention"), head_width=ANY,
        qk_norm=("rms",), attention_window=ANY,
    ),
    "olmo2": _of_llama(
        "Olmo2ForCausalLM", _llama_biases, llama.BRANCH_RMS, beyond=_not_whole, bias=("none", "attention"),
        qk_norm=("rms",), qk_norm_whole=ANY,
    ),
    "gemma": _of_llama(
        "GemmaForCausalLM", _gemma, places=_gemma_places, bias=("none", "attention"), head_width=ANY,
        embedding_scale=(None,),
    ),
    "gemma2": _of_llama(
        "Gemma2ForCausalLM", _gemma2, gemma.AROUND_RMS, _gemma2_places, _around, bias=("none", "attention"),
        embedding_scale=(None,),
        **dict.fromkeys(
            ("head_width", "attention_window", "attention_scale", "score_cap", "logits_cap"), ANY
        ),
    ),
    "gpt_neox": Family(
        "GPTNeoXForCausalLM", "language_model", (gpt_neox.PARALLEL, PRE_LN),
        {
            **LANGUAGE_MODEL, "positions": ("rotary",), "bias": ("all", "feed_forward"),
            **dict.fromkeys(("norm_eps", "rotary_theta", "rotary_width"), ANY),
        },
        _gpt_neox, _gpt_neox_places,
    ),
    "gptj": Family(
        "GPTJForCausalLM", "language_model", (gpt_neox.PARALLEL,),
        {
            **LANGUAGE_MODEL, "positions": ("rotary",), "bias": ("feed_forward",), "output_bias": (True,),
            "rotary_interleaved": (True,), **dict.fromkeys(("norm_eps", "rotary_width"), ANY),
        },
        _gptj, _gptj_places, _two_norms,
    ),
}  # fmt: skip
"""Value of ``model_type`` -> how models are written as it."""
