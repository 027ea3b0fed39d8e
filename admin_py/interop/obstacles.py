"""What stands in the way of a model into a family of another library: each thing, by name."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from admin_py.base.checks import shown
from admin_py.interop.plain import form
from admin_py.model.config import TransformerConfig
from admin_py.model.embedding_norm import embedding_norm_of
from admin_py.model.rotary import THETA
from admin_py.schemes import Scheme

FREE = (
    "vocab_size", "encoder_layers", "decoder_layers", "d_model", "heads", "d_ff", "max_length", "scheme",
    "dropout", "attention_dropout", "activation_dropout", "qkv_fused_init", "init_gain",
)  # fmt: skip
"""Fields that may have any value: sizes, what is of training alone, and the scheme, which is told apart."""

ANY = object()
"""In place of the values that a field may have."""

Allowed = Mapping[str, Any]
"""Field -> tuple of the values that it may have, or ANY; what is not named must have its default."""


def meaning(config: TransformerConfig, name: str) -> Any:
    """The value of a field, as its default where it means the same."""
    value = getattr(config, name)
    if name == "attention_window":
        short = (one for stack in config.stacks for one in config.windows(stack))
        return value if any(one and one < config.max_length for one in short) else None
    if name == "embedding_norm":
        norms = {embedding_norm_of(value, stack) for stack in config.stacks}
        return norms.pop() if len(norms) == 1 else value
    same = {
        "embedding_scale": math.sqrt(config.d_model),
        "head_width": config.d_model / config.heads,
        "kv_heads": config.heads,
        "attention_scale": 1 / math.sqrt(config.width_of_heads),
        "rotary_width": config.width_of_heads,
        "rotary_theta": THETA,
    }
    return None if name in same and value == same[name] else value


def differing_fields(config: TransformerConfig, allowed: Allowed) -> list[str]:
    """The fields that have another value than is allowed, with it.

    Examples
    --------
    >>> config = TransformerConfig(vocab_size=9, gated=True, kv_heads=8, logits_cap=30.0)
    >>> differing_fields(config, {"gated": ANY})
    ['logits_cap=30.0']
    """
    found = []
    for field in dataclasses.fields(config):
        wanted = allowed.get(field.name, (field.default,))
        if field.name in FREE or wanted is ANY:
            continue
        if meaning(config, field.name) not in wanted:
            found.append(f"{field.name}={shown(getattr(config, field.name))}")
    return found


def differing_sublayers(config: TransformerConfig, wanted: Scheme) -> list[str]:
    """In what the sub-layers differ from those of a scheme: a line a field and value, with who has it.

    Examples
    --------
    >>> from admin_py.schemes import get
    >>> config = TransformerConfig(vocab_size=9, encoder_layers=2, decoder_layers=0, scheme="rezero_post_ln")
    >>> differing_sublayers(config, get("post_ln"))
    ["alpha=Scale('scalar', 0.0, trained=True, shared=True) of encoder.0.self_attn and 3 more"]
    """
    places: dict[str, list[str]] = {}
    for stack in config.stacks:
        rows = zip(config.sublayer_names(stack), config.sites(stack), config.residuals(stack), strict=True)
        for name, site, row in rows:
            theirs = form(wanted.residual(site))
            for field, value in form(row).items():
                if value != theirs[field]:
                    places.setdefault(f"{field}={value!r}", []).append(name)
        final = config.stack_scheme(stack).final_norm
        if final != wanted.final_norm:
            places.setdefault(f"final_norm={final!r}", []).append(f"the {stack}")
    return [f"{what} of {_some(names)}" for what, names in places.items()]


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def fewest(found: Iterable[list[str]]) -> list[str]:
    """Of several ways, what stands in that with the fewest obstacles."""
    return min(found, key=len)
