"""The small models whose PyTorch results are stored, and their weights from a formula.

The weights come from integer arithmetic and have 16 bits each, so that every machine and both precisions hold
exactly the same ones, and nothing but results need be stored.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from reference.naming import parameter_shapes

from proofs.configurations import ADMIN, FINAL, POST, PRE, Case, config

STORED = Path(__file__).parents[1] / "stored" / "torch_results.npz"
SMOOTHING = 0.1
SIZES: dict[str, Any] = {"d_model": 8, "heads": 2, "d_ff": 12, "vocab_size": 13}


def _cases() -> list[Case]:
    both: dict[str, Any] = {"encoder": 2, "decoder": 2, **SIZES}
    decoder: dict[str, Any] = {"encoder": 0, "decoder": 3, **SIZES}
    return [
        Case("post_ln", config(POST, **both)),
        Case("pre_ln", config(PRE, stacks=FINAL, **both)),
        Case("admin", config(ADMIN, **both, share_embeddings="none", activation="gelu")),
        Case("admin_language_model", config(ADMIN, **decoder)),
        Case("pre_ln_language_model", config(PRE, stacks=FINAL, positions="learned", **decoder)),
    ]


STORED_CASES = _cases()


def formula_parameters(made: dict[str, Any]) -> dict[str, np.ndarray]:
    """Weights in general position: element i of a parameter is hashed from its name and i."""
    params = {}
    for name, shape in parameter_shapes(made).items():
        x = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()) << 20)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        u = ((x >> np.uint64(48)).astype(np.float64) / 2.0**15 - 1.0).reshape(shape)  # 16 bits in [-1, 1)
        last = name.rsplit(".", 1)[-1]
        scale = {"gamma": 0.5, "omega": 0.5, "bias": 0.25, "nu": 0.25}.get(last, 0.5)
        params[name] = (1.0 if last in ("gamma", "omega") else 0.0) + scale * u
    return params


def split(flat: np.ndarray, made: dict[str, Any]) -> dict[str, np.ndarray]:
    """Stored gradients, one after another in the order of their names, as arrays by name."""
    shapes = dict(sorted(parameter_shapes(made).items()))
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(flat, ends)
    assert parts.pop().size == 0
    return {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts)}


def load_stored() -> dict[str, np.ndarray]:
    """Results by ``model/dtype/what``, what being loss, nll, logits or gradients (by name)."""
    with np.load(STORED) as file:
        return {key: file[key] for key in file.files}
