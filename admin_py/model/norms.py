"""Norms of rows in NumPy: what the core does to queries and keys, for probabilities that are observed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.exact_math import tanh


def normed(
    kind: str, x: NDArray[Any], weights: Mapping[str, NDArray[Any]], name: str, eps: float
) -> NDArray[Any]:
    """The norm of that name over the last axis, in float64, as the type of x.

    Examples
    --------
    >>> weights = {"norm_q.gamma": np.ones(2)}
    >>> normed("rms", np.array([[3.0, 4.0]]), weights, "norm_q", 1e-5).round(3).tolist()
    [[0.849, 1.131]]
    """
    if kind == "none":
        return x
    wide, gamma = x.astype(np.float64), weights[f"{name}.gamma"]
    if kind == "dyt":
        flat = tanh(np.ravel(weights[f"{name}.scale"] * wide)).reshape(x.shape)
        return np.asarray(gamma * flat + weights[f"{name}.nu"]).astype(x.dtype)
    if kind == "layer":
        wide = wide - wide.mean(axis=-1, keepdims=True)
    unit = wide / np.sqrt((wide**2).mean(axis=-1, keepdims=True) + eps)
    shift = weights[f"{name}.nu"] if kind == "layer" else 0.0
    return np.asarray(gamma * unit + shift).astype(x.dtype)
