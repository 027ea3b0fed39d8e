"""A stack: sub-layers one after another, then the final norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .dropout import NoDropout
from .gradients import Gradients
from .naming import kinds, num_sublayers
from .norms import norm_backward, norm_forward
from .sublayer import Memory, SublayerPass, sublayer_backward, sublayer_forward


@dataclass
class StackPass:
    """Forward pass of one stack; ``dx`` holds dL/dx_0 .. dL/dx_R after the backward pass."""

    out: np.ndarray  # [M, D]
    sublayers: list[SublayerPass]
    final: Any
    dx: list[np.ndarray] = field(default_factory=list)


def stack_forward(
    config: dict[str, Any],
    stack_name: str,
    x: np.ndarray,
    offsets: np.ndarray,
    memory: Memory | None,
    params: Mapping[str, np.ndarray],
    dropout: NoDropout,
) -> StackPass:
    """The stack on its input x_0 = x [M, D]."""
    stack = config[stack_name]
    per_layer = len(kinds(stack))
    passes: list[SublayerPass] = []
    x_layer = x
    for i in range(num_sublayers(stack)):
        if i % per_layer == 0:
            x_layer = x
        passes.append(sublayer_forward(config, stack_name, i, x, x_layer, offsets, memory, params, dropout))
        x = passes[-1].out
    out, final = norm_forward(stack["norm_final"], x, params, f"{stack_name}.norm_final", config["norm_eps"])
    return StackPass(out, passes, final)


def stack_backward(
    config: dict[str, Any],
    stack_name: str,
    dout: np.ndarray,
    saved: StackPass,
    params: Mapping[str, np.ndarray],
    grads: Gradients,
) -> tuple[np.ndarray, np.ndarray | None]:
    """dx_0 [M, D] and dmemory [S, D] (None without cross-attention); also fills ``saved.dx``."""
    stack = config[stack_name]
    per_layer = len(kinds(stack))
    dx = norm_backward(stack["norm_final"], dout, saved.final, params, f"{stack_name}.norm_final", grads)
    saved.dx = [dx]
    dmemory: np.ndarray | None = None
    dx_layer = np.zeros_like(dx)
    for i in reversed(range(num_sublayers(stack))):
        dx, dl, dm = sublayer_backward(config, stack_name, i, dx, saved.sublayers[i], params, grads)
        dx_layer = dx_layer + dl
        if i % per_layer == 0:
            dx = dx + dx_layer
            dx_layer = np.zeros_like(dx)
        if dm is not None:
            dmemory = dm if dmemory is None else dmemory + dm
        saved.dx.insert(0, dx)
    return dx, dmemory
