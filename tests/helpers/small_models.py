"""Small configurations and batches that tests of models share."""

from __future__ import annotations

from typing import Any

import pytest

import admin_py as ap
from admin_py.schemes import Residual, Scale, Scheme

SIZES: dict[str, Any] = {"vocab_size": 20, "d_model": 8, "heads": 2, "d_ff": 16, "max_length": 16}

both = pytest.mark.parametrize("dtype", ["float32", "float64"])

PAIRS = ap.Batch([[4, 5, 6], [7, 8]], [[1, 9, 10, 2], [1, 11, 2]])
TEXT = ap.Batch([[4, 5, 6, 2], [7, 8]])


def config(encoder: int = 2, decoder: int = 2, **changes: Any) -> ap.TransformerConfig:
    return ap.TransformerConfig(encoder_layers=encoder, decoder_layers=decoder, **{**SIZES, **changes})


def small(dtype: str = "float32", **changes: Any) -> ap.Transformer:
    return ap.Transformer(config(**changes), seed=1, dtype=dtype)


def growing(step: float) -> Scheme:
    """A scheme of a user's own, of one name and several rules."""

    def rule(site: ap.Site) -> Residual:
        return Residual(norm_post="layer", omega=Scale("scalar", 1.0 + step * site.layer))

    return Scheme("growing skip", rule, "this test")
