"""Models with the names and the arithmetic of nanoGPT and of JoeyNMT, for one text or one pair of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def stirred(model: nn.Module) -> Any:
    """With random norms and biases, too, in float64."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.double().eval()


# nanoGPT


@dataclass
class Arguments:
    """What nanoGPT keeps as ``model_args``."""

    block_size: int = 30
    vocab_size: int = 19
    n_layer: int = 2
    n_head: int = 3
    n_embd: int = 12
    dropout: float = 0.2
    bias: bool = True


class Norm(nn.Module):
    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class Block(nn.Module):
    def __init__(self, given: Arguments) -> None:
        super().__init__()
        D, bias = given.n_embd, given.bias
        self.heads = given.n_head
        self.ln_1, self.ln_2 = Norm(D, bias), Norm(D, bias)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.c_attn, self.attn.c_proj = nn.Linear(D, 3 * D, bias=bias), nn.Linear(D, D, bias=bias)
        self.attn.register_buffer("bias", torch.ones(1, 1, given.block_size, given.block_size).tril())
        self.mlp.c_fc, self.mlp.c_proj = nn.Linear(D, 4 * D, bias=bias), nn.Linear(4 * D, D, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.attn.c_attn(self.ln_1(x)).split(x.shape[1], dim=1)
        q, k, v = (part.unflatten(1, (self.heads, -1)).transpose(0, 1) for part in parts)
        context = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn.c_proj(context.transpose(0, 1).flatten(1))
        return x + self.mlp.c_proj(F.gelu(self.mlp.c_fc(self.ln_2(x))))


class NanoGPT(nn.Module):
    """Logits [T, V] of ids [T]."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self.config = Arguments(**given)
        D = self.config.n_embd
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(self.config.vocab_size, D),
                "wpe": nn.Embedding(self.config.block_size, D),
                "h": nn.ModuleList(Block(self.config) for _ in range(self.config.n_layer)),
                "ln_f": Norm(D, self.config.bias),
            }
        )
        self.lm_head = nn.Linear(D, self.config.vocab_size, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight

    def forward(self, ids: Tensor) -> Tensor:
        parts = self.transformer
        x = parts["wte"](ids) + parts["wpe"](torch.arange(len(ids)))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))


# JoeyNMT


class JoeyAttention(nn.Module):
    def __init__(self, D: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_layer, self.v_layer, self.q_layer = (nn.Linear(D, D) for _ in range(3))
        self.output_layer = nn.Linear(D, D)

    def forward(self, memory: Tensor, x: Tensor, causal: bool = False) -> Tensor:
        parts = self.q_layer(x), self.k_layer(memory), self.v_layer(memory)
        q, k, v = (part.unflatten(1, (self.heads, -1)).transpose(0, 1) for part in parts)
        context = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.output_layer(context.transpose(0, 1).flatten(1))


class JoeyLayer(nn.Module):
    def __init__(self, stack: str, told: dict[str, Any], place: str) -> None:
        super().__init__()
        D, heads, F_ = told["hidden_size"], told["num_heads"], told["ff_size"]
        activation = {"relu": nn.ReLU, "gelu": nn.GELU, "swish": nn.SiLU}[told.get("activation", "relu")]
        names = ("layer_norm",) if stack == "encoder" else ("x_layer_norm", "dec_layer_norm")
        attentions = ("src_src_att",) if stack == "encoder" else ("trg_trg_att", "src_trg_att")
        for name in attentions:
            self.add_module(name, JoeyAttention(D, heads))
        for name in names:
            self.add_module(name, nn.LayerNorm(D, eps=1e-6))
        self.feed_forward = nn.Module()
        self.feed_forward.layer_norm = nn.LayerNorm(D, eps=1e-6)
        self.feed_forward.pwff_layer = nn.Sequential(
            nn.Linear(D, F_), activation(), nn.Dropout(0.0), nn.Linear(F_, D), nn.Dropout(0.0)
        )
        self.names, self.attentions, self.causal = names, attentions, stack == "decoder"
        self.place, self.alpha = place, told.get("alpha", 1.0)

    def unit(self, x: Tensor, norm: nn.Module, branch: Any) -> Tensor:
        if self.place == "pre":
            return branch(norm(x)) + self.alpha * x
        return norm(branch(x) + self.alpha * x)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        first = getattr(self, self.attentions[0])
        x = self.unit(x, getattr(self, self.names[0]), lambda h: first(h, h, self.causal))
        if memory is not None:
            second = getattr(self, self.attentions[1])
            x = self.unit(x, getattr(self, self.names[1]), lambda h: second(memory, h))
        return self.unit(x, self.feed_forward.layer_norm, self.feed_forward.pwff_layer)


class JoeyStack(nn.Module):
    def __init__(self, stack: str, told: dict[str, Any]) -> None:
        super().__init__()
        D = told["hidden_size"]
        place = told.get("layer_norm", "pre" if stack == "encoder" else "post")
        self.layers = nn.ModuleList(JoeyLayer(stack, told, place) for _ in range(told["num_layers"]))
        self.pe = nn.Module()
        table = torch.zeros(40, D)
        where = torch.arange(40.0)[:, None] * torch.exp(-torch.arange(0, D, 2.0) * (9.210340371976184 / D))
        table[:, 0::2], table[:, 1::2] = where.sin(), where.cos()
        self.pe.register_buffer("pe", table[None])
        if told.get("layer_norm") == "pre":
            self.layer_norm = nn.LayerNorm(D, eps=1e-6)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        x = x + self.pe.pe[0, : len(x)]
        for layer in self.layers:
            x = layer(x, memory)
        return self.layer_norm(x) if hasattr(self, "layer_norm") else x


class Joey(nn.Module):
    """Logits [T, V] of a pair of ids; ``told`` is the part ``model`` of its configuration."""

    def __init__(self, told: dict[str, Any], vocab_size: int = 19) -> None:
        super().__init__()
        D = told["encoder"]["hidden_size"]
        self.scale = D**0.5 if told["encoder"]["embeddings"].get("scale") else 1.0
        self.encoder, self.decoder = (
            JoeyStack("encoder", told["encoder"]),
            JoeyStack("decoder", told["decoder"]),
        )
        self.decoder.output_layer = nn.Linear(D, vocab_size, bias=False)
        self.src_embed, self.trg_embed = nn.Module(), nn.Module()
        self.src_embed.lut = nn.Embedding(vocab_size, D)
        self.trg_embed.lut = (
            self.src_embed.lut if told.get("tied_embeddings") else nn.Embedding(vocab_size, D)
        )
        if told.get("tied_softmax"):
            self.decoder.output_layer.weight = self.trg_embed.lut.weight

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory = self.encoder(self.scale * self.src_embed.lut(source))
        return self.decoder.output_layer(self.decoder(self.scale * self.trg_embed.lut(target), memory))
