"""The training step of admin-py, through its public API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import admin_py as ap
from admin_py.base import versions
from benchmarks.turns import TimedSide
from benchmarks.workload import Pairs, Workload


def make_config(workload: Workload) -> ap.TransformerConfig:
    """The model of a workload."""
    return ap.TransformerConfig(
        vocab_size=workload.vocab_size,
        encoder_layers=workload.encoder_layers,
        decoder_layers=workload.decoder_layers,
        d_model=workload.d_model,
        heads=workload.heads,
        d_ff=workload.d_ff,
        scheme=workload.scheme,
        dropout=workload.dropout,
        activation=workload.activation,
        positions=workload.positions,
        max_length=max(workload.length or 0, 1024),
    )


def make_batch(pairs: Pairs) -> ap.Batch:
    """A batch as models read it."""
    return ap.Batch(pairs.source, pairs.target) if pairs.source else ap.Batch(pairs.target)


def make_optimizer(workload: Workload) -> ap.optimizers.Optimizer:
    """The optimiser of a workload, with the options of its recipe."""
    if workload.optimizer == "adamw":
        return ap.AdamW(lr=1e-4, betas=(0.9, 0.99), weight_decay=0.1)
    return ap.Adam(lr=1e-4, betas=(0.9, 0.98), eps=1e-9)


def told_system() -> dict[str, Any]:
    """Kernels, BLAS and threads as results keep them: of files their names, not a machine's folders."""
    system = versions.system()
    return {**system, "blas_file": Path(system["blas_file"]).name} if system.get("blas_file") else system


class Side(TimedSide):
    """Steps of admin-py."""

    def __init__(self, workload: Workload, batches: list[Pairs], threads: int) -> None:
        ap.set_num_threads(threads)
        self.workload = workload
        self.model = ap.Transformer(make_config(workload), seed=1)
        self.batches = [make_batch(pairs) for pairs in batches]
        self.optimizer = make_optimizer(workload)

    def describe(self) -> dict[str, Any]:
        """Version, kernels, BLAS, threads."""
        return {"name": f"admin-py {ap.__version__}", **told_system()}

    def timings(self) -> dict[str, float] | None:
        """Seconds so far for each kind of work (matrix products, attention, rows, loss, optimiser).

        None as long as the core does not count them. This is the only place that asks it.
        """
        found = getattr(self.model, "timings", None)
        return None if found is None else dict(found)

    def step(self, i: int) -> float:
        """As `admin_py.train` makes it, with gradients clipped to norm 1."""
        core = self.model._core
        loss = self.model.backward(
            self.batches[i % len(self.batches)], label_smoothing=self.workload.label_smoothing, step=i
        )
        norm = ap._core.norm2(core.gradient_buffer[: core.trained_length])
        self.optimizer.step(self.model, grad_scale=min(1.0, 1.0 / norm))
        return loss.loss
