"""The analyses, slowly: every component of every sum is kept as an array of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .naming import kinds, sublayer_name
from .stack import StackPass
from .sublayer import SublayerPass, scale_value


@dataclass
class Components:
    """Of one stack: ``rows[i]`` is [i + 2 + 1, M, D], x_0, branches 1..i + 1 and norm biases in y_{i+1}."""

    rows: list[np.ndarray]
    output: np.ndarray  # the same of x_R


def linear_norm(
    kind: str, c: np.ndarray, x: np.ndarray, params: Mapping[str, np.ndarray], name: str, eps: float
) -> np.ndarray:
    """A norm as it acts on the components c [J, M, D] of x [M, D]; its nu goes to the last of them."""
    if kind == "none":
        return c
    gamma = params[f"{name}.gamma"]
    if kind == "rms":
        return gamma * c / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    assert kind == "layer", "DyT is not linear"
    centred = c - c.mean(axis=-1, keepdims=True)
    mapped = gamma * centred / np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    mapped[-1] += params[f"{name}.nu"]
    return mapped


def components(
    config: dict[str, Any], stack_name: str, run: StackPass, params: Mapping[str, np.ndarray]
) -> Components:
    """Decomposition of every y_i of a stack's forward pass."""
    stack, eps = config[stack_name], config["norm_eps"]
    first: SublayerPass = run.sublayers[0]
    c = np.stack([first.x, np.zeros_like(first.x)])
    layer = c
    rows = []
    for i, own in enumerate(run.sublayers):
        sub, name = stack["sublayers"][i], sublayer_name(stack_name, stack, i)
        if i % len(kinds(stack)) == 0:
            layer = c
        r = c
        if sub["residual_normed"]:
            r = linear_norm(sub["norm_pre"], c, own.x, params, f"{name}.norm_pre", eps)
        y = scale_value("omega", params, name, sub) * r
        y[: len(layer) - 1] += sub["kappa"] * layer[:-1]
        y[-1] += sub["kappa"] * layer[-1]
        branch = scale_value("alpha", params, name, sub) * own.b
        y = np.concatenate([y[:-1], branch[np.newaxis], y[-1:]])
        rows.append(y)
        c = linear_norm(sub["norm_post"], y, own.y, params, f"{name}.norm_post", eps)
    return Components(rows, c)


def predicted(
    config: dict[str, Any], stack_name: str, run: StackPass, params: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Var(b_i) / (Var(omega_i r_i) + Var(b_i)) over all tokens and features [R]."""
    stack = config[stack_name]
    shares = []
    for i, own in enumerate(run.sublayers):
        sub, name = stack["sublayers"][i], sublayer_name(stack_name, stack, i)
        branch = (scale_value("alpha", params, name, sub) * own.b).var()
        residual = (scale_value("omega", params, name, sub) * own.r).var()
        shares.append(branch / (residual + branch) if branch > 0 else 0.0)
    return np.array(shares)


def standardised(y: np.ndarray, eps: float) -> np.ndarray:
    """Rows less their mean, over the root of their variance and eps."""
    return (y - y.mean(axis=1, keepdims=True)) / np.sqrt(y.var(axis=1, keepdims=True) + eps)


def changes(one: StackPass, other: StackPass, eps: float) -> tuple[np.ndarray, float]:
    """Mean over tokens of |xhat_i - xhat_i'|^2 [R], and the same of x_0."""

    def change(y: np.ndarray, z: np.ndarray) -> float:
        return float(((standardised(y, eps) - standardised(z, eps)) ** 2).sum(axis=1).mean())

    rows = [change(a.y, b.y) for a, b in zip(one.sublayers, other.sublayers, strict=True)]
    return np.array(rows), change(one.sublayers[0].x, other.sublayers[0].x)
