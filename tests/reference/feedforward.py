"""The feed-forward branch.

u = h W1^T + b1        z = dropout(activation(u))        a = Ninner(z) W2^T + b2

gated:  g = h Wg^T + bg        z = dropout(u activation(g))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import erf, expit

from .dropout import NoDropout
from .gradients import Gradients
from .linear import linear_backward, linear_forward
from .norms import norm_backward, norm_forward


def activation_forward(kind: str, u: np.ndarray) -> np.ndarray:
    """The activation of u; that of gelu is u Phi(u), Phi the standard normal distribution function."""
    if kind == "relu":
        return np.maximum(u, 0.0)
    if kind == "relu_squared":
        return np.maximum(u, 0.0) ** 2
    if kind == "silu":
        return u * expit(u)
    if kind == "quick_gelu":
        return u * expit(1.702 * u)
    if kind == "gelu_tanh":
        return 0.5 * u * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (u + 0.044715 * u**3)))
    return u * 0.5 * (1.0 + erf(u / np.sqrt(2.0)))


def activation_backward(kind: str, dz: np.ndarray, u: np.ndarray) -> np.ndarray:
    """du; the derivative of gelu is Phi(u) + u phi(u), that of the logistic function s (1 - s)."""
    if kind == "relu":
        return dz * (u > 0.0)
    if kind == "relu_squared":
        return dz * 2.0 * np.maximum(u, 0.0)
    if kind in ("silu", "quick_gelu"):
        slope = 1.0 if kind == "silu" else 1.702
        s = expit(slope * u)
        return dz * (s + u * s * (1.0 - s) * slope)
    if kind == "gelu_tanh":
        t = np.tanh(np.sqrt(2.0 / np.pi) * (u + 0.044715 * u**3))
        inner = np.sqrt(2.0 / np.pi) * (1.0 + 3.0 * 0.044715 * u**2)
        return dz * 0.5 * (1.0 + t + u * (1.0 - t**2) * inner)
    density = np.exp(-0.5 * u**2) / np.sqrt(2.0 * np.pi)
    return dz * (0.5 * (1.0 + erf(u / np.sqrt(2.0))) + u * density)


def feedforward_forward(
    h: np.ndarray,
    params: Mapping[str, np.ndarray],
    name: str,
    *,
    activation: str,
    gated: bool,
    norm_inner: str,
    eps: float,
    rate: float,
    dropout: NoDropout,
    stack: str,
    sublayer: int,
) -> tuple[np.ndarray, Any]:
    """a [M, D] of h [M, D], and what backward reads."""
    u = linear_forward(h, params, f"{name}.fc1")
    mask = dropout.rows(stack, "activation", u.shape, rate, sublayer)
    g = linear_forward(h, params, f"{name}.gate") if gated else u
    z = activation_forward(activation, g) * mask
    z = z * u if gated else z
    n, inner = norm_forward(norm_inner, z, params, f"{name}.norm_inner", eps)
    return linear_forward(n, params, f"{name}.fc2"), (h, u, g, mask, n, inner)


def feedforward_backward(
    da: np.ndarray,
    saved: Any,
    params: Mapping[str, np.ndarray],
    name: str,
    *,
    activation: str,
    gated: bool,
    norm_inner: str,
    grads: Gradients,
) -> np.ndarray:
    """dh [M, D] of da [M, D]."""
    h, u, g, mask, n, inner = saved
    dn = linear_backward(da, n, params, f"{name}.fc2", grads)
    dz = norm_backward(norm_inner, dn, inner, params, f"{name}.norm_inner", grads)
    if gated:
        dg = activation_backward(activation, dz * mask * u, g)
        du = dz * mask * activation_forward(activation, g)
        dh = linear_backward(dg, h, params, f"{name}.gate", grads)
        return dh + linear_backward(du, h, params, f"{name}.fc1", grads)
    du = activation_backward(activation, dz * mask, u)
    return linear_backward(du, h, params, f"{name}.fc1", grads)
