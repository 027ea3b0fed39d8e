"""A Transformer in PyTorch with fairseq's names and arithmetic, for one pair of sentences.

Versions of the names: "new" has q_proj, k_proj, v_proj and norms by name; "old" one in_proj and norms by
number; "clinic" one in_proj and norms by name, as Transformer-Clinic, where layers may have Admin's omegas or
ReZero's factor.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_NAMES = ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm")
OMEGA_NAMES = {
    "encoder": ("attention_ratio_change", None, "fc_ratio_change"),
    "decoder": ("self_ratio_change", "encoder_ratio_change", "fc_ratio_change"),
}


class Attention(nn.Module):
    def __init__(self, D: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        if fused:
            self.in_proj_weight = nn.Parameter(torch.randn(3 * D, D) / D**0.5)
            self.in_proj_bias = nn.Parameter(torch.randn(3 * D))
        else:
            self.q_proj, self.k_proj, self.v_proj = (nn.Linear(D, D) for _ in range(3))
        self.out_proj = nn.Linear(D, D)

    def forward(self, x: Tensor, memory: Tensor, causal: bool) -> Tensor:
        if self.fused:
            weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
            maps = [lambda z, w=w, b=b: F.linear(z, w, b) for w, b in zip(weights, biases, strict=True)]
        else:
            maps = [self.q_proj, self.k_proj, self.v_proj]
        q, k, v = maps[0](x), maps[1](memory), maps[2](memory)
        q, k, v = (t.unflatten(1, (self.heads, -1)).transpose(0, 1) for t in (q, k, v))
        context = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(context.transpose(0, 1).flatten(1))


class Layer(nn.Module):
    def __init__(self, stack: str, cross: bool, sizes: dict[str, Any]) -> None:
        super().__init__()
        D, version = sizes["d_model"], sizes["version"]
        self.pre, self.causal, self.extra = sizes["pre"], stack == "decoder", sizes["extra"]
        self.self_attn = Attention(D, sizes["heads"], version != "new")
        if cross:
            self.encoder_attn = Attention(D, sizes["heads"], version != "new")
        self.fc1, self.fc2 = nn.Linear(D, sizes["d_ff"]), nn.Linear(sizes["d_ff"], D)
        used = [i for i in range(3) if cross or i != 1]
        norms = {} if self.extra == "rezero" else {i: nn.LayerNorm(D) for i in used}
        for norm in norms.values():
            nn.init.normal_(norm.weight, 1, 0.2)
            nn.init.normal_(norm.bias, 0, 0.2)
        if version == "old":
            self.layer_norms = nn.ModuleList(norms.values())
        else:
            for i in norms:
                setattr(self, NORM_NAMES[i], norms[i])
        self.norms = lambda: [
            self.layer_norms[used.index(i)] if version == "old" else getattr(self, NORM_NAMES[i])
            for i in used
        ]
        self.omegas = [OMEGA_NAMES[stack][i] for i in used] if self.extra == "omega" else []
        for name in self.omegas:
            setattr(self, name, nn.Parameter(1 + torch.rand(D)))
        if self.extra.startswith("admin_torch"):
            self.residuals = [("self_residual", "encoder_residual", "fc_residual")[i] for i in used]
            for name in self.residuals:
                self.add_module(name, nn.Module())
                trained = self.extra == "admin_torch, trained"
                omega = 1 + torch.rand(D if trained else 1)
                getattr(self, name).register_buffer("omega", omega)
        if self.extra.startswith("rezero"):
            self.rezero_weight = nn.Parameter(torch.tensor([0.3]))

    def forward(self, x: Tensor, memory: Tensor | None) -> Tensor:
        branches = [lambda h: self.self_attn(h, h, self.causal)]
        if memory is not None:
            branches.append(lambda h: self.encoder_attn(h, memory, False))
        branches.append(lambda h: self.fc2(F.relu(self.fc1(h))))
        for i, branch in enumerate(branches):
            if self.extra.startswith("rezero"):
                x = x + self.rezero_weight * branch(x)
                x = x if self.extra == "rezero" else self.norms()[i](x)
                continue
            norm = self.norms()[i]
            skip = x * getattr(self, self.omegas[i]) if self.omegas else x
            if self.extra.startswith("admin_torch"):
                skip = x * getattr(self, self.residuals[i]).omega
            x = skip + branch(norm(x)) if self.pre else norm(skip + branch(x))
        return x


class Stack(nn.Module):
    def __init__(self, stack: str, sizes: dict[str, Any], embedding: nn.Embedding, cross: bool) -> None:
        super().__init__()
        D = sizes["d_model"]
        self.scale = D**0.5 if sizes["scaled"] else 1.0
        self.embed_tokens = embedding
        if sizes["learned"]:
            self.embed_positions = nn.Embedding(sizes["max_length"] + 2, D)
        else:
            self.register_buffer("version", torch.tensor([3.0]))
        if sizes["normed"] in (True, stack):
            self.layernorm_embedding = nn.LayerNorm(D)
            nn.init.normal_(self.layernorm_embedding.weight, 1, 0.2)
            nn.init.normal_(self.layernorm_embedding.bias, 0, 0.2)
        self.layers = nn.ModuleList(Layer(stack, cross, sizes) for _ in range(sizes["layers"]))
        if sizes["pre"]:
            self.layer_norm = nn.LayerNorm(D)

    def forward(self, ids: Tensor, memory: Tensor | None = None) -> Tensor:
        T, D = len(ids), self.embed_tokens.embedding_dim
        where = torch.arange(2, T + 2)  # padding has number 1
        if hasattr(self, "embed_positions"):
            positions = self.embed_positions(where)
        else:
            half = D // 2
            table = sinusoids(T + 2, half)
            positions = F.pad(table[where], (0, D % 2))
            positions = positions.to(self.embed_tokens.weight.dtype)
        x = self.scale * self.embed_tokens(ids) + positions
        if hasattr(self, "layernorm_embedding"):
            x = self.layernorm_embedding(x)
        for layer in self.layers:
            x = layer(x, memory)
        return self.layer_norm(x) if hasattr(self, "layer_norm") else x


def sinusoids(count: int, half: int) -> Tensor:
    """Positions [count, 2 half]: sines, then cosines."""
    frequency = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / max(half - 1, 1))
    angle = torch.arange(count, dtype=torch.float64)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class Model(nn.Module):
    """Of fairseq's ``transformer``, or without an encoder ``transformer_lm``."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        sizes = {
            "vocab_size": 17, "d_model": 12, "heads": 3, "d_ff": 20, "layers": 2, "pre": False,
            "version": "new", "learned": False, "max_length": 30, "scaled": True, "share": "all", "extra": "",
            "encoder": True, "normed": False,
        } | given  # fmt: skip
        V, D = sizes["vocab_size"], sizes["d_model"]
        share = sizes["share"]

        def embedding() -> nn.Embedding:
            made = nn.Embedding(V, D)
            nn.init.normal_(made.weight, 0, D**-0.5)
            return made

        target = embedding()
        if sizes["encoder"]:
            source = target if share in ("all", "inputs") else embedding()
            self.encoder = Stack("encoder", sizes, source, False)
        self.decoder = Stack("decoder", sizes, target, sizes["encoder"])
        if share in ("inputs", "none"):
            if sizes["version"] == "new":
                self.decoder.output_projection = nn.Linear(D, V, bias=False)
            else:
                self.decoder.embed_out = nn.Parameter(torch.randn(V, D) * D**-0.5)
        self.settings = {
            "activation_fn": "relu", "dropout": 0.2, "attention_dropout": 0.1,
            "decoder_attention_heads": sizes["heads"], "encoder_attention_heads": sizes["heads"],
            "no_scale_embedding": not sizes["scaled"], "max_target_positions": sizes["max_length"],
            "max_source_positions": sizes["max_length"],
        }  # fmt: skip

    def forward(self, source: Tensor | None, target: Tensor) -> Tensor:
        """Logits [T, V]."""
        memory = None if source is None else self.encoder(source)
        x = self.decoder(target, memory)
        decoder = self.decoder
        if hasattr(decoder, "output_projection"):
            return decoder.output_projection(x)
        return F.linear(
            x, decoder.embed_out if hasattr(decoder, "embed_out") else decoder.embed_tokens.weight
        )
