"""torch.nn.Transformer, its encoder, its decoder and their layers, alone or within a larger model.

They read vectors, and so does a model here whose embeddings are those vectors: ``embedding`` of the settings
is an array, or the name of a tensor beside the stacks. Without it embeddings are the unit vectors. Where no
output is named the logits are the hidden states.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import check_array
from admin_py.interop import admin_torch
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.pieces import Piece, Places
from admin_py.interop.source import Source, as_array
from admin_py.interop.words import activation_of, need
from admin_py.model.config import STACKS, TransformerConfig
from admin_py.schemes import Residual, Scale, Scheme, Site, get

MEANS_NOTHING = ()

FIRST = re.compile(r"(.*?)(layers\.0\.)?linear1\.weight")
"""Of every stack, and of a layer alone."""

LATER = re.compile(r"(^|\.)layers\.[1-9]\d*\.$")
"""Where the names of a stack's other layers begin."""

LONGEST = 1024
"""Tokens, where positions do not say how many."""

ATTENTIONS = {"self_attn": "self_attn", "cross_attn": "multihead_attn"}


def _within(norms: Mapping[str, str]) -> dict[str, str | Piece]:
    found: dict[str, str | Piece] = {"feed_forward.fc1": "linear1", "feed_forward.fc2": "linear2"}
    for ours, theirs in ATTENTIONS.items():
        found |= {f"{ours}.{part}": Piece(f"{theirs}.in_proj", i, 3) for i, part in enumerate("qkv")}
        found[f"{ours}.out"] = f"{theirs}.out_proj"
    return found | {f"{kind}.norm": name for kind, name in norms.items()}


WITHIN: Mapping[bool, Mapping[str, str | Piece]] = {
    False: _within({"self_attn": "norm1", "feed_forward": "norm2"}),
    True: _within({"self_attn": "norm1", "cross_attn": "norm2", "feed_forward": "norm3"}),
}
"""Of a layer without cross-attention, and with it."""


class Stack(NamedTuple):
    """Where the names of a stack begin.

    Attributes
    ----------
    before : str
        Of the stack.
    alone : bool
        Whether it is one layer without a number.
    crosses : bool
        Whether it has cross-attention.
    """

    before: str
    alone: bool
    crosses: bool

    def layer(self, number: object) -> str:
        """What the names of a layer begin with."""
        return self.before if self.alone else f"{self.before}layers.{number}."


def stacks_of(source: Source, settings: Mapping[str, Any]) -> dict[str, Stack]:
    """The stacks of ours -> where theirs are.

    Raises
    ------
    ValueError
        If there are others than one, or an encoder and a decoder.
    """
    wanted = settings.get("prefix", "")
    found = []
    for name in source.shapes:
        match = FIRST.fullmatch(name)
        if match and match[1].startswith(wanted) and not LATER.search(match[1]):
            alone = match[2] is None
            layer = f"{match[1]}{match[2] or ''}"
            found.append(Stack(match[1], alone, f"{layer}multihead_attn.in_proj_weight" in source))
    crossing = [stack for stack in found if stack.crosses]
    plain = [stack for stack in found if not stack.crosses]
    if len(plain) > 1 or len(crossing) > 1 or not found:
        names = ", ".join(repr(stack.before) for stack in found) or "none"
        raise ValueError(
            f"{source.where} must have an encoder, a decoder or one of each, got those "
            f"that begin with {names}; give settings with prefix"
        )
    if settings.get("causal") and not crossing:
        return {"decoder": plain[0]}
    return {
        **({"encoder": plain[0]} if plain else {}),
        **({"decoder": crossing[0]} if crossing else {}),
    }


def recognises(source: Source) -> bool:
    """Whether the tensors have the names of torch.nn.Transformer's layers."""
    ends = ("linear1.weight", "self_attn.in_proj_weight")
    return all(any(name.endswith(end) for name in source.shapes) for end in ends)


def told_by(module: Any) -> dict[str, Any]:
    """What a module says of its layers, in the words of their constructors.

    Raises
    ------
    ValueError
        If its layers differ.
    """
    found = [
        _of_layer(part) for part in module.modules() if hasattr(part, "linear1") and hasattr(part, "norm1")
    ]
    for name in found[0] if found else ():
        if len({repr(one[name]) for one in found}) > 1:
            raise ValueError(f"the module {type(module).__name__} has layers of different {name}")
    return found[0] if found else {}


def _of_layer(layer: Any) -> dict[str, Any]:
    activation = getattr(layer, "activation", None)
    word = getattr(activation, "__name__", type(activation).__name__).lower()
    if word == "gelu" and getattr(activation, "approximate", "none") == "tanh":
        word = "gelu_pytorch_tanh"
    told = {
        "nhead": getattr(getattr(layer, "self_attn", None), "num_heads", None),
        "norm_first": getattr(layer, "norm_first", None),
        "activation": word,
        "layer_norm_eps": getattr(layer.norm1, "eps", None),
        "dropout": getattr(getattr(layer, "dropout", None), "p", None),
    }
    return {name: value for name, value in told.items() if value is not None}


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the tensors and what is said of them describe."""
    stacks = stacks_of(source, settings)
    one = next(iter(stacks.values()))
    first = one.layer(0)
    d_ff, d_model = source.shape(f"{first}linear1.weight")
    ends = Ends(source, settings, d_model)
    for stack in stacks.values():
        shape = source.shape(f"{stack.layer(0)}linear1.weight")
        if shape != (d_ff, d_model):
            raise ValueError(
                f"{source.where} cannot be expressed: layers of different sizes, {[d_ff, d_model]} and "
                f"{list(shape)}"
            )
    layers = {name: _layers(source, stack) for name, stack in stacks.items()}
    schemes = {name: _scheme(source, settings, stack) for name, stack in stacks.items()}
    if set(stacks) == {"decoder"} and one.crosses:
        # its memory passes through an encoder that changes nothing
        layers["encoder"], schemes["encoder"] = 1, PASSES
    dropout = settings.get("dropout", 0.1)
    return TransformerConfig(
        vocab_size=ends.vocab_size,
        encoder_layers=layers.get("encoder", 0),
        decoder_layers=layers.get("decoder", 0),
        d_model=d_model,
        heads=need(source, settings, "nhead"),
        d_ff=d_ff,
        scheme=tuple(schemes.get(name, "post_ln") for name in STACKS),  # type: ignore[arg-type]
        activation=activation_of(source, settings.get("activation", "relu")),
        bias="all" if f"{first}linear1.bias" in source else "none",
        output_bias="output_bias" in settings,
        positions="learned",
        max_length=len(ends.positions),
        embedding_scale=ends.scale,
        share_embeddings="none",
        norm_eps=settings.get("layer_norm_eps", 1e-5),
        dropout=dropout,
        attention_dropout=dropout,
        activation_dropout=dropout,
    )


def _layers(source: Source, stack: Stack) -> int:
    return 1 if stack.alone else source.layers(rf"{re.escape(stack.before)}layers\.(\d+)\.")


def _nothing(site: Site) -> Residual:
    del site
    return Residual(alpha=Scale("scalar", 0.0, trained=False))


PASSES = Scheme("passes", _nothing, source="torch.nn.TransformerDecoder, which reads its memory as it is")
"""Of layers that change nothing."""


def _scheme(source: Source, settings: Mapping[str, Any], stack: Stack) -> str | Scheme:
    """Post-LN or Pre-LN; torch.nn.Transformer has a final norm with either. Or with admin-torch's omegas."""
    name = "pre_ln" if need(source, settings, "norm_first") else "post_ln"
    name = admin_torch.scheme_of(source, stack.layer(0), name) or name
    final = f"{stack.before}norm.weight" in source and not stack.alone
    if final == (name == "pre_ln"):
        return name
    word = "with" if final else "without"
    rule = get(name).rule
    return Scheme(
        f"{name}_{word}_final_norm",
        rule,
        source="torch.nn.Transformer",
        final_norm="layer" if final else "none",
    )


class Ends:
    """Embeddings, positions and output: named, given or the unit vectors; rows of 0 where there are too few.

    Parameters
    ----------
    source : Source
    settings : mapping
        Of which ``embedding``, ``target_embedding``, ``output``, ``output_bias`` and ``positions`` are names
        of tensors or arrays, ``embedding_scale`` and ``max_length`` numbers.
    width : int
        D.
    """

    def __init__(self, source: Source, settings: Mapping[str, Any], width: int) -> None:
        self.source, self.width = source, width
        unit = np.eye(width)
        self.embedding = self._table("embedding", settings, unit)
        self.target = self._table("target_embedding", settings, self.embedding)
        self.output = self._table("output", settings, unit)
        self.vocab_size = max(len(one) for one in (self.embedding, self.target, self.output))
        if "output" in settings and len(self.output) < self.vocab_size:
            raise ValueError(
                f"{source.where} cannot be expressed: an output of {len(self.output)} tokens and embeddings "
                f"of {self.vocab_size}"
            )
        none = np.zeros((settings.get("max_length", LONGEST), width))
        self.positions = self._table("positions", settings, none)
        self.scale = float(settings.get("embedding_scale", 1.0))

    def read(self, name: str, settings: Mapping[str, Any]) -> NDArray[np.float64]:
        """What a setting names, without dimensions of one row."""
        given = settings[name]
        if isinstance(given, str):
            return np.asarray(np.squeeze(self.source.take(given)), np.float64)
        array = as_array(name, given) if hasattr(given, "detach") else check_array(name, given)
        return np.asarray(array, np.float64)

    def _table(self, name: str, settings: Mapping[str, Any], default: NDArray[Any]) -> NDArray[np.float64]:
        if name not in settings:
            return default
        found = self.read(name, settings)
        if found.ndim != 2 or found.shape[1] != self.width:
            raise ValueError(
                f"{self.source.where}: {name} of the settings must be of {self.width} columns, got shape "
                f"{list(found.shape)}"
            )
        return found

    def filled(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """With rows of 0 up to the vocabulary."""
        return np.concatenate([table, np.zeros((self.vocab_size - len(table), self.width))])


class Names:
    """Where the tensors lie; made for one source.

    Parameters
    ----------
    source : Source
    config : TransformerConfig
        The model's.
    """

    def __init__(self, source: Source, config: TransformerConfig) -> None:
        self.source, self.config = source, config
        self.stacks = stacks_of(source, source.settings)
        ends = Ends(source, source.settings, config.d_model)
        values: dict[str, Any] = {
            "embedding.weight": ends.filled(ends.embedding),
            "encoder.embedding.weight": ends.filled(ends.embedding),
            "decoder.embedding.weight": ends.filled(ends.target),
            "output.weight": ends.filled(ends.output),
        }
        if config.output_bias:
            values["output.bias"] = ends.read("output_bias", source.settings)
        for name in STACKS:
            values[f"{name}.positions.weight"] = ends.positions
        if config.encoder_layers and "encoder" not in self.stacks:  # memory is read as it is
            values["encoder.embedding.weight"] = ends.filled(ends.embedding) / ends.scale
            values["encoder.positions.weight"] = np.zeros_like(ends.positions)
        self.ends = values

    def __call__(self, name: str) -> Piece | NDArray[np.float64]:
        """The place of a parameter of ours, or its values."""
        stack = name.partition(".")[0]
        if name in self.ends:
            return np.asarray(self.ends[name], np.float64)
        if stack not in self.stacks:  # the encoder that changes nothing
            return np.zeros(self._shape(name))
        theirs = self.stacks[stack]
        if name.endswith(".omega"):
            _, layer, kind, _ = name.split(".")
            return Piece(admin_torch.omega_of(self.source, theirs.layer(layer), kind))
        ends = {f"{stack}.norm_final": f"{theirs.before}norm"}
        within = WITHIN[theirs.crosses]
        piece = LayerNames(ends, theirs.layer("{layer}").rstrip("."), within)(name)
        assert isinstance(piece, Piece)
        if name.endswith(".nu") and self.config.bias == "none":
            return np.zeros(self.config.d_model)
        return piece._replace(name=piece.name.replace(".in_proj.", ".in_proj_").lstrip("."))

    def _shape(self, name: str) -> tuple[int, ...]:
        """Of a parameter of the encoder that changes nothing."""
        d, f = self.config.d_model, self.config.d_ff
        if name.endswith("alpha"):
            return (1,)
        sizes = {"fc1.weight": (f, d), "fc1.bias": (f,), "fc2.weight": (d, f)}
        last = ".".join(name.split(".")[-2:])
        return sizes.get(last, (d, d) if name.endswith("weight") else (d,))


def places(source: Source, config: TransformerConfig) -> Places:
    """Where the tensors lie."""
    return Names(source, config)
