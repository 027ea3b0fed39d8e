"""The same training step in PyTorch eager, as its users write it.

Padded batches, fused projections, the scaled dot-product attention kernel, fused Adam.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.workload import Sizes

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


class Layer(nn.Module):
    def __init__(self, sizes: Sizes, cross: bool) -> None:
        super().__init__()
        d = sizes.d_model
        self.self_attn = Attention(d, sizes.heads, False)
        self.cross_attn = Attention(d, sizes.heads, True) if cross else None
        self.fc1, self.fc2 = nn.Linear(d, sizes.d_ff), nn.Linear(sizes.d_ff, d)
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(3 if cross else 2))
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, x, mask, memory=None, memory_mask=None, causal=False):
        a = self.self_attn(x, mask=mask, causal=causal)
        x = self.norms[0](x + self.dropout(a))
        if self.cross_attn is not None:
            x = self.norms[1](x + self.dropout(self.cross_attn(x, memory, memory_mask)))
        a = self.fc2(functional.relu(self.fc1(x)))
        return self.norms[-1](x + self.dropout(a))


class Model(nn.Module):
    def __init__(self, sizes: Sizes, longest: int = 256) -> None:
        super().__init__()
        d = sizes.d_model
        self.scale = math.sqrt(d)
        self.embedding = nn.Embedding(sizes.vocab_size, d)
        nn.init.normal_(self.embedding.weight, std=d**-0.5)
        angle = torch.arange(longest)[:, None] * torch.exp(
            torch.arange(d // 2) * -(math.log(1e4) / (d // 2 - 1))
        )
        self.register_buffer("positions", torch.cat([angle.sin(), angle.cos()], dim=1))
        self.encoder = nn.ModuleList(Layer(sizes, False) for _ in range(sizes.layers))
        self.decoder = nn.ModuleList(Layer(sizes, True) for _ in range(sizes.layers))
        self.dropout = nn.Dropout(sizes.dropout)

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.embedding(tokens) * self.scale + self.positions[: tokens.shape[1]])

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # padding lies at the end, so a causal mask alone keeps it from real targets
        mask = None if bool((source != PAD).all()) else (source != PAD)[:, None, None, :]
        x = self.embed(source)
        for layer in self.encoder:
            x = layer(x, mask)
        y = self.embed(target)
        for layer in self.decoder:
            y = layer(y, None, x, mask, causal=True)
        return functional.linear(y, self.embedding.weight)


def pad(sequences: list[np.ndarray]) -> torch.Tensor:
    return nn.utils.rnn.pad_sequence([torch.from_numpy(s).long() for s in sequences], True, PAD)


class Side:
    """Steps of PyTorch."""

    def __init__(self, sizes: Sizes, batches: list, threads: int) -> None:
        torch.manual_seed(1)
        torch.set_num_threads(threads)
        self.sizes = sizes
        self.model = Model(sizes).train()
        self.batches = [(pad(source), pad(target)) for source, target in batches]
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True
        )
        self.name = f"PyTorch {torch.__version__} eager"

    def step(self, i: int) -> float:
        source, target = self.batches[i % len(self.batches)]
        logits = self.model(source, target[:, :-1])
        loss = functional.cross_entropy(
            logits.flatten(0, 1),
            target[:, 1:].flatten(),
            ignore_index=PAD,
            label_smoothing=self.sizes.label_smoothing,
        )
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()
