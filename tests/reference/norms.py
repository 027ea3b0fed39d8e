"""Normalisations of rows: LayerNorm, RMSNorm, DyT, or none.

layer   y = gamma (x - mean(x)) / sqrt(var(x) + eps) + nu        var is the biased variance
rms     y = gamma x / sqrt(mean(x^2) + eps)
dyt     y = gamma tanh(scale x) + nu
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .gradients import Gradients


def norm_forward(
    kind: str, x: np.ndarray, params: Mapping[str, np.ndarray], name: str, eps: float
) -> tuple[np.ndarray, Any]:
    """y [M, D] of x [M, D], and what the backward pass reads."""
    if kind == "none":
        return x, None
    gamma = params[f"{name}.gamma"]
    if kind == "layer":
        rstd = 1.0 / np.sqrt(x.var(axis=1, keepdims=True) + eps)
        xhat = (x - x.mean(axis=1, keepdims=True)) * rstd
        return gamma * xhat + params[f"{name}.nu"], (xhat, rstd)
    if kind == "rms":
        rstd = 1.0 / np.sqrt((x**2).mean(axis=1, keepdims=True) + eps)
        xhat = x * rstd
        return gamma * xhat, (xhat, rstd)
    if kind == "dyt":
        t = np.tanh(params[f"{name}.scale"] * x)
        return gamma * t + params[f"{name}.nu"], (x, t)
    raise ValueError(f"unknown norm {kind!r}")


def norm_backward(
    kind: str, dy: np.ndarray, saved: Any, params: Mapping[str, np.ndarray], name: str, grads: Gradients
) -> np.ndarray:
    """dx [M, D] of dy [M, D]; adds the gradients of gamma, nu and scale."""
    if kind == "none":
        return dy
    gamma = params[f"{name}.gamma"]
    if kind == "dyt":
        x, t = saved
        grads.add(f"{name}.gamma", (dy * t).sum(axis=0))
        grads.add(f"{name}.nu", dy.sum(axis=0))
        du = dy * gamma * (1.0 - t**2)  # u = scale x
        grads.add(f"{name}.scale", (du * x).sum())
        return du * params[f"{name}.scale"]
    xhat, rstd = saved
    grads.add(f"{name}.gamma", (dy * xhat).sum(axis=0))
    dxhat = dy * gamma
    along = xhat * (dxhat * xhat).mean(axis=1, keepdims=True)  # the part that changes only the row's size
    if kind == "rms":
        return rstd * (dxhat - along)
    grads.add(f"{name}.nu", dy.sum(axis=0))
    return rstd * (dxhat - dxhat.mean(axis=1, keepdims=True) - along)
