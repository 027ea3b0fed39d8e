"""The models of the workloads in PyTorch, as its users write them when they care for speed.

Padded batches, fused projections, the scaled dot-product attention kernel.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from benchmarks.workload import Workload

PAD = 0


class Attention(nn.Module):
    def __init__(self, d: int, heads: int, cross: bool) -> None:
        super().__init__()
        self.heads, self.cross = heads, cross
        self.q = nn.Linear(d, d) if cross else None
        self.kv = nn.Linear(d, 2 * d if cross else 3 * d)
        self.out = nn.Linear(d, d)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        return x.view(b, t, self.heads, d // self.heads).transpose(1, 2)

    def forward(self, x, memory=None, mask=None, causal=False):
        if self.cross:
            q = self.q(x)
            k, v = self.kv(memory).chunk(2, dim=-1)
        else:
            q, k, v = self.kv(x).chunk(3, dim=-1)
        a = functional.scaled_dot_product_attention(
            self.split(q), self.split(k), self.split(v), attn_mask=mask, is_causal=causal
        )
        return self.out(a.transpose(1, 2).reshape(x.shape))


class FeedForward(nn.Module):
    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.fc1 = nn.Linear(workload.d_model, workload.d_ff)
        self.fc2 = nn.Linear(workload.d_ff, workload.d_model)
        self.activation = {"relu": functional.relu, "gelu": functional.gelu}[workload.activation]

    def forward(self, x):
        return self.fc2(self.activation(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, workload: Workload, cross: bool) -> None:
        super().__init__()
        d = workload.d_model
        self.pre = workload.scheme == "pre_ln"
        self.self_attn = Attention(d, workload.heads, False)
        self.cross_attn = Attention(d, workload.heads, True) if cross else None
        self.feed_forward = FeedForward(workload)
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(3 if cross else 2))
        self.dropout = nn.Dropout(workload.dropout)

    def residual(self, norm, x, branch):
        if self.pre:
            return x + self.dropout(branch(norm(x)))
        return norm(x + self.dropout(branch(x)))

    def forward(self, x, mask=None, memory=None, causal=False):
        own = None if causal else mask
        x = self.residual(self.norms[0], x, lambda y: self.self_attn(y, mask=own, causal=causal))
        if self.cross_attn is not None:
            x = self.residual(self.norms[1], x, lambda y: self.cross_attn(y, memory, mask))
        return self.residual(self.norms[-1], x, self.feed_forward)


class Stack(nn.Module):
    def __init__(self, workload: Workload, layers: int, cross: bool, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.layers = nn.ModuleList(Layer(workload, cross) for _ in range(layers))
        self.norm = nn.LayerNorm(workload.d_model) if workload.scheme == "pre_ln" else None

    def forward(self, x, mask=None, memory=None):
        for layer in self.layers:
            x = layer(x, mask, memory, self.causal)
        return x if self.norm is None else self.norm(x)


class Model(nn.Module):
    """From ids to the mean loss over the predicted tokens."""

    def __init__(self, workload: Workload, longest: int) -> None:
        super().__init__()
        if workload.scheme not in ("post_ln", "pre_ln"):
            raise ValueError(f"no model with scheme {workload.scheme!r} here")
        d = workload.d_model
        self.workload = workload
        self.embedding = nn.Embedding(workload.vocab_size, d)
        nn.init.normal_(self.embedding.weight, std=d**-0.5)
        if workload.positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(longest, d))
        else:
            rates = torch.exp(torch.arange(d // 2) * -(math.log(1e4) / (d // 2 - 1)))
            angle = torch.arange(longest)[:, None] * rates
            self.register_buffer("positions", torch.cat([angle.sin(), angle.cos()], dim=1))
        cross = workload.encoder_layers > 0
        self.encoder = Stack(workload, workload.encoder_layers, False, False) if cross else None
        self.decoder = Stack(workload, workload.decoder_layers, cross, True)
        self.dropout = nn.Dropout(workload.dropout)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens) * math.sqrt(self.workload.d_model)
        return self.dropout(x + self.positions[: tokens.shape[1]])

    def forward(self, source: torch.Tensor | None, target: torch.Tensor) -> torch.Tensor:
        # Padding lies at the end, so a causal mask alone keeps it from the real targets.
        memory = mask = None
        if self.encoder is not None:
            mask = (source != PAD)[:, None, None, :] if self.workload.ragged else None
            memory = self.encoder(self.embed(source), mask)
        y = self.decoder(self.embed(target[:, :-1]), mask, memory)
        return functional.cross_entropy(
            functional.linear(y, self.embedding.weight).flatten(0, 1),
            target[:, 1:].flatten(),
            ignore_index=PAD,
            label_smoothing=self.workload.label_smoothing,
        )
