"""nanoGPT: GPT-2's names, matrices [out, in], gelu by the error function, biases everywhere or nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.interop import gpt2
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.pieces import Piece
from admin_py.interop.source import Source
from admin_py.interop.words import need
from admin_py.model.config import TransformerConfig

MEANS_NOTHING = gpt2.MEANS_NOTHING


def recognises(source: Source) -> bool:
    """Whether the tensors have GPT-2's names, and lie as PyTorch has them."""
    rows, columns = source.shapes.get(f"{gpt2.prefix(source)}h.0.attn.c_attn.weight", (0, 0))[:2]
    return rows > 0 and rows == 3 * columns


def config_of(source: Source, settings: Mapping[str, Any]) -> TransformerConfig:
    """The model that the tensors and ``model_args`` describe."""
    before = gpt2.prefix(source)
    vocab_size, d_model = source.shape(f"{before}wte.weight")
    tied = source.are_one(f"{before}wte.weight", "lm_head.weight")
    dropout = settings.get("dropout", 0.0)
    return TransformerConfig(
        vocab_size=vocab_size,
        encoder_layers=0,
        decoder_layers=source.layers(rf"{before}h\.(\d+)\."),
        d_model=d_model,
        heads=need(source, settings, "n_head"),
        d_ff=source.shape(f"{before}h.0.mlp.c_fc.weight")[0],
        scheme="pre_ln",
        activation="gelu",
        bias="all" if f"{before}h.0.mlp.c_fc.bias" in source else "none",
        positions="learned",
        max_length=source.shape(f"{before}wpe.weight")[0],
        embedding_scale=1.0,
        share_embeddings="all" if tied else "none",
        dropout=dropout,
        attention_dropout=dropout,
    )


def places(
    source: Source, config: TransformerConfig
) -> Callable[[str], Piece | NDArray[np.float64]] | LayerNames:
    """Where the tensors lie; norms without biases have biases 0 here."""
    before = gpt2.prefix(source)
    ends = {
        "embedding.weight": f"{before}wte.weight",
        "decoder.positions.weight": f"{before}wpe.weight",
        "decoder.norm_final": f"{before}ln_f",
        "output.weight": "lm_head.weight",
    }
    names = LayerNames(ends, before + "h.{layer}", gpt2.WITHIN)
    return names if config.bias == "all" else without_shifts(names, config.d_model)


def without_shifts(names: LayerNames, width: int) -> Callable[[str], Piece | NDArray[np.float64]]:
    """The same places, but that of the biases of norms, which are 0."""

    def place(name: str) -> Piece | NDArray[np.float64]:
        return np.zeros(width) if name.endswith(".nu") else names(name)

    return place
