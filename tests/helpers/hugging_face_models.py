"""Small models of Hugging Face's families, with random weights and awkward sizes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import transformers
from transformers.models.fsmt import modeling_fsmt

COMMON: dict[str, dict[str, Any]] = {
    "gpt2": {"vocab_size": 19, "n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 30},
    "opt": {
        "vocab_size": 19, "hidden_size": 12, "num_hidden_layers": 2, "ffn_dim": 20, "num_attention_heads": 3,
        "max_position_embeddings": 30, "word_embed_proj_dim": 12,
    },
    "llama": {
        "vocab_size": 19, "hidden_size": 12, "num_hidden_layers": 2, "intermediate_size": 20,
        "num_attention_heads": 3, "num_key_value_heads": 1, "max_position_embeddings": 30,
    },
}  # fmt: skip
COMMON["marian"] = COMMON["m2m_100"] = {
    "vocab_size": 19, "d_model": 12, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 3,
    "decoder_attention_heads": 3, "encoder_ffn_dim": 20, "decoder_ffn_dim": 20, "max_position_embeddings": 30,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip
COMMON["gptj"] = {
    "vocab_size": 19, "n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 30, "rotary_dim": 2,
}  # fmt: skip
COMMON["gpt_neox"] = {
    "vocab_size": 19, "hidden_size": 12, "num_hidden_layers": 2, "intermediate_size": 20,
    "num_attention_heads": 3, "max_position_embeddings": 30, "rotary_pct": 0.5,
}  # fmt: skip
COMMON["mistral"] = COMMON["qwen2"] = COMMON["olmo2"] = COMMON["llama"]
COMMON["gemma"] = {**COMMON["llama"], "head_dim": 6, "pad_token_id": None}
COMMON["gemma2"] = {
    **COMMON["llama"],
    "head_dim": 6,
    "sliding_window": 4,
    "query_pre_attn_scalar": 5,
    "pad_token_id": None,
}
COMMON["qwen3"] = {**COMMON["llama"], "head_dim": 6}
COMMON["bart"] = COMMON["mbart"] = {**COMMON["marian"], "decoder_start_token_id": 2}
COMMON["fsmt"] = {
    **{name: value for name, value in COMMON["bart"].items() if name != "vocab_size"},
    "src_vocab_size": 19, "tgt_vocab_size": 19, "langs": ["a", "b"],
}  # fmt: skip
COMMON["bert"] = COMMON["electra"] = {
    "vocab_size": 19, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
    "intermediate_size": 20, "max_position_embeddings": 30, "embedding_size": 12,
}  # fmt: skip
COMMON["roberta"] = COMMON["xlm-roberta"] = COMMON["camembert"] = {**COMMON["bert"], "pad_token_id": 1}
COMMON["distilbert"] = {
    "vocab_size": 19, "dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20, "max_position_embeddings": 30,
}  # fmt: skip

CLASSES = {
    "gpt2": "GPT2LMHeadModel",
    "opt": "OPTForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma": "GemmaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gpt_neox": "GPTNeoXForCausalLM",
    "gptj": "GPTJForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
}
"""Language models."""
TRANSLATORS = {
    "marian": "MarianMTModel",
    "m2m_100": "M2M100ForConditionalGeneration",
    "bart": "BartForConditionalGeneration",
    "mbart": "MBartForConditionalGeneration",
    "fsmt": "FSMTForConditionalGeneration",
}
ENCODERS = {
    "bert": "BertModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
    "camembert": "CamembertModel",
    "electra": "ElectraModel",
    "distilbert": "DistilBertModel",
}


def _filled(t: torch.Tensor) -> torch.Tensor:
    return t.fill_(torch.finfo(t.dtype).min)


modeling_fsmt.fill_with_neg_inf = (
    _filled  # theirs goes by way of float32, in which float64's least is no number
)


@contextmanager
def without_float32() -> Iterator[None]:
    """Models that are made and called within compute norms, angles and the softmax in their type as well."""
    usual = torch.get_default_dtype()
    names = patch.multiple(torch, float32=torch.float64, float=torch.float64)
    with names, patch.object(torch.Tensor, "float", torch.Tensor.double):
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(usual)


def theirs(kind: str, name: str = "", **options: Any) -> Any:
    """A model with random weights, norms and biases included; by `name` of another class than usual."""
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(kind, **{**COMMON[kind], **options})
    model = (
        getattr(transformers, name or {**CLASSES, **TRANSLATORS, **ENCODERS}[kind])(config).double().eval()
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:  # not the sinusoids
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model
