"""The training step of admin-py, through its public API."""

from __future__ import annotations

import admin_py as ap
from benchmarks.workload import Sizes


class Side:
    """Steps of admin-py."""

    def __init__(self, sizes: Sizes, batches: list, threads: int) -> None:
        ap.set_num_threads(threads)
        config = ap.TransformerConfig(
            vocab_size=sizes.vocab_size,
            encoder_layers=sizes.layers,
            decoder_layers=sizes.layers,
            d_model=sizes.d_model,
            heads=sizes.heads,
            d_ff=sizes.d_ff,
            scheme="post_ln",
            dropout=sizes.dropout,
        )
        self.sizes = sizes
        self.model = ap.Transformer(config, seed=1)
        self.batches = [ap.Batch(source, target) for source, target in batches]
        self.optimizer = ap.Adam(lr=1e-4, betas=(0.9, 0.98), eps=1e-9)
        self.name = f"admin-py {ap.__version__}"

    def step(self, i: int) -> float:
        batch = self.batches[i % len(self.batches)]
        loss = self.model.backward(batch, label_smoothing=self.sizes.label_smoothing, step=i)
        norm = ap._core.norm2(self.model._core.gradient_buffer)  # as admin_py.train does
        self.optimizer.step(self.model, grad_scale=min(1.0, 1.0 / norm))
        return loss.loss
