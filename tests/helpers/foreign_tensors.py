"""Tensors of a small model, as another library names them, without that library."""

from __future__ import annotations

import numpy as np


def fairseq_tensors() -> dict[str, np.ndarray]:
    """A language model of one layer, as fairseq names its tensors."""
    square, row = (4, 4), (4,)
    found = {"embed_tokens.weight": (9, 4), "layers.0.fc1.weight": (6, 4), "layers.0.fc1.bias": (6,)}
    found |= {"layers.0.fc2.weight": (4, 6), "layers.0.fc2.bias": row}
    for name in ("q", "k", "v", "out"):
        found |= {
            f"layers.0.self_attn.{name}_proj.weight": square,
            f"layers.0.self_attn.{name}_proj.bias": row,
        }
    for name in ("self_attn_layer_norm", "final_layer_norm"):
        found |= {f"layers.0.{name}.weight": row, f"layers.0.{name}.bias": row}
    return {f"decoder.{name}": np.ones(shape) for name, shape in found.items()}
