"""Models of fairseq, and of Transformer-Clinic, the paper's release, which is a fork of it.

Layers that fairseq's ``transformer`` and ``transformer_lm`` have had under several names: q, k and v apart or
in one matrix, norms by name or by number, the output as ``output_projection`` or ``embed_out``. In
Transformer-Clinic a layer also has Admin's omegas (``attention_ratio_change``, ...) or ReZero's alpha.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.exact_math import cos_turns, exp, log
from admin_py.interop import admin_torch
from admin_py.interop.layer_names import WORDS
from admin_py.interop.pieces import Piece, Places
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, refuse
from admin_py.model.config import STACKS, TransformerConfig
from admin_py.schemes import Scheme, get

MEANS_NOTHING = (r".*\.version", r".*\.embed_positions\._float_tensor", r"num_updates")
"""Buffers that hold no weights."""

ATTENTIONS = {"self_attn": "self_attn", "cross_attn": "encoder_attn"}
NORMS = {
    "self_attn": "self_attn_layer_norm",
    "cross_attn": "encoder_attn_layer_norm",
    "feed_forward": "final_layer_norm",
}
OMEGAS = {
    "encoder": {"self_attn": "attention_ratio_change", "feed_forward": "fc_ratio_change"},
    "decoder": {
        "self_attn": "self_ratio_change",
        "cross_attn": "encoder_ratio_change",
        "feed_forward": "fc_ratio_change",
    },
}
"""Of Admin's layers in Transformer-Clinic."""

REZERO = "rezero_weight"
EMBEDDING_NORM = "layernorm_embedding"
WITHIN = {
    **{
        f"{ours}.{part}": f"{theirs}.{part}_proj"
        for ours, theirs in ATTENTIONS.items()
        for part in ("q", "k", "v", "out")
    },
    **{f"{kind}.norm": name for kind, name in NORMS.items()},
    "feed_forward.fc1": "fc1",
    "feed_forward.fc2": "fc2",
}
"""Of a layer, by the names of later versions, which other libraries took over."""

FIRST_POSITION = 2
"""Row of position 0: that after padding's, whose id is 1."""

UNKNOWN = {
    "adaptive_input": "adaptive input embeddings",
    "adaptive_softmax_cutoff": "an adaptive softmax",
    "cross_self_attention": "attention to source and target at once",
    "no_cross_attention": "a decoder beside an encoder that it does not read",
    "character_embeddings": "embeddings of characters",
    "quant_noise_pq": "quantisation",
}
"""Settings that a model of this package cannot have, and what they mean."""


def recognises(source: Source) -> bool:
    """Whether the tensors have fairseq's names."""
    return any(f"{stack}.layers.0.fc1.weight" in source for stack in STACKS)


class Names:
    """Where fairseq, in whichever version, keeps what; made for one source.

    Parameters
    ----------
    source : Source
    config : TransformerConfig
        The model's.
    """

    def __init__(self, source: Source, config: TransformerConfig) -> None:
        self.source = source
        self.config = config

    def __call__(self, name: str) -> Piece | NDArray[np.float64]:
        """The place of a parameter of ours, or its values."""
        if name in (
            "embedding.weight",
            "output.weight",
            "encoder.embedding.weight",
            "decoder.embedding.weight",
        ):
            return Piece(embedding_of(self.source, name))
        stack, _, rest = name.partition(".")
        if rest == "positions.weight":
            learned = f"{stack}.embed_positions.weight"
            if learned in self.source:
                return Piece(learned, skip=FIRST_POSITION)
            return sinusoids(self.config.max_length, self.config.d_model)
        if rest.startswith("norm_final."):
            return Piece(f"{stack}.layer_norm.{WORDS[rest.rpartition('.')[2]]}")
        if rest.startswith("norm_embedding."):
            return Piece(f"{stack}.{EMBEDDING_NORM}.{WORDS[rest.rpartition('.')[2]]}")
        layer, _, rest = rest.partition(".")
        before = f"{stack}.layers.{layer}"
        if rest == "alpha":
            return Piece(f"{before}.{REZERO}")
        kind, _, rest = rest.partition(".")
        if rest == "omega":
            theirs = f"{before}.{OMEGAS[stack][kind]}"
            return Piece(
                theirs if theirs in self.source else admin_torch.omega_of(self.source, f"{before}.", kind)
            )
        if rest.startswith("norm_"):
            return Piece(f"{before}.{self.norm(before, kind)}.{WORDS[rest.rpartition('.')[2]]}")
        if kind == "feed_forward":
            return Piece(f"{before}.{rest}")
        part, _, what = rest.partition(".")
        return self.attention(f"{before}.{ATTENTIONS[kind]}", part, what)

    def norm(self, before: str, kind: str) -> str:
        """By name, or in old versions by number."""
        if f"{before}.layer_norms.0.weight" not in self.source:
            return NORMS[kind]
        number = {"self_attn": 0, "cross_attn": 1}.get(kind)
        if number is None:
            number = 2 if f"{before}.layer_norms.2.weight" in self.source else 1
        return f"layer_norms.{number}"

    def attention(self, before: str, part: str, what: str) -> Piece:
        """q, k and v have a matrix each, or are one; DeepNet's release has their biases in one vector."""
        if part == "out":
            return Piece(f"{before}.out_proj.{what}")
        number = "qkv".index(part)
        for name, parts in (
            (f"{before}.{part}_proj.{what}", 1),
            (f"{before}.{part}_proj_{what}", 1),
            (f"{before}.in_proj_{what}", 3),
        ):
            if name in self.source:
                return Piece(name, number if parts == 3 else 0, parts)
        return Piece(f"{before}.{part}_proj.{what}")


def places(source: Source, config: TransformerConfig) -> Places:
    """Where the tensors lie."""
    return Names(source, config)


def embedding_of(source: Source, ours: str) -> str:
    """Of source, target or output; one matrix that is several of them is read under its first name."""
    output = ("decoder.output_projection.weight", "decoder.embed_out", "decoder.embed_tokens.weight")
    wanted = {
        "output.weight": output,
        "decoder.embedding.weight": ("decoder.embed_tokens.weight",),
    }.get(ours, ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"))
    return next((name for name in wanted if name in source), wanted[0])


def sinusoids(count: int, width: int, first: int = FIRST_POSITION) -> NDArray[np.float64]:
    """fairseq's positions [count, width], which begin with number `first`: sines, then cosines.

    Examples
    --------
    >>> sinusoids(2, 4).round(3).tolist()
    [[0.909, 0.0, -0.416, 1.0], [0.141, 0.0, -0.99, 1.0]]
    """
    half = width // 2
    frequencies = exp(-np.arange(half, dtype=np.float64) * (log(10_000.0) / max(half - 1, 1)))
    sines, cosines = waves(np.arange(first, first + count)[:, None] * frequencies)
    return np.concatenate([sines, cosines, np.zeros((count, width % 2))], axis=1)


def waves(angles: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sines and cosines, the same on every machine."""
    turns = angles / (2 * np.pi)
    turns -= np.round(turns)
    return cos_turns(turns - 0.25), cos_turns(turns)


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the tensors and what is said of them describe.

    Raises
    ------
    ValueError
        If it is not said how many heads there are, or a part of it cannot be expressed, by name.
    """
    refuse(source, settings, UNKNOWN)
    layers = {stack: source.layers(rf"{stack}\.layers\.(\d+)\.") for stack in STACKS}
    stacks = [stack for stack in STACKS if layers[stack]]
    vocab_size, d_model = _same(
        source,
        {name: source.shapes[name] for stack in stacks if (name := f"{stack}.embed_tokens.weight") in source},
    )
    d_ff = _same(
        source,
        {name: source.shape(name)[:1] for name in (f"{stack}.layers.0.fc1.weight" for stack in stacks)},
    )[0]
    learned = {name: source.shapes[name] for s in stacks if (name := f"{s}.embed_positions.weight") in source}
    if learned and len(learned) < len(stacks):
        raise ValueError(
            f"{source.where} cannot be expressed: only {', '.join(learned)} has learned positions"
        )
    if settings.get("no_token_positional_embeddings"):
        raise ValueError(f"{source.where} cannot be expressed: it has no positions")
    return TransformerConfig(
        vocab_size=vocab_size,
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        d_model=d_model,
        d_ff=d_ff,
        heads=_heads(source, settings, stacks),
        scheme=_scheme(source, settings, stacks),
        activation=activation_of(source, settings.get("activation_fn", "relu")),
        positions="learned",  # sinusoids too: ours begin at 0, fairseq's at 2
        max_length=_same(source, learned)[0] - FIRST_POSITION if learned else _longest(settings),
        embedding_scale=1.0 if settings.get("no_scale_embedding") else None,
        embedding_norm=_embedding_norm(source, stacks),
        share_embeddings=_shared(source, stacks),
        dropout=settings.get("dropout", 0.1),
        attention_dropout=settings.get("attention_dropout", 0.0),
        activation_dropout=settings.get("activation_dropout") or settings.get("relu_dropout") or 0.0,
    )


def _same(source: Source, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The one shape that several tensors have."""
    if not shapes:
        raise ValueError(f"{source.where} has no encoder.embed_tokens.weight or decoder.embed_tokens.weight")
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ValueError(
            f"{source.where} cannot be expressed: both stacks must have the same sizes, got {told}"
        )
    return next(iter(shapes.values()))


def _heads(source: Source, settings: Mapping[str, Any], stacks: list[str]) -> int:
    found = {name: settings[name] for s in stacks if (name := f"{s}_attention_heads") in settings}
    if not found:
        names = " and ".join(f"{stack}_attention_heads" for stack in stacks)
        raise ValueError(f"{source.where} does not say how many heads there are: give settings with {names}")
    if len(set(found.values())) > 1:
        raise ValueError(f"{source.where} cannot be expressed: stacks of different heads, {found}")
    return int(next(iter(found.values())))


def _longest(settings: Mapping[str, Any]) -> int:
    names = ("max_source_positions", "max_target_positions", "tokens_per_sample")
    return max([int(settings[name]) for name in names if settings.get(name)], default=1024)


def _embedding_norm(source: Source, stacks: list[str]) -> tuple[str, str]:
    there = {stack: f"{stack}.{EMBEDDING_NORM}.weight" in source for stack in stacks}
    first, second = ("layer" if there.get(stack) else "none" for stack in STACKS)
    return first, second


def _shared(source: Source, stacks: list[str]) -> str:
    """Which embeddings are one matrix: those that hold the same numbers."""
    target, output = (embedding_of(source, ours) for ours in ("decoder.embedding.weight", "output.weight"))
    if "decoder" not in stacks:
        return "all"
    tied = target == output or source.are_one(target, output)
    if "encoder" not in stacks:
        return "all" if tied else "none"
    first = embedding_of(source, "embedding.weight")
    inputs = source.are_one(first, target)
    return {(True, True): "all", (False, True): "decoder", (True, False): "inputs"}.get(
        (inputs, tied), "none"
    )


def _scheme(source: Source, settings: Mapping[str, Any], stacks: list[str]) -> Any:
    found = [_stack_scheme(source, settings, stack) for stack in stacks]
    return found[0] if len(found) == 1 or found[0] == found[1] else tuple(found)


def _stack_scheme(source: Source, settings: Mapping[str, Any], stack: str) -> str | Scheme:
    """Post-LN or Pre-LN, by the norm at the end of the stack; Admin and ReZero by their parameters."""
    before = f"{stack}.layers.0"
    if f"{before}.{REZERO}" in source:
        return "rezero_post_ln" if any("norm" in name for name in source.shapes) else "rezero"
    if f"{before}.{OMEGAS[stack]['feed_forward']}" in source:
        return "admin"
    final = f"{stack}.layer_norm.weight" in source
    if not settings.get(f"{stack}_normalize_before", final):
        return admin_torch.scheme_of(source, f"{before}.", "post_ln") or "post_ln"
    if final:
        return "pre_ln"
    return Scheme("pre_ln_without_final_norm", get("pre_ln").rule, source="fairseq, no_decoder_final_norm")
