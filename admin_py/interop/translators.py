"""Encoder-decoders of Hugging Face whose layers are fairseq's: Marian, Pegasus, M2M100, BART, mBART, FSMT."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.base.exact_math import exp, log
from admin_py.interop.fairseq import FIRST_POSITION, WITHIN, sinusoids, waves
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.pieces import Piece
from admin_py.interop.source import Source
from admin_py.interop.words import activation_of, need
from admin_py.model.config import STACKS, TransformerConfig

MEANS_NOTHING = (r"(model\.)?(encoder|decoder)\.embed_positions\.weights",)

HEADS = (r"(classification_head|qa_outputs)\..*",)
"""What is trained on top of the decoder."""

SHARED, OUTPUT, BIAS = "model.shared.weight", "lm_head.weight", "final_logits_bias"


def marian_positions(count: int, width: int) -> NDArray[np.float64]:
    """Marian's positions [count, width]: of angles p 10000^(-2j / D) first the sines, then the cosines.

    Examples
    --------
    >>> marian_positions(2, 4).round(3).tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.841, 0.01, 0.54, 1.0]]
    """
    frequencies = exp(-np.arange((width + 1) // 2, dtype=np.float64) * (2 * log(10_000.0) / width))
    sines, cosines = waves(np.arange(count, dtype=np.float64)[:, None] * frequencies)
    return np.concatenate([sines, cosines], axis=1)[:, :width]


class Family(NamedTuple):
    """What distinguishes one kind from the others.

    Attributes
    ----------
    scheme : str
    activation : str
        Where nothing is said.
    scaled : bool
        Whether embeddings are multiplied by sqrt(D), where nothing is said.
    positions : callable, optional
        From how many and their width to sinusoids; learned where there is none.
    first : int
        Row of position 0 in the table of positions, where there is one.
    embedding_norm : bool
        Whether there is a norm on embeddings.
    output : str
        The output embedding, where it is a matrix of its own.
    """

    scheme: str
    activation: str
    scaled: bool
    positions: Callable[[int, int], NDArray[np.float64]] | None
    first: int = FIRST_POSITION
    embedding_norm: bool = False
    output: str = OUTPUT


FAMILIES: Mapping[str, Family] = {
    "marian": Family("post_ln", "gelu", False, marian_positions, first=0),
    "pegasus": Family("pre_ln", "gelu", False, marian_positions, first=0),
    "m2m_100": Family("pre_ln", "relu", True, sinusoids),
    "bart": Family("post_ln", "gelu", False, None, embedding_norm=True),
    "mbart": Family("pre_ln", "gelu", False, None, embedding_norm=True),
    "fsmt": Family("post_ln", "relu", True, sinusoids, output="model.decoder.output_projection.weight"),
}
"""Value of ``model_type`` -> how it is read."""


class Translator:
    """How one kind is read.

    Parameters
    ----------
    kind : str
        Of `FAMILIES`.
    """

    def __init__(self, kind: str) -> None:
        self.kind, self.family = kind, FAMILIES[kind]

    def config_of(self, source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
        """The model that the configuration describes."""
        family, before = self.family, prefix(source)
        first, target = (_embedding(source, stack) for stack in STACKS)
        vocab_size, d_model = source.shape(first)
        for name in (target, self.output(source)):
            if source.shapes.get(name, (vocab_size, d_model)) != (vocab_size, d_model):
                raise ValueError(
                    f"{source.where} cannot be expressed: {name!r} of another size than {first!r}"
                )
        inputs, tied = source.are_one(first, target), source.are_one(target, self.output(source))
        if f"{before}shared.weight" not in (first, target):
            source.pass_over((re.escape(f"{before}shared.weight"),))  # both stacks have their own
        both = {(True, True): "all", (False, True): "decoder", (True, False): "inputs"}
        layers = {s: source.layers(rf"{re.escape(before)}{s}\.layers\.(\d+)\.") for s in STACKS}
        return TransformerConfig(
            vocab_size=vocab_size,
            encoder_layers=layers["encoder"],
            decoder_layers=layers["decoder"],
            d_model=d_model,
            heads=_one(source, settings, "attention_heads"),
            d_ff=_one(source, settings, "ffn_dim"),
            scheme=family.scheme,
            activation=activation_of(source, settings.get("activation_function", family.activation)),
            positions="learned",  # sinusoids too, which begin elsewhere than ours
            max_length=self.max_length(source, settings),
            embedding_scale=None if settings.get("scale_embedding", family.scaled) else 1.0,
            embedding_norm="layer" if family.embedding_norm else "none",
            share_embeddings=both.get((inputs, tied), "none"),
            output_bias=BIAS in source,
            dropout=settings.get("dropout", 0.1),
            attention_dropout=settings.get("attention_dropout", 0.0),
            activation_dropout=settings.get("activation_dropout", 0.0),
        )

    def output(self, source: Source) -> str:
        """Name of the output embedding, where it has one of its own."""
        name = self.family.output
        return name if prefix(source) else name.removeprefix("model.")

    def max_length(self, source: Source, settings: Mapping[str, Any]) -> int:
        """Tokens for which there are positions."""
        if self.family.positions is not None:
            return int(need(source, settings, "max_position_embeddings"))
        lengths = {source.shape(f"{prefix(source)}{stack}.embed_positions.weight")[0] for stack in STACKS}
        if len(lengths) > 1:
            raise ValueError(f"{source.where} cannot be expressed: stacks of different lengths, {lengths}")
        return lengths.pop() - self.family.first

    def places(self, source: Source, config: TransformerConfig) -> LayerNames:
        """Where the tensors lie."""
        before, (first, target) = prefix(source), (_embedding(source, stack) for stack in STACKS)
        embeddings = {"": first, "encoder.": first, "decoder.": target}
        positions = {stack: self.positions(source, config, stack) for stack in STACKS}
        bias = {"output.bias": np.asarray(source.take(BIAS)[0], np.float64)} if BIAS in source else {}
        return names(before, embeddings, positions, {"output.weight": self.output(source), **bias})

    def positions(self, source: Source, config: TransformerConfig, stack: str) -> Piece | NDArray[np.float64]:
        """Of a stack: those that are kept beside the weights, where they are, else computed."""
        kept = f"{prefix(source)}{stack}.embed_positions.weight"
        if kept in source or self.family.positions is None:
            return Piece(kept, skip=self.family.first)
        return self.family.positions(config.max_length, config.d_model)


def names(
    before: str,
    embeddings: Mapping[str, str],
    positions: Mapping[str, str | Piece | NDArray[np.float64]],
    output: Mapping[str, Any],
) -> LayerNames:
    """Where the tensors lie, of names that begin with this; embeddings and positions by stack."""
    ends: dict[str, Any] = {f"{stack}embedding.weight": name for stack, name in embeddings.items()}
    for stack in STACKS:
        ends[f"{stack}.positions.weight"] = positions[stack]
        ends[f"{stack}.norm_embedding"] = f"{before}{stack}.layernorm_embedding"
        ends[f"{stack}.norm_final"] = f"{before}{stack}.layer_norm"
    return LayerNames({**ends, **output}, before + "{stack}.layers.{layer}", WITHIN)


def prefix(source: Source) -> str:
    """Of all names but the output's: a model without an output has none."""
    return "" if any(name.startswith("encoder.") for name in source.shapes) else "model."


def _embedding(source: Source, stack: str) -> str:
    """Name of a stack's embedding: its own, or the one that both share."""
    own = f"{prefix(source)}{stack}.embed_tokens.weight"
    return own if own in source else f"{prefix(source)}shared.weight"


def _one(source: Source, settings: Mapping[str, Any], name: str) -> int:
    """A size that both stacks must have."""
    found = [int(need(source, settings, f"{stack}_{name}")) for stack in STACKS]
    if found[0] != found[1]:
        raise ValueError(
            f"{source.where} cannot be expressed: stacks of different {name}, {found[0]} and {found[1]}"
        )
    return found[0]
