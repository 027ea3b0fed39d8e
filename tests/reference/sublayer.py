"""The one residual sub-layer:

h  = s Npre(x)                                    or s Npre(x_layer) where it is parallel
a  = dropout(f(h))                                f: attention or feed-forward
y  = omega (.) r + alpha (.) Nbranch(a) + kappa x_layer          r = Npre(x) if residual_normed, else x
x' = Npost(y)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .attention import attention_backward, attention_forward
from .dropout import NoDropout
from .feedforward import feedforward_backward, feedforward_forward
from .gradients import Gradients
from .naming import scale_name, sublayer_name
from .norms import norm_backward, norm_forward


@dataclass
class Memory:
    """What cross-attention reads: the encoder's result [S, D], packed by offsets [B + 1]."""

    x: np.ndarray
    offsets: np.ndarray


@dataclass
class SublayerPass:
    """One sub-layer's forward pass, with all that its backward pass reads."""

    x: np.ndarray  # [M, D]
    h: np.ndarray
    a: np.ndarray  # branch output, after dropout
    b: np.ndarray  # Nbranch(a)
    r: np.ndarray
    y: np.ndarray
    out: np.ndarray
    mask: np.ndarray  # dropout of a
    branch: Any
    norms: dict[str, Any]


def _rotary(config: dict[str, Any], name: str) -> dict[str, Any] | None:
    """How positions turn queries and keys of self-attention, where they do."""
    turns = config["positions"] == "rotary" and name.endswith("self_attn")
    return dict(config["attention"]["rotary"]) if turns else None


def scale_value(
    which: str, params: Mapping[str, np.ndarray], name: str, sub: dict[str, Any]
) -> np.ndarray | float:
    """omega or alpha: [D], [1], or 1 where there is none."""
    return 1.0 if sub[which]["kind"] == "none" else params[scale_name(which, name, sub[which])]


def sublayer_forward(
    config: dict[str, Any],
    stack_name: str,
    i: int,
    x: np.ndarray,
    x_layer: np.ndarray,
    offsets: np.ndarray,
    memory: Memory | None,
    params: Mapping[str, np.ndarray],
    dropout: NoDropout,
) -> SublayerPass:
    """Sub-layer i (from 0) of a stack on x [M, D]; x_layer [M, D] is the input of its layer."""
    stack, eps = config[stack_name], config["norm_eps"]
    sub, name = stack["sublayers"][i], sublayer_name(stack_name, stack, i)
    norms: dict[str, Any] = {}
    read = x_layer if sub["parallel"] else x
    n, norms["pre"] = norm_forward(sub["norm_pre"], read, params, f"{name}.norm_pre", eps)
    h = sub["input_scale"] * n
    common: dict[str, Any] = {
        "norm_inner": sub["norm_inner"], "eps": eps, "dropout": dropout, "stack": stack_name, "sublayer": i
    }  # fmt: skip
    if name.endswith("feed_forward"):
        rate = config["activation_dropout"]
        kind = {"activation": config["activation"], "gated": config["gated"]}
        f, branch = feedforward_forward(h, params, name, rate=rate, **kind, **common)
    else:
        cross = name.endswith("cross_attn")
        assert memory is not None or not cross
        source, source_offsets = (memory.x, memory.offsets) if cross and memory else (h, offsets)
        f, branch = attention_forward(
            h, offsets, source, source_offsets, params, name,
            heads=config["heads"], attention=config["attention"], rotary=_rotary(config, name),
            causal=stack["causal"] and not cross, window=sub["window"],
            rate=config["attention_dropout"],
            **common,
        )  # fmt: skip
    mask = dropout.rows(stack_name, "branch", f.shape, config["dropout"], i)
    a = f * mask
    b, norms["branch"] = norm_forward(sub["norm_branch"], a, params, f"{name}.norm_branch", eps)
    r = n if sub["residual_normed"] else x
    y = scale_value("omega", params, name, sub) * r + scale_value("alpha", params, name, sub) * b
    y = y + sub["kappa"] * x_layer
    out, norms["post"] = norm_forward(sub["norm_post"], y, params, f"{name}.norm_post", eps)
    return SublayerPass(x, h, a, b, r, y, out, mask, branch, norms)


def _scale_backward(
    which: str, dy: np.ndarray, factor: np.ndarray, name: str, sub: dict[str, Any], grads: Gradients
) -> None:
    """d scale of scale (.) factor: summed over rows, and over features where the scale is one number."""
    if sub[which]["kind"] != "none":
        product = dy * factor
        vector = sub[which]["kind"] == "vector"
        grads.add(scale_name(which, name, sub[which]), product.sum(axis=0) if vector else product.sum())


def sublayer_backward(
    config: dict[str, Any],
    stack_name: str,
    i: int,
    dout: np.ndarray,
    saved: SublayerPass,
    params: Mapping[str, np.ndarray],
    grads: Gradients,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """dx (without what comes through x_layer) and dx_layer [M, D]; dmemory [S, D] of cross-attention."""
    stack = config[stack_name]
    sub, name = stack["sublayers"][i], sublayer_name(stack_name, stack, i)
    dy = norm_backward(sub["norm_post"], dout, saved.norms["post"], params, f"{name}.norm_post", grads)
    _scale_backward("omega", dy, saved.r, name, sub, grads)
    _scale_backward("alpha", dy, saved.b, name, sub, grads)
    dr = scale_value("omega", params, name, sub) * dy
    db = scale_value("alpha", params, name, sub) * dy
    dx_layer = sub["kappa"] * dy
    da = norm_backward(sub["norm_branch"], db, saved.norms["branch"], params, f"{name}.norm_branch", grads)
    df = da * saved.mask
    dmemory = None
    inner = sub["norm_inner"]
    if name.endswith("feed_forward"):
        kind = {"activation": config["activation"], "gated": config["gated"]}
        dh = feedforward_backward(df, saved.branch, params, name, **kind, norm_inner=inner, grads=grads)
    else:
        dh, dsource = attention_backward(
            df, saved.branch, params, name,
            heads=config["heads"], attention=config["attention"], rotary=_rotary(config, name),
            norm_inner=inner, grads=grads,
        )  # fmt: skip
        if name.endswith("cross_attn"):
            dmemory = dsource
        else:
            dh = dh + dsource
    dn = sub["input_scale"] * dh
    dx = np.zeros_like(dr)
    if sub["residual_normed"]:
        dn = dn + dr
    else:
        dx = dr
    dread = norm_backward(sub["norm_pre"], dn, saved.norms["pre"], params, f"{name}.norm_pre", grads)
    if sub["parallel"]:
        return dx, dx_layer + dread, dmemory
    return dx + dread, dx_layer, dmemory
