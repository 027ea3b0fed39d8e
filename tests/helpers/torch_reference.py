"""The model in PyTorch, for comparisons: the same configuration and named parameters, gradients by autograd.

Written apart from the oracle on purpose, in the manner of PyTorch: batches are padded to [B, T, D] and
masked, and norms, attention, activations and the loss are torch.nn.functional's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from reference.naming import embedding_names, kinds, scale_name, sublayer_name
from reference.ragged import Batch
from torch import Tensor


def pad(tokens: np.ndarray, offsets: np.ndarray) -> tuple[Tensor, Tensor]:
    """Token ids [B, T] padded with 0, and a mask [B, T] of the real ones."""
    sequences = [torch.from_numpy(tokens[a:b].astype(np.int64)) for a, b in itertools.pairwise(offsets)]
    ids = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
    lengths = torch.tensor([len(s) for s in sequences])
    return ids, torch.arange(ids.shape[1])[None, :] < lengths[:, None]


def turn(x: Tensor, rotary: Mapping[str, Any]) -> Tensor:
    """Heads [B, H, T, K] turned by positions, as Hugging Face's Llama and GPT-J do."""
    width = rotary["width"] or x.shape[-1]
    f = (rotary["theta"] or 10000.0) ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    if rotary["factor"]:
        low, high = rotary["low_frequency_factor"], rotary["high_frequency_factor"]
        share = ((rotary["original_length"] * f / (2 * torch.pi) - low) / (high - low)).clamp(0, 1)
        f = (1 - share) * f / rotary["factor"] + share * f
    angles = torch.arange(x.shape[2], dtype=torch.float64)[:, None] * f
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    part, rest = x[..., :width], x[..., width:]
    a, b = (part[..., 0::2], part[..., 1::2]) if rotary["interleaved"] else part.chunk(2, dim=-1)
    pair = a * cos - b * sin, b * cos + a * sin
    joined = torch.stack(pair, dim=-1).flatten(-2) if rotary["interleaved"] else torch.cat(pair, dim=-1)
    return torch.cat([joined, rest], dim=-1)


def soft_cap(x: Tensor, cap: float) -> Tensor:
    """cap tanh(x / cap); x where cap is 0."""
    return cap * torch.tanh(x / cap) if cap else x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "quick_gelu": lambda z: z * torch.sigmoid(1.702 * z),
    "relu_squared": lambda z: F.relu(z).square(),
}


class TorchTransformer:
    """Post-LN, Pre-LN, Admin or any other setting of the residual formula, without dropout.

    Parameters
    ----------
    config : dict
        The core's configuration.
    params : mapping of str to ndarray
        Weights by name; copied.
    dtype : torch.dtype
        float32 or float64.
    """

    def __init__(self, config: dict[str, Any], params: Mapping[str, np.ndarray], dtype: torch.dtype) -> None:
        self.config = config
        self.dtype = dtype
        self.params = {
            name: torch.tensor(np.asarray(value), dtype=dtype, requires_grad=True)
            for name, value in params.items()
        }

    def norm(self, kind: str, x: Tensor, name: str) -> Tensor:
        if kind == "none":
            return x
        p, eps = self.params, self.config["norm_eps"]
        width, gamma = x.shape[-1:], p[f"{name}.gamma"]
        if kind == "layer":
            return F.layer_norm(x, width, gamma, p[f"{name}.nu"], eps)
        if kind == "rms":
            return F.rms_norm(x, width, gamma, eps)
        return torch.tanh(p[f"{name}.scale"] * x) * gamma + p[f"{name}.nu"]

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.params[f"{name}.weight"], self.params.get(f"{name}.bias"))

    def attention(self, h: Tensor, source: Tensor, allowed: Tensor, name: str, norm_inner: str) -> Tensor:
        """allowed [B, 1, T, S] is True where a query may read a key."""
        H = self.config["heads"]

        K = self.params[f"{name}.q.weight"].shape[0] // H
        given = self.config["attention"]

        def normed(which: str, x: Tensor) -> Tensor:
            if which == "v" or given["qk_norm_whole"]:
                return self.norm("none" if which == "v" else given["qk_norm"], x, f"{name}.norm_{which}")
            return self.norm(given["qk_norm"], x.unflatten(-1, (-1, K)), f"{name}.norm_{which}").flatten(-2)

        def split(x: Tensor) -> Tensor:  # [B, T, H K] or [B, T, G K] -> [B, H, T, K]
            heads = x.unflatten(-1, (-1, K)).transpose(1, 2)
            return heads.repeat_interleave(H // heads.shape[1], dim=1)

        q, k, v = (
            split(normed(which, self.linear(x, f"{name}.{which}")))
            for which, x in (("q", h), ("k", source), ("v", source))
        )
        if self.config["positions"] == "rotary" and name.endswith("self_attn"):
            q, k = (turn(x, given["rotary"]) for x in (q, k))
        if given["score_cap"]:
            scale = given["scale"] or q.shape[-1] ** -0.5
            scores = soft_cap(scale * q @ k.transpose(2, 3), given["score_cap"])
            context = torch.softmax(scores.masked_fill(~allowed, -torch.inf), dim=-1) @ v
        else:
            context = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, scale=given["scale"] or None)
        context = context.transpose(1, 2).flatten(2)
        return self.linear(self.norm(norm_inner, context, f"{name}.norm_inner"), f"{name}.out")

    def feed_forward(self, h: Tensor, name: str, norm_inner: str) -> Tensor:
        u = self.linear(h, f"{name}.fc1")
        activation = ACTIVATIONS[self.config["activation"]]
        u = u * activation(self.linear(h, f"{name}.gate")) if self.config["gated"] else activation(u)
        return self.linear(self.norm(norm_inner, u, f"{name}.norm_inner"), f"{name}.fc2")

    def scale(self, which: str, sub: dict[str, Any], name: str) -> Tensor | float:
        return 1.0 if sub[which]["kind"] == "none" else self.params[scale_name(which, name, sub[which])]

    def stack(
        self, which: str, x: Tensor, real: Tensor, memory: Tensor | None, memory_real: Tensor | None
    ) -> Tensor:
        """The stack's result [B, T, D] on x_0; real [B, T] marks tokens that are no padding."""
        stack = self.config[which]
        T = x.shape[1]
        own = real[:, None, None, :].expand(-1, 1, T, -1)
        if stack["causal"]:
            own = own & torch.ones(T, T, dtype=torch.bool).tril()
        x_layer = x
        for i, sub in enumerate(stack["sublayers"]):
            if i % len(kinds(stack)) == 0:
                x_layer = x
            name = sublayer_name(which, stack, i)
            n = self.norm(sub["norm_pre"], x_layer if sub["parallel"] else x, f"{name}.norm_pre")
            h = n * sub["input_scale"]
            if name.endswith("feed_forward"):
                a = self.feed_forward(h, name, sub["norm_inner"])
            elif name.endswith("cross_attn"):
                assert memory is not None
                assert memory_real is not None
                a = self.attention(h, memory, memory_real[:, None, None, :], name, sub["norm_inner"])
            else:
                near = (torch.arange(T)[:, None] - torch.arange(T)).abs() < (sub["window"] or T)
                a = self.attention(h, h, own & near, name, sub["norm_inner"])
            b = self.norm(sub["norm_branch"], a, f"{name}.norm_branch")
            r = n if sub["residual_normed"] else x
            y = (
                self.scale("omega", sub, name) * r
                + self.scale("alpha", sub, name) * b
                + sub["kappa"] * x_layer
            )
            x = self.norm(sub["norm_post"], y, f"{name}.norm_post")
        return self.norm(stack["norm_final"], x, f"{which}.norm_final")

    def embed(self, which: str, ids: Tensor) -> Tensor:
        D, T = self.config["d_model"], ids.shape[1]
        x = F.embedding(ids, self.params[embedding_names(self.config)[which]])
        x = x * (self.config["embedding_scale"] or D**0.5)
        if self.config["positions"] == "learned":
            x = x + self.params[f"{which}.positions.weight"][:T]
        elif self.config["positions"] == "sinusoidal":
            half = D // 2
            frequency = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / max(half - 1, 1))
            angle = torch.arange(T, dtype=torch.float64)[:, None] * frequency
            x = x + F.pad(torch.cat([angle.sin(), angle.cos()], dim=1), (0, D % 2)).to(self.dtype)
        x = self.norm(self.config[which]["norm_embedding"], x, f"{which}.norm_embedding")
        scale = self.params.get(f"{which}.input_scale")
        return x if scale is None else x * scale

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Logits [M_target, V] and labels [M_target], or hidden states [M, D] and None of an encoder."""
        has_encoder, has_decoder = (bool(self.config[s]["layers"]) for s in ("encoder", "decoder"))
        memory = memory_real = None
        ids, real = pad(batch.source_tokens, batch.source_offsets)
        if has_encoder:
            memory_real = real
            memory = self.stack("encoder", self.embed("encoder", ids), real, None, None)
            if not has_decoder:
                return memory[real], None
            assert batch.target_tokens is not None
            assert batch.target_offsets is not None
            ids, real = pad(batch.target_tokens, batch.target_offsets)
        inputs, labels, predicted = ids[:, :-1], ids[:, 1:], real[:, 1:]
        x = self.stack("decoder", self.embed("decoder", inputs), predicted, memory, memory_real)
        output = self.params[embedding_names(self.config)["output"]]
        logits = F.linear(x[predicted], output, self.params.get("output.bias"))
        return soft_cap(self.config["logits_scale"] * logits, self.config["logits_cap"]), labels[predicted]

    def loss(self, batch: Batch, label_smoothing: float = 0.0, z_loss: float = 0.0) -> tuple[Tensor, Tensor]:
        """Label-smoothed loss and nll, both means over the predicted tokens."""
        logits, labels = self.forward(batch)
        assert labels is not None
        smoothed = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
        return smoothed + z_loss * logits.logsumexp(dim=1).square().mean(), F.cross_entropy(logits, labels)

    def backward(
        self, batch: Batch, label_smoothing: float = 0.0, z_loss: float = 0.0
    ) -> tuple[float, float, dict[str, np.ndarray]]:
        """Loss, nll and all gradients."""
        for p in self.params.values():
            p.grad = None
        loss, nll = self.loss(batch, label_smoothing, z_loss)
        loss.backward()
        zero = torch.zeros(1)
        grads = {
            name: (p.grad if p.grad is not None else zero.expand(p.shape)).numpy()
            for name, p in self.params.items()
        }
        return loss.item(), nll.item(), grads
