"""Llama, Mistral, Qwen 2, Qwen 3 and OLMo 2 as Hugging Face has them.

RMSNorm before each branch (of OLMo 2 after it) and at the end, rotary positions by halves, gated
feed-forward, heads that share keys and values; no biases but Qwen 2's on q, k and v. Qwen 3 has norms on the
queries and keys of each head, OLMo 2 on those of all heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from admin_py.interop.layer_names import LayerNames
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, need
from admin_py.model.config import TransformerConfig
from admin_py.schemes import Residual, Scheme, Site

KINDS = ("llama", "mistral", "qwen2", "qwen3", "olmo2")
"""Values of ``model_type``."""

MEANS_NOTHING = (r"(model\.)?layers\.\d+\.self_attn\.rotary_emb\.inv_freq",)
"""Wavelengths that the configuration tells, too."""

WITHIN = {
    **{f"self_attn.{part}": f"self_attn.{part}_proj" for part in "qkv"},
    "self_attn.out": "self_attn.o_proj",
    "feed_forward.fc1": "mlp.up_proj",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.fc2": "mlp.down_proj",
    "self_attn.norm": "input_layernorm",
    "self_attn.norm_q": "self_attn.q_norm",
    "self_attn.norm_k": "self_attn.k_norm",
    "feed_forward.norm": "post_attention_layernorm",
    "self_attn.norm_branch": "post_attention_layernorm",
    "feed_forward.norm_branch": "post_feedforward_layernorm",
}
"""Of a layer; ``norm_branch`` of OLMo 2, which has no norms before branches."""


class Windows(NamedTuple):
    """What a family has where its configuration does not say it."""

    used: bool = True
    window: int | None = 4096
    first: int = 0
    every: int = 1


WINDOWS = {
    "mistral": Windows(),
    "qwen2": Windows(used=False, first=28),
    "qwen3": Windows(used=False, first=28),
    "gemma2": Windows(every=2),
}
"""Families with windows of attention: layers from the first on, every one or every second."""

LAYER_TYPES = ("full_attention", "sliding_attention")

SCALING = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
"""Of Llama 3's rotary positions, in the order of ``rotary_scaling``."""


def _before_branches(site: Site) -> Residual:
    del site
    return Residual(norm_pre="rms")


PRE_RMS = Scheme(
    "pre_rms",
    _before_branches,
    source="Touvron et al., LLaMA, arXiv 2302.13971",
    final_norm="rms",
    summary="y = x + f(RMSNorm(x))",
)


def _after_branches(site: Site) -> Residual:
    del site
    return Residual(norm_branch="rms")


BRANCH_RMS = Scheme(
    "branch_rms",
    _after_branches,
    source="Team OLMo, 2 OLMo 2 Furious, arXiv 2501.00656",
    final_norm="rms",
    summary="y = x + RMSNorm(f(x))",
)


def prefix(source: Source) -> str:
    """Of all names but the output's."""
    return "model." if "model.embed_tokens.weight" in source else ""


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the configuration describes."""
    before = prefix(source)
    vocab_size, d_model = source.shape(f"{before}embed_tokens.weight")
    tied = source.are_one(f"{before}embed_tokens.weight", "lm_head.weight")
    heads = need(source, settings, "num_attention_heads")
    return TransformerConfig(
        vocab_size=vocab_size,
        encoder_layers=0,
        decoder_layers=source.layers(rf"{before}layers\.(\d+)\."),
        d_model=d_model,
        heads=heads,
        kv_heads=settings.get("num_key_value_heads"),
        head_width=settings.get("head_dim"),
        d_ff=source.shape(f"{before}layers.0.mlp.up_proj.weight")[0],
        scheme=BRANCH_RMS if settings.get("model_type") == "olmo2" else PRE_RMS,
        activation=activation_of(source, settings.get("hidden_act", "silu")),
        gated=True,
        bias=_biases(source, before),
        positions="rotary",
        max_length=need(source, settings, "max_position_embeddings"),
        attention_window=windows_of(source, settings, source.layers(rf"{before}layers\.(\d+)\.")),
        embedding_scale=1.0,
        share_embeddings="all" if tied else "none",
        norm_eps=settings.get("rms_norm_eps", 1e-6),
        dropout=0.0,
        attention_dropout=settings.get("attention_dropout", 0.0),
        **_qk_norm(source, before, heads),
        **_rotary(source, settings),
    )


def _qk_norm(source: Source, before: str, heads: int) -> dict[str, Any]:
    """Of queries and keys, where they have one: of each head, or of all together."""
    layer = f"{before}layers.0.self_attn"
    if f"{layer}.q_norm.weight" not in source:
        return {}
    features = source.shape(f"{layer}.q_proj.weight")[0]
    whole = source.shape(f"{layer}.q_norm.weight") == (features,)
    return {"qk_norm": "rms", "qk_norm_whole": whole and heads > 1}


def _biases(source: Source, before: str) -> str:
    """Which linear maps have one."""
    layer = f"{before}layers.0"
    maps = ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj")
    found = tuple(f"{layer}.{name}.bias" in source for name in maps)
    words = {
        (False, False, False): "none",
        (True, False, False): "qkv",
        (True, True, False): "attention",
        (False, False, True): "feed_forward",
        (True, True, True): "all",
    }
    if found not in words:
        with_bias = ", ".join(name for name, there in zip(maps, found, strict=True) if there)
        raise ValueError(f"{source.where} cannot be expressed: biases of {with_bias} alone")
    return words[found]


def windows_of(source: Source, settings: Mapping[str, Any], layers: int) -> Any:
    """Of each layer, by ``layer_types``; earlier configurations leave them to a rule of the family."""
    default = WINDOWS.get(str(settings.get("model_type")))
    window = settings.get("sliding_window", default.window) if default is not None else None
    if default is None or not window or not settings.get("use_sliding_window", default.used):
        return None
    types = settings.get("layer_types")
    if types is None:
        first = settings.get("max_window_layers", default.first)
        return [window if i >= first and (i - first) % default.every == 0 else None for i in range(layers)]
    unknown = [one for one in types if one not in LAYER_TYPES]
    if unknown or len(types) != layers:
        raise ValueError(
            f"{source.where} cannot be expressed: layer_types must be {' or '.join(LAYER_TYPES)} for each of "
            f"{layers} layers, got {types!r}"
        )
    return [window if one == "sliding_attention" else None for one in types]


def _rotary(source: Source, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Base and scaling; said in one entry, or in two by earlier versions."""
    told = dict(settings.get("rope_parameters") or settings.get("rope_scaling") or {})
    theta = told.get("rope_theta", settings.get("rope_theta", 10_000.0))
    kind = told.get("rope_type", told.get("type", "default"))
    if kind == "llama3":
        return {"rotary_theta": theta, "rotary_scaling": tuple(need(source, told, name) for name in SCALING)}
    if kind != "default" or told.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(f"{source.where} cannot be expressed: rotary positions of the kind {told!r}")
    return {"rotary_theta": theta}


def ends_of(before: str) -> dict[str, str]:
    """Where what lies in no layer lies; names begin with this."""
    return {
        "embedding.weight": f"{before}embed_tokens.weight",
        "decoder.norm_final": f"{before}norm",
        "output.weight": "lm_head.weight",
    }


def places(source: Source, config: TransformerConfig) -> LayerNames:
    """Where the tensors lie."""
    del config
    return names(prefix(source))


def names(before: str) -> LayerNames:
    """The same, of names that begin with this."""
    return LayerNames(ends_of(before), before + "layers.{layer}", WITHIN)
