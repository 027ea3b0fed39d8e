"""A Transformer in plain PyTorch: every residual scheme is a setting of one formula.

::

    h   = s * Npre(x)                           or s * Npre(x_layer) where it is parallel
    a   = dropout(f(h))                         f: self-attention, cross-attention or feed-forward
    y   = omega (.) r + alpha (.) Nbranch(a) + kappa * x_layer        r = x or Npre(x)
    out = Npost(y)

x is the input of a sub-layer, x_layer that of its layer; omega scales the skip (Admin, DeepNorm, ...), alpha
the branch (ReZero, LayerScale, ...). Post-LN has Npost alone, Pre-LN Npre.

This file needs PyTorch alone, and safetensors for files. admin-py writes it as ``model.py`` beside
``config.json`` and ``model.safetensors``; `load` makes the model of them. Parameters have admin-py's names;
``admin_py.load_pretrained`` reads the model, its state dict with ``settings=model.config``, or what `save`
writes.

B sequences, T and S tokens of target and source, D width, H heads of queries, G of keys and values, K
features of a head, V vocabulary.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Config = Mapping[str, Any]

STACKS = ("encoder", "decoder")

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
    "quick_gelu": lambda z: z * torch.sigmoid(1.702 * z),
    "relu_squared": lambda z: F.relu(z).square(),
}

BIASED = {
    **dict.fromkeys("qkv", ("all", "qkv", "attention")),
    "out": ("all", "attention"),
    **dict.fromkeys(("fc1", "gate", "fc2"), ("all", "feed_forward")),
}
"""Linear map -> the values of ``bias`` with which it has one."""

FIELDS = {
    "model_type", "vocab_size", "encoder_layers", "decoder_layers", "d_model", "heads", "d_ff", "scheme",
    "dropout", "attention_dropout", "activation_dropout", "activation", "gated", "bias", "output_bias",
    "logits_scale", "share_embeddings", "positions", "max_length", "norm_eps", "embedding_scale",
    "input_scale", "head_width", "kv_heads", "attention_scale", "score_cap", "logits_cap", "rotary_theta",
    "rotary_width", "rotary_interleaved", "rotary_scaling", "qk_norm", "qk_norm_whole", "attention_window",
    "embedding_norm", "qkv_fused_init", "init_gain",
}  # fmt: skip
"""Of a configuration. The last two are of initial weights, as are ``init`` and ``gains`` of a sub-layer."""

SUBLAYER_FIELDS = {
    "norm_pre", "norm_branch", "norm_post", "norm_inner", "residual_normed", "profiled", "input_scale",
    "kappa", "omega", "alpha", "parallel", "init", "qkv_fused_init", "gains",
}  # fmt: skip


class Norm(nn.Module):
    """None, LayerNorm, RMSNorm, or DyT: gamma tanh(scale x) + nu."""

    def __init__(self, kind: str, width: int, eps: float) -> None:
        super().__init__()
        if kind not in ("none", "layer", "rms", "dyt"):
            raise ValueError(f"the norm {kind!r} is not known here")
        self.kind, self.eps = kind, eps
        if kind != "none":
            self.gamma = nn.Parameter(torch.ones(width))
        if kind in ("layer", "dyt"):
            self.nu = nn.Parameter(torch.zeros(width))
        if kind == "dyt":
            self.scale = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        """Of the last axis."""
        if self.kind == "none":
            return x
        if self.kind == "layer":
            return F.layer_norm(x, self.gamma.shape, self.gamma, self.nu, self.eps)
        if self.kind == "rms":
            return F.rms_norm(x, self.gamma.shape, self.gamma, self.eps)
        return self.gamma * torch.tanh(self.scale * x) + self.nu


def add_scale(module: nn.Module, name: str, scale: Config, width: int) -> None:
    """A factor on features: a parameter, a buffer where it is not trained, None where it is the number 1."""
    if scale["kind"] == "none":
        module.register_parameter(name, None)
        return
    values = torch.full((width if scale["kind"] == "vector" else 1,), float(scale["value"]))
    if scale["trained"]:
        module.register_parameter(name, nn.Parameter(values))
    else:
        module.register_buffer(name, values)


def times(scale: Tensor | float | None, x: Tensor) -> Tensor:
    """scale (.) x; None is 1."""
    return x if scale is None else scale * x


def soft_cap(x: Tensor, cap: float | None) -> Tensor:
    """cap tanh(x / cap)."""
    return x if cap is None else cap * torch.tanh(x / cap)


class Sublayer(nn.Module):
    """One residual sub-layer with these fields; `Attention` and `FeedForward` are its branches.

    The last map of a branch reads `inner` features.
    """

    def __init__(self, config: Config, fields: Config, inner: int) -> None:
        super().__init__()
        check_known("a sub-layer", fields, SUBLAYER_FIELDS)
        width, eps = config["d_model"], config["norm_eps"]
        self.norm_pre = Norm(fields["norm_pre"], width, eps)
        self.norm_inner = Norm(fields["norm_inner"], inner, eps)
        self.norm_branch = Norm(fields["norm_branch"], width, eps)
        self.norm_post = Norm(fields["norm_post"], width, eps)
        self.s = None if fields["input_scale"] == 1 else fields["input_scale"]
        self.kappa = fields["kappa"]
        self.residual_normed, self.profiled = fields["residual_normed"], fields["profiled"]
        self.parallel = fields["parallel"]
        self.shares_alpha = fields["alpha"]["shared"]
        for name in ("omega", "alpha"):
            if not fields[name]["shared"]:
                add_scale(self, name, fields[name], width)
        self.dropout = nn.Dropout(config["dropout"])
        self.biased = {name for name, values in BIASED.items() if config["bias"] in values}

    def linear(self, name: str, inputs: int, outputs: int) -> None:
        """Add a map of the branch."""
        self.add_module(name, nn.Linear(inputs, outputs, bias=name in self.biased))

    def forward(self, x: Tensor, x_layer: Tensor, shared_alpha: Tensor | None, *reads: Any) -> Tensor:
        """The one formula: [B, T, D] of the sub-layer's and the layer's input; `reads` go to the branch."""
        n = self.norm_pre(x_layer if self.parallel else x)
        a = self.dropout(self.branch(times(self.s, n), *reads))
        r = n if self.residual_normed else x
        alpha = shared_alpha if self.shares_alpha else self.alpha
        y = times(self.omega, r) + times(alpha, self.norm_branch(a))
        if self.kappa:
            y = y + self.kappa * x_layer
        return self.norm_post(y)

    def branch(self, h: Tensor, *reads: Any) -> Tensor:
        """f(h)."""
        raise NotImplementedError


class Attention(Sublayer):
    """Scaled dot-product attention of H heads to its own sequence, or across to the encoder's."""

    def __init__(
        self, config: Config, fields: Config, *, cross: bool, causal: bool, window: int | None
    ) -> None:
        width, heads, kv_heads = config["d_model"], config["heads"], config["kv_heads"] or config["heads"]
        head = config["head_width"] or width // heads
        super().__init__(config, fields, heads * head)
        self.linear("q", width, heads * head)
        self.linear("k", width, kv_heads * head)
        self.linear("v", width, kv_heads * head)
        self.linear("out", heads * head, width)
        self.head, self.group = head, heads // kv_heads
        self.whole = config["qk_norm_whole"]
        for name, count in (("norm_q", heads), ("norm_k", kv_heads)):
            norm = Norm(config["qk_norm"], count * head if self.whole else head, config["norm_eps"])
            self.add_module(name, norm)
        self.cross, self.causal, self.window = cross, causal, window
        self.scale = config["attention_scale"] or head**-0.5
        self.cap = config["score_cap"]
        self.rate = config["attention_dropout"]
        self.interleaved = config["rotary_interleaved"]

    def branch(self, h: Tensor, *reads: Any) -> Tensor:
        """f(h); reads are which keys may be read, the turns of positions, and of a memory it and its mask."""
        allowed, turns, *memory = reads
        source, allowed = memory if self.cross else (h, allowed)
        q, k, v = self.q(h), self.k(source), self.v(source)
        q, k = self.norm_q(q) if self.whole else q, self.norm_k(k) if self.whole else k
        q, k, v = (
            x.unflatten(-1, (-1, self.head)).transpose(1, 2) for x in (q, k, v)
        )  # [B, H or G, T or S, K]
        q, k = q if self.whole else self.norm_q(q), k if self.whole else self.norm_k(k)
        if turns is not None and not self.cross:
            q, k = turned(q, turns, self.interleaved), turned(k, turns, self.interleaved)
        if self.group > 1:
            k, v = (x.repeat_interleave(self.group, dim=1) for x in (k, v))
        context = self.read(q, k, v, allowed)  # [B, H, T, K]
        return self.out(self.norm_inner(context.transpose(1, 2).flatten(2)))

    def read(self, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor | None) -> Tensor:
        """What the queries read; without a mask it is all keys, or those up to the query."""
        if self.window is not None:
            allowed = within(self.window, q.shape[2], self.causal, allowed, q.device)
        causal = self.causal and allowed is None
        rate = self.rate if self.training else 0.0
        if self.cap is None:
            return F.scaled_dot_product_attention(
                q, k, v, attn_mask=allowed, dropout_p=rate, is_causal=causal, scale=self.scale
            )
        scores = soft_cap(self.scale * (q @ k.transpose(2, 3)), self.cap)
        if causal:
            allowed = up_to_itself(q.shape[2], q.device)
        if allowed is not None:
            scores = scores.masked_fill(~allowed, float("-inf"))
        return F.dropout(scores.softmax(dim=-1), rate) @ v


class FeedForward(Sublayer):
    """W2 activation(W1 h), or gated: W2 (W1 h (.) activation(Wg h))."""

    def __init__(self, config: Config, fields: Config) -> None:
        width, hidden = config["d_model"], config["d_ff"]
        super().__init__(config, fields, hidden)
        self.linear("fc1", width, hidden)
        if config["gated"]:
            self.linear("gate", width, hidden)
        self.linear("fc2", hidden, width)
        self.gated, self.activation = config["gated"], ACTIVATIONS[config["activation"]]
        self.hidden_dropout = nn.Dropout(config["activation_dropout"])

    def branch(self, h: Tensor, *reads: Any) -> Tensor:
        """f(h)."""
        u = self.fc1(h)
        z = self.hidden_dropout(self.activation(self.gate(h) if self.gated else u))
        return self.fc2(self.norm_inner(z * u if self.gated else z))


class Layer(nn.Module):
    """Self-attention, in a decoder beside an encoder cross-attention, and a feed-forward."""

    def __init__(self, config: Config, fields: list[Config], *, causal: bool, window: int | None) -> None:
        super().__init__()
        self.self_attn = Attention(config, fields[0], cross=False, causal=causal, window=window)
        if len(fields) == 3:
            self.cross_attn = Attention(config, fields[1], cross=True, causal=False, window=None)
        self.feed_forward = FeedForward(config, fields[-1])
        shared = [one["alpha"] for one in fields if one["alpha"]["shared"]] or [{"kind": "none"}]
        add_scale(self, "alpha", shared[0], config["d_model"])

    def forward(self, x: Tensor, *reads: Any) -> Tensor:
        """[B, T, D] of [B, T, D]."""
        x_layer = x
        for sublayer in self.children():
            x = sublayer(x, x_layer, self.alpha, *reads)
        return x


class Stack(nn.Module):
    """Embedded tokens and positions, layers, and a final norm; layers are named by their numbers."""

    def __init__(self, config: Config, which: str, own_embedding: bool) -> None:
        super().__init__()
        width, scheme = config["d_model"], config["scheme"]
        if isinstance(scheme, (list, tuple)):  # one for each stack
            scheme = scheme[STACKS.index(which)]
        self.config, self.causal = config, which == "decoder"
        self.num_layers = config[f"{which}_layers"]
        self.embedding_scale = config["embedding_scale"] or width**0.5
        if own_embedding:
            self.embedding = nn.Embedding(config["vocab_size"], width)
        if config["positions"] == "learned":
            self.positions = nn.Embedding(config["max_length"], width)
        scale = {"kind": config["input_scale"], "value": 1.0, "trained": True}
        add_scale(self, "input_scale", scale, width)
        norm = config["embedding_norm"]
        norm = norm if isinstance(norm, str) else norm[STACKS.index(which)]
        self.norm_embedding = Norm(norm, width, config["norm_eps"])
        self.dropout = nn.Dropout(config["dropout"])
        fields, windows = scheme["sublayers"][which], windows_of(config, which)
        count = len(fields) // self.num_layers
        for n in range(self.num_layers):
            own = fields[n * count : (n + 1) * count]
            self.add_module(str(n), Layer(config, own, causal=self.causal, window=windows[n]))
        self.norm_final = Norm(scheme["final_norm"], width, config["norm_eps"])

    def forward(
        self, ids: Tensor, mask: Tensor | None, shared: nn.Module | None, *memory: Tensor | None
    ) -> Tensor:
        """[B, T, D] of ids [B, T], by the shared embedding or its own; a memory comes with its mask."""
        if ids.shape[1] > self.config["max_length"]:
            raise ValueError(f"at most {self.config['max_length']} tokens are read, got {ids.shape[1]}")
        real = real_tokens(mask, ids)
        on_the_right = mask is None or mask.ndim == 1  # where padding is, if there is any
        where = torch.arange(ids.shape[1], device=ids.device)  # of each token in its own sequence
        if real is not None and not on_the_right:
            where = (real.long().cumsum(dim=1) - 1).clamp(min=0)
        e = self.embedding_scale * (self.embedding if shared is None else shared)(ids)
        if self.config["positions"] == "learned":
            e = e + self.positions(where)
        elif self.config["positions"] == "sinusoidal":
            e = e + sinusoids(ids.shape[1], self.config["d_model"], ids.device).to(e.dtype)[where]
        x = times(self.input_scale, self.dropout(self.norm_embedding(e)))
        turns = rotary_turns(self.config, where) if self.config["positions"] == "rotary" else None
        allowed = self.allowed(real, on_the_right)
        for n in range(self.num_layers):
            x = getattr(self, str(n))(x, allowed, turns, *memory)
        return self.norm_final(x)

    def allowed(self, real: Tensor | None, on_the_right: bool) -> Tensor | None:
        """Which keys the stack's own queries may read, [B, 1, 1 or T, T]; None where no mask is needed.

        Padding on the right comes after every query of a causal stack. On the left a token of padding reads
        itself: a query that reads nothing would be no number.
        """
        if real is None or (self.causal and on_the_right):
            return None
        keys = real[:, None, None, :]
        if not self.causal:
            return keys
        itself = torch.eye(real.shape[1], dtype=torch.bool, device=real.device)
        return (up_to_itself(real.shape[1], real.device) & keys) | itself


class Output(nn.Module):
    """Logits: weights of its own or those of an embedding, a bias, a factor and a cap as they are given."""

    def __init__(self, config: Config, own_weight: bool) -> None:
        super().__init__()
        vocab, width = config["vocab_size"], config["d_model"]
        self.register_parameter("weight", nn.Parameter(torch.empty(vocab, width)) if own_weight else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(vocab)) if config["output_bias"] else None)
        if own_weight:
            nn.init.normal_(self.weight, std=width**-0.5)
        self.factor, self.cap = config["logits_scale"], config["logits_cap"]

    def forward(self, x: Tensor, tied: Tensor | None) -> Tensor:
        """[B, T, V] of [B, T, D]."""
        logits = F.linear(x, self.weight if tied is None else tied, self.bias)
        return soft_cap(logits if self.factor == 1 else self.factor * logits, self.cap)


class TorchTransformer(nn.Module):
    """An encoder-decoder, a language model (a decoder alone) or an encoder, of a ``config.json``.

    Weights are PyTorch's first ones until a state dict is loaded.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        check_known("the configuration", config, FIELDS)
        self.config = dict(config)
        stacks = [which for which in STACKS if config[f"{which}_layers"]]
        share = config["share_embeddings"]
        self.encoder_decoder = len(stacks) == 2
        apart = self.encoder_decoder and share in ("decoder", "none")
        if not apart:
            self.embedding = nn.Embedding(config["vocab_size"], config["d_model"])
        self.tied = share in ("all", "decoder")
        for which in stacks:
            self.add_module(which, Stack(self.config, which, own_embedding=apart))
        if "decoder" in stacks:
            self.output = Output(self.config, own_weight=not self.tied)

    def forward(
        self,
        source: Tensor,
        target: Tensor | None = None,
        source_mask: Tensor | None = None,
        target_mask: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, T, V] of the token after each that is read; of an encoder its output [B, S, D].

        source [B, S] are token ids, of a language model and an encoder the only ones; target [B, T] those
        that the decoder beside an encoder reads. A mask is bool [B, T], True where a token is no padding; or
        the lengths, int64 [B], of sequences that are padded on the right. What comes out for padding means
        nothing.
        """
        shared = getattr(self, "embedding", None)
        if (target is not None) != self.encoder_decoder:
            raise ValueError("an encoder-decoder takes source and target, any other model a source alone")
        ids, mask, memory = source, source_mask, []
        if self.config["encoder_layers"]:
            x = self.encoder(source, source_mask, shared)
            if not self.config["decoder_layers"]:
                return x
            real = real_tokens(source_mask, source)
            memory = [x, None if real is None else real[:, None, None, :]]
            ids, mask = target, target_mask
        x = self.decoder(ids, mask, shared, *memory)
        embedding = self.decoder.embedding if shared is None else shared
        return self.output(x, embedding.weight if self.tied else None)

    @property
    def sublayers(self) -> dict[str, list[tuple[str, str]]]:
        """Stack -> for each sub-layer the module whose input is x, and that whose output is a."""
        return {
            which: [
                (name, f"{name}.dropout")
                for name, one in self.named_modules()
                if isinstance(one, Sublayer) and name.startswith(f"{which}.")
            ]
            for which in STACKS
            if self.config[f"{which}_layers"]
        }


# Masks and positions


def real_tokens(given: Tensor | None, ids: Tensor) -> Tensor | None:
    """bool [B, T], True where there is no padding, of lengths [B] or a mask [B, T]; None is no padding."""
    if given is None:
        return None
    if given.ndim == 1:
        return torch.arange(ids.shape[1], device=ids.device) < given[:, None]
    return given.bool()


def up_to_itself(count: int, device: torch.device) -> Tensor:
    """bool [T, T]: a query reads no key after it."""
    return torch.ones(count, count, dtype=torch.bool, device=device).tril()


def windows_of(config: Config, which: str) -> list[int | None]:
    """How far a token of each layer of a stack sees, itself the last; None is to the end."""
    given = config["attention_window"]
    if given is None or isinstance(given, int):
        return [given] * config[f"{which}_layers"]
    before = config["encoder_layers"]
    return list(given[:before] if which == "encoder" else given[before:])


def within(window: int, count: int, causal: bool, allowed: Tensor | None, device: torch.device) -> Tensor:
    """What is allowed [B, 1, 1 or T, T], or everything, of it what a window shows; a query reads itself."""
    where = torch.arange(count, device=device)
    near = (where[:, None] - where).abs() < window
    if causal:
        near = near & up_to_itself(count, device)
    if allowed is None:
        return near
    return (allowed & near) | torch.eye(count, dtype=torch.bool, device=device)


def wide(device: torch.device) -> dict[str, Any]:
    """float64, where the device has it: in float32 the angles of late positions are rounded to 1e-4."""
    return {"dtype": torch.float32 if device.type == "mps" else torch.float64, "device": device}


def sinusoids(count: int, width: int, device: torch.device) -> Tensor:
    """Positions float64 [count, width]: sines, then cosines; an odd last feature is 0."""
    half = width // 2
    rates = 10000.0 ** (-torch.arange(half, **wide(device)) / max(half - 1, 1))
    angles = torch.arange(count, **wide(device))[:, None] * rates
    return F.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, width % 2))


def rotary_turns(config: Config, where: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines, float64 [T, width / 2] or [B, 1, T, width / 2], of the positions where [B, T]."""
    width = config["rotary_width"] or config["head_width"] or config["d_model"] // config["heads"]
    rates = (config["rotary_theta"] or 10000.0) ** (-torch.arange(0, width, 2, **wide(where.device)) / width)
    if config["rotary_scaling"]:
        factor, low, high, length = config["rotary_scaling"]  # Llama 3's
        share = ((length * rates / (2 * torch.pi) - low) / (high - low)).clamp(0, 1)
        rates = (1 - share) * rates / factor + share * rates
    angles = where.to(**wide(where.device))[..., None] * rates
    angles = angles if where.ndim == 1 else angles[:, None]
    return angles.cos(), angles.sin()


def turned(x: Tensor, turns: tuple[Tensor, Tensor], interleaved: bool) -> Tensor:
    """Heads [B, H, T, K], turned by positions in planes of two features: neighbours, or one of each half."""
    cos, sin = (one.to(x) for one in turns)
    first, rest = x[..., : 2 * cos.shape[-1]], x[..., 2 * cos.shape[-1] :]
    a, b = (first[..., 0::2], first[..., 1::2]) if interleaved else first.chunk(2, dim=-1)
    pair = a * cos - b * sin, b * cos + a * sin
    both = torch.stack(pair, dim=-1).flatten(-2) if interleaved else torch.cat(pair, dim=-1)
    return torch.cat([both, rest], dim=-1)


# Files


def check_known(what: str, given: Mapping[str, Any], known: set[str]) -> None:
    """That nothing is passed over: ValueError for a field that this file does not know."""
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"{what} has the field {unknown[0]!r}, which is not known here")


def load(folder: str | Path) -> TorchTransformer:
    """The model of a folder with ``config.json`` and ``model.safetensors``, without dropout (eval)."""
    from safetensors.torch import load_file

    config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    return with_weights(config, load_file(Path(folder, "model.safetensors")))


def with_weights(config: Config, state: Mapping[str, Tensor]) -> TorchTransformer:
    """A model of these tensors themselves, in their type, without dropout until ``train()`` is called."""
    with torch.device("meta"):
        model = TorchTransformer(config)
    model.load_state_dict(dict(state), assign=True)
    return model.eval()


def save(model: TorchTransformer, folder: str | Path) -> None:
    """Write a folder that `load` and ``admin_py.load_pretrained`` read, with this file as ``model.py``."""
    from safetensors.torch import save_file

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(json.dumps(model.config, indent=1) + "\n", encoding="utf-8")
    if Path(__file__).resolve() != (place / "model.py").resolve():
        shutil.copyfile(__file__, place / "model.py")
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    save_file(state, place / "model.safetensors", metadata={"format": "pt"})
