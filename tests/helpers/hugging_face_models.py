"""Small models of Hugging Face's families, with random weights and awkward sizes."""

from __future__ import annotations

from typing import Any

import torch
import transformers

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
COMMON["gemma2"] = {
    **COMMON["llama"],
    "head_dim": 6,
    "sliding_window": 4,
    "query_pre_attn_scalar": 5,
    "pad_token_id": None,
}
COMMON["qwen3"] = {**COMMON["llama"], "head_dim": 6}

CLASSES = {
    "gpt2": "GPT2LMHeadModel",
    "opt": "OPTForCausalLM",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gpt_neox": "GPTNeoXForCausalLM",
    "gptj": "GPTJForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
}
"""Language models."""
TRANSLATORS = {"marian": "MarianMTModel", "m2m_100": "M2M100ForConditionalGeneration"}


def theirs(kind: str, **options: Any) -> Any:
    """A model with random weights, norms and biases included."""
    torch.manual_seed(5)
    config = transformers.AutoConfig.for_model(kind, **{**COMMON[kind], **options})
    model = getattr(transformers, {**CLASSES, **TRANSLATORS}[kind])(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:  # not Marian's sinusoids
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model
