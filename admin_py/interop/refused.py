"""What models of other libraries have that cannot be expressed here: by name, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

RELATIVE = "relative positions, numbers that are added to scores of attention for each distance"
ALIBI = "ALiBi, scores of attention that fall with the distance"
EXPERTS = "mixtures of experts, feed-forwards that a router chooses for each token"
LATENT = "latent attention (MLA), keys and values from a narrow vector that all heads share"
STATES = "state spaces or recurrences in the place of attention"
SHARED = "layers that share their weights"
HASHED = "attention that sees a part of the tokens, by hashes or blocks"

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("t5", "mt5", "umt5", "longt5", "pop2piano", "udop"), RELATIVE),
    **dict.fromkeys(("deberta", "deberta-v2", "xlnet", "transfo-xl", "mpnet", "nezha"), RELATIVE),
    **dict.fromkeys(("bloom", "mpt"), ALIBI),
    **dict.fromkeys(
        (
            "mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "dbrx", "granitemoe", "phimoe", "gpt_oss", "llama4",
            "switch_transformers", "nllb-moe", "jetmoe", "ernie4_5_moe", "glm4_moe", "hunyuan_v1_moe",
        ),
        EXPERTS,
    ),
    **dict.fromkeys(("deepseek_v2", "deepseek_v3", "minicpm3", "longcat_flash"), LATENT),
    **dict.fromkeys(
        (
            "mamba", "mamba2", "falcon_mamba", "jamba", "bamba", "zamba", "zamba2", "rwkv", "recurrent_gemma",
            "qwen3_next", "lfm2",
        ),
        STATES,
    ),
    "albert": SHARED,
    **dict.fromkeys(("reformer", "longformer", "led", "big_bird", "bigbird_pegasus"), HASHED),
}  # fmt: skip
"""Value of ``model_type`` -> what it has that cannot be expressed."""

PARTS: Mapping[str, tuple[str, ...]] = {
    RELATIVE: (
        "relative_attention_bias",
        "rel_embeddings",
        "pos_key_proj",
        "pos_proj",
        "r_w_bias",
        "r_r_bias",
    ),
    EXPERTS: ("experts", "block_sparse_moe", "moe_layer", "shared_expert"),
    LATENT: ("kv_a_proj_with_mqa", "kv_b_proj"),
    STATES: ("A_log", "time_decay", "conv1d"),
}
"""What cannot be expressed -> parts of the names of tensors that tell it."""

SETTINGS: Mapping[str, str] = {
    "alibi": ALIBI,
    "use_alibi": ALIBI,
    "relative_attention": RELATIVE,
    "kv_lora_rank": LATENT,
    "num_local_experts": EXPERTS,
    "num_experts": EXPERTS,
    "n_routed_experts": EXPERTS,
}
"""Setting that is there and is neither false nor 0 -> the same."""


def reason(settings: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """What of a model cannot be expressed, and where that shows; None where nothing does.

    Examples
    --------
    >>> reason({"model_type": "bloom"}, [])
    "ALiBi, scores of attention that fall with the distance: it is of the kind 'bloom'"
    >>> reason({}, ["layers.0.mlp.experts.3.w1.weight"])
    "mixtures of experts, ... chooses for each token: it has the tensor 'layers.0.mlp.experts.3.w1.weight'"
    >>> reason({"model_type": "llama"}, ["layers.0.mlp.up_proj.weight"]) is None
    True
    """
    kind = settings.get("model_type")
    if isinstance(kind, str) and kind in KINDS:
        return f"{KINDS[kind]}: it is of the kind {kind!r}"
    for setting, what in SETTINGS.items():
        if settings.get(setting):
            return f"{what}: its {setting} is {settings[setting]!r}"
    for name in names:
        for what, parts in PARTS.items():
            if not set(parts).isdisjoint(name.split(".")):
                return f"{what}: it has the tensor {name!r}"
    return None
