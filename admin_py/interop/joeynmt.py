"""JoeyNMT's Transformers: Pre-LN or Post-LN, sinusoids with sines and cosines in turn, norms of eps 1e-6.

What the model is stands in ``config.yaml`` in the checkpoint's folder, under ``model``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.exact_math import exp, log
from admin_py.interop.fairseq import waves
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.pieces import Piece
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, need
from admin_py.model.config import STACKS, TransformerConfig
from admin_py.schemes import Residual, Scale, Scheme, Site, get

MEANS_NOTHING = ()

EPS = 1e-6
"""Of all norms."""

LONGEST = 5000
"""Positions, where the checkpoint has none."""

FEED_FORWARD = {
    "feed_forward.fc1": "feed_forward.pwff_layer.0",
    "feed_forward.fc2": "feed_forward.pwff_layer.3",
    "feed_forward.norm": "feed_forward.layer_norm",
}


def _attention(ours: str, theirs: str) -> dict[str, str]:
    parts = {f"{ours}.{part}": f"{theirs}.{part}_layer" for part in "qkv"}
    return {**parts, f"{ours}.out": f"{theirs}.output_layer"}


WITHIN: Mapping[str, Mapping[str, str]] = {
    "encoder": {
        **_attention("self_attn", "src_src_att"),
        "self_attn.norm": "layer_norm",
        **FEED_FORWARD,
    },
    "decoder": {
        **_attention("self_attn", "trg_trg_att"),
        **_attention("cross_attn", "src_trg_att"),
        "self_attn.norm": "x_layer_norm",
        "cross_attn.norm": "dec_layer_norm",
        **FEED_FORWARD,
    },
}
"""Of a layer of each stack."""

EMBEDDINGS = {"encoder": "src_embed.lut.weight", "decoder": "trg_embed.lut.weight"}
OUTPUT = "decoder.output_layer.weight"
FIRST = "encoder.layers.0.src_src_att.q_layer.weight"


def recognises(source: Source) -> bool:
    """Whether the tensors have JoeyNMT's names."""
    return FIRST in source


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the tensors and the configuration describe."""
    told = {stack: need(source, settings, stack) for stack in STACKS}
    for stack, one in told.items():
        if not isinstance(one, Mapping):
            raise TypeError(
                f"settings: {stack!r} must be a mapping, as in JoeyNMT's config.yaml, got {one!r}"
            )
    first, target = (EMBEDDINGS[stack] for stack in STACKS)
    vocab_size, d_model = source.shape(first)
    for name in (target, OUTPUT):
        if source.shape(name) != (vocab_size, d_model):
            raise ValueError(f"{source.where} cannot be expressed: {name!r} of another size than {first!r}")
    both = {(True, True): "all", (False, True): "decoder", (True, False): "inputs"}
    shared = source.are_one(first, target), source.are_one(target, OUTPUT)
    first_scheme, second_scheme = (_scheme(source, told[stack], stack) for stack in STACKS)
    dropout = told["encoder"].get("dropout", 0.1)
    scaled = _same(source, told, "embeddings", {}).get("scale", False)
    return TransformerConfig(
        vocab_size=vocab_size,
        encoder_layers=source.layers(r"encoder\.layers\.(\d+)\."),
        decoder_layers=source.layers(r"decoder\.layers\.(\d+)\."),
        d_model=d_model,
        heads=_same(source, told, "num_heads"),
        d_ff=source.shape("encoder.layers.0.feed_forward.pwff_layer.0.weight")[0],
        scheme=(first_scheme, second_scheme) if first_scheme != second_scheme else first_scheme,
        activation=activation_of(source, _same(source, told, "activation", "relu")),
        positions="learned",  # sinusoids that lie otherwise than ours
        max_length=source.shapes.get("encoder.pe.pe", (1, LONGEST))[1],
        embedding_scale=None if scaled else 1.0,
        share_embeddings=both.get(shared, "none"),
        norm_eps=EPS,
        dropout=dropout,
        attention_dropout=dropout,
        activation_dropout=dropout,
    )


def _same(source: Source, told: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """What is said of both stacks and must be the same; of embeddings, their scale."""
    found = [need(source, one, name) if default is None else one.get(name, default) for one in told.values()]
    compared = [one.get("scale", False) if isinstance(one, Mapping) else one for one in found]
    if compared[0] != compared[1]:
        raise ValueError(f"{source.where} cannot be expressed: {name} of the stacks differ, {found}")
    return found[0]


def _scheme(source: Source, told: Mapping[str, Any], stack: str) -> str | Scheme:
    """Where the norms stand; an encoder of which nothing is said is Pre-LN, without a norm at its end."""
    final = f"{stack}.layer_norm.weight" in source
    place = told.get("layer_norm", "pre" if final or stack == "encoder" else "post")
    alpha = float(told.get("alpha", 1.0))
    if place not in ("pre", "post"):
        raise ValueError(f"{source.where} cannot be expressed: layer_norm {place!r}")
    if alpha == 1.0 and final == (place == "pre"):
        return f"{place}_ln"
    if alpha == 1.0:
        rule = get(f"{place}_ln").rule
        return Scheme(f"joeynmt_{place}_ln", rule, source="JoeyNMT", final_norm="layer" if final else "none")

    def scaled(site: Site) -> Residual:
        del site
        norms = {f"norm_{place}": "layer"}
        return Residual(**norms, omega=Scale("scalar", alpha, trained=False))  # type: ignore[arg-type]

    name = f"joeynmt_{place}_ln_alpha"
    return Scheme(name, scaled, source="JoeyNMT, alpha", final_norm="layer" if final else "none")


def positions(count: int, width: int) -> NDArray[np.float64]:
    """JoeyNMT's positions [count, width]: of angles p 10000^(-2j / D) sine and cosine in turn.

    Examples
    --------
    >>> positions(2, 4).round(3).tolist()
    [[0.0, 1.0, 0.0, 1.0], [0.841, 0.54, 0.01, 1.0]]
    """
    frequencies = exp(-np.arange(width // 2, dtype=np.float64) * (2 * log(10_000.0) / width))
    pair = waves(np.arange(count, dtype=np.float64)[:, None] * frequencies)
    return np.stack(pair, axis=2).reshape(count, width)


def places(source: Source, config: TransformerConfig) -> Callable[[str], Piece | NDArray[np.float64]]:
    """Where the tensors lie; alphas are in the configuration alone."""
    ends: dict[str, Any] = {
        "embedding.weight": EMBEDDINGS["encoder"],
        "output.weight": OUTPUT,
    }
    for stack in STACKS:
        kept = f"{stack}.pe.pe"
        rows = source.take(kept)[0] if kept in source else positions(config.max_length, config.d_model)
        ends[f"{stack}.embedding.weight"] = EMBEDDINGS[stack]
        ends[f"{stack}.positions.weight"] = np.asarray(rows, np.float64)
        ends[f"{stack}.norm_final"] = f"{stack}.layer_norm"
    names = {stack: LayerNames(ends, "{stack}.layers.{layer}", WITHIN[stack]) for stack in STACKS}

    def place(name: str) -> Piece | NDArray[np.float64]:
        stack = name.partition(".")[0]
        if name.endswith(".omega"):
            index = config.sublayer_names(stack).index(name.removesuffix(".omega"))
            return np.full(1, config.residuals(stack)[index].omega.value)
        return names[stack if stack in names else "encoder"](name)

    return place
