"""The training step of PyTorch: eager or compiled, with its fused optimiser."""

from __future__ import annotations

import os
import shutil
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.torch_model import PAD, Model
from benchmarks.turns import TimedSide
from benchmarks.workload import Pairs, Workload


def pad(sequences: list[np.ndarray]) -> torch.Tensor | None:
    """Ids [B, T], padded behind; None without sequences."""
    if not sequences:
        return None
    return nn.utils.rnn.pad_sequence([torch.from_numpy(s).long() for s in sequences], True, PAD)


def make_optimizer(workload: Workload, model: nn.Module) -> torch.optim.Optimizer:
    """As `benchmarks.our_side.make_optimizer`."""
    if workload.optimizer == "adamw":
        matrices = [p for p in model.parameters() if p.dim() >= 2]
        vectors = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.99), fused=True)
    return torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)


class Side(TimedSide):
    """Steps of PyTorch.

    Parameters
    ----------
    workload, batches, threads
        Of both sides.
    compiled : bool
        By `torch.compile`, or eager.
    bfloat16 : bool
        With automatic mixed precision: products and attention in bfloat16, weights and sums in float32.

    Raises
    ------
    RuntimeError
        If it is to compile and there is no C++ compiler.
    """

    def __init__(
        self, workload: Workload, batches: list[Pairs], threads: int, compiled: bool, bfloat16: bool
    ) -> None:
        if compiled and shutil.which(os.environ.get("CXX", "g++")) is None:
            raise RuntimeError("torch.compile needs a C++ compiler, and there is none")
        torch.manual_seed(1)
        torch.set_num_threads(threads)
        self.compiled, self.bfloat16 = compiled, bfloat16
        longest = max(int(max(b.target_lengths.max(), b.source_lengths.max(initial=0))) for b in batches)
        self.model = Model(workload, longest).train()
        self.loss = torch.compile(self.model, dynamic=workload.ragged) if compiled else self.model
        self.batches = [(pad(pairs.source), pad(pairs.target)) for pairs in batches]
        self.optimizer = make_optimizer(workload, self.model)

    def describe(self) -> dict[str, Any]:
        """Version and kernels."""
        return {
            "name": f"PyTorch {torch.__version__} {'compiled' if self.compiled else 'eager'}"
            + (", bfloat16" if self.bfloat16 else ""),
            "kernels": torch.backends.cpu.get_cpu_capability(),
            "threads": torch.get_num_threads(),
        }

    def step(self, i: int) -> float:
        """Forward, backward, gradients clipped to norm 1, update."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            loss = self.loss(*self.batches[i % len(self.batches)])
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()
