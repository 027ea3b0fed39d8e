"""y = x W^T + b with W [out, in]; b may be missing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .gradients import Gradients


def linear_forward(x: np.ndarray, params: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """y [M, out] of x [M, in]."""
    return x @ params[f"{name}.weight"].T + params.get(f"{name}.bias", 0.0)


def linear_backward(
    dy: np.ndarray, x: np.ndarray, params: Mapping[str, np.ndarray], name: str, grads: Gradients
) -> np.ndarray:
    """dx [M, in]; dW = dy^T x, db = sum of the rows of dy."""
    grads.add(f"{name}.weight", dy.T @ x)
    if f"{name}.bias" in params:
        grads.add(f"{name}.bias", dy.sum(axis=0))
    return dy @ params[f"{name}.weight"]
