"""Models whose next token is a function of the last one, or of the source after bos: weights by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from admin_py.model.config import TransformerConfig
from admin_py.model.transformer import Transformer

VOCABULARY = 12
WIDTH = 2 * VOCABULARY  # features of the token read, and of the source
BOS = 1


def table_model(follow: Callable[[int], int], kind: str = "encoder_decoder", **changes: Any) -> Transformer:
    """After token t comes follow(t); after bos, in a translation, the source's only or most frequent token.

    Embeddings are unit vectors, branches add nothing but cross-attention, which looks at all of the source
    alike and adds its mean to features of its own.
    """
    sizes: dict[str, Any] = {
        "vocab_size": VOCABULARY, "d_model": WIDTH, "heads": 1, "d_ff": 4, "dropout": 0.0, "scheme": "pre_ln",
        "encoder_layers": 1 if kind == "encoder_decoder" else 0, "decoder_layers": 1, "positions": "learned",
        "share_embeddings": "none", "max_length": 50,
    }  # fmt: skip
    model = Transformer(TransformerConfig(**(sizes | changes)), seed=1, dtype="float64")
    for name, values in model.parameters.items():
        if "norm" not in name:
            values[...] = 0.0
    for name in model.parameters:
        if name.endswith("embedding.weight") and "output" not in name:
            model.parameters[name][:, :VOCABULARY] = np.eye(VOCABULARY)
    output = model.parameters[output_name(model)]
    for token in range(VOCABULARY):
        if kind == "encoder_decoder" and token == BOS:
            continue
        output[follow(token), token] += 10.0
    if kind == "encoder_decoder":
        output[:, VOCABULARY:] = np.eye(VOCABULARY)
        layer = "decoder.0.cross_attn"
        model.parameters[f"{layer}.v.weight"][:VOCABULARY, :VOCABULARY] = np.eye(VOCABULARY)
        model.parameters[f"{layer}.out.weight"][VOCABULARY:, :VOCABULARY] = np.eye(VOCABULARY)
    return model


def output_name(model: Transformer) -> str:
    """Of the output embedding."""
    (name,) = [name for name in model.parameters if name.startswith("output")]
    return name
