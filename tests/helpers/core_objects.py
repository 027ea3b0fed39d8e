"""Small objects of the core for the tests of its Python types."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from admin_py import _core, _core64
from admin_py.model.config import TransformerConfig

MODULES: dict[str, ModuleType] = {"float32": _core, "float64": _core64}
both = pytest.mark.parametrize("dtype", ["float32", "float64"])
VOCAB, D = 20, 8


def core_config(*, encoder: int = 1, decoder: int = 1, **changes: Any) -> dict[str, Any]:
    """What a small Transformer of the core is made from."""
    sizes: dict[str, Any] = {"vocab_size": VOCAB, "d_model": D, "heads": 2, "d_ff": 16, "max_length": 16}
    return TransformerConfig(encoder_layers=encoder, decoder_layers=decoder, **{**sizes, **changes}).to_core()


def layer_config(stack: str, *, cross: bool = False, dropout: float = 0.1) -> dict[str, Any]:
    """What a layer of the core is made from."""
    layers = {"encoder": 1 if stack == "encoder" or cross else 0, "decoder": 1 if stack == "decoder" else 0}
    config = core_config(**layers, dropout=dropout)
    other = "decoder" if stack == "encoder" else "encoder"
    config[other] |= {"layers": 0, "sublayers": [], "cross": False}
    return config | {"vocab_size": 0}


def packed(*lengths: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and offsets of random sequences."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.random.default_rng(seed).integers(4, VOCAB, offsets[-1]).astype(np.int32), offsets


def core_batch(module: ModuleType, *, target: bool = True) -> Any:
    """A batch of two sequences, or pairs of them."""
    return module.Batch(*packed(3, 5), *(packed(4, 2, seed=2) if target else ()))


def transformer(dtype: str, **changes: Any) -> Any:
    """A small encoder-decoder."""
    return MODULES[dtype].Transformer(core_config(**changes), seed=1)


def decoder_layer(dtype: str, **changes: Any) -> Any:
    """A decoder layer with cross-attention."""
    return MODULES[dtype].DecoderLayer(layer_config("decoder", cross=True, **changes), seed=1)


def hidden(dtype: str, rows: int, seed: int = 1) -> np.ndarray:
    """Random hidden states [rows, D]."""
    return np.random.default_rng(seed).standard_normal((rows, D)).astype(dtype)


def lengths(*values: int) -> np.ndarray:
    """Lengths of sequences as the core reads them."""
    return np.array(values, dtype=np.int64)
