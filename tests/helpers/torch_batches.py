"""Batches of the package as PyTorch's modules read them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

import admin_py as ap


class Padded(NamedTuple):
    """What a module reads, and what it is to predict."""

    inputs: dict[str, Tensor]
    real: Tensor  # bool [B, T], of what comes out
    labels: Tensor | None  # [M_target], of the real tokens


def side(sequences: Any, cut: int, mask: str) -> tuple[Tensor, Tensor, Tensor]:
    """Ids [B, T] of sequences without their last `cut` tokens, the mask that is given, and bool [B, T]."""
    tokens, offsets = torch.from_numpy(sequences.tokens.copy()).long(), sequences.offsets
    rows = [tokens[a : b - cut] for a, b in pairwise(offsets)]
    lengths = torch.tensor([len(row) for row in rows])
    left = mask == "left"
    ids = torch.zeros(len(rows), int(lengths.max()), dtype=torch.long)
    real = torch.zeros(ids.shape, dtype=torch.bool)
    for b, row in enumerate(rows):
        place = slice(ids.shape[1] - len(row), None) if left else slice(0, len(row))
        ids[b, place], real[b, place] = row, True
    return ids, lengths if mask == "lengths" else real, real


def padded(model: ap.Transformer, batch: ap.Batch, mask: str = "lengths") -> Padded:
    """Of a batch; `mask` is "lengths", "right" or "left", where padding is."""
    kind = model.config.kind
    source, source_mask, real = side(batch.source, int(kind == "language_model"), mask)
    inputs = {"source": source, "source_mask": source_mask}
    read = batch.source
    if kind == "encoder_decoder":
        assert batch.target is not None
        read = batch.target
        inputs["target"], inputs["target_mask"], real = side(read, 1, mask)
    labels = None
    if kind != "encoder":
        tokens = torch.from_numpy(read.tokens.copy()).long()
        labels = torch.cat([tokens[a + 1 : b] for a, b in pairwise(read.offsets)])
    return Padded(inputs, real, labels)
