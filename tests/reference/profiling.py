"""Variance profiling: omega of every sub-layer from one forward pass.

    clinic   acc = 1; for i = 1..R: omega_i = acc, then acc = sqrt(Var(omega_i x_{i-1}) + Var(a_i))
    paper    omega = 1 throughout; omega_i = sqrt(1 + sum_{j<i} Var(a_j))

Var is the biased variance over all tokens and features, one number. A sub-layer that is not ``profiled``
keeps the omega it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .dropout import NoDropout
from .embedding import embedding_forward
from .naming import kinds, num_sublayers, scale_name, sublayer_name
from .norms import norm_forward
from .ragged import Batch, shift
from .sublayer import Memory, scale_value, sublayer_forward


@dataclass
class Profile:
    """One stack's profile: omega, Var(x_{i-1}) and Var(a_i), each [R]."""

    omega: np.ndarray
    var_input: np.ndarray
    var_branch: np.ndarray


def profile_stack(
    config: dict[str, Any],
    stack_name: str,
    x: np.ndarray,
    offsets: np.ndarray,
    memory: Memory | None,
    params: dict[str, np.ndarray],
    method: str,
    dropout: NoDropout,
) -> tuple[np.ndarray, Profile]:
    """The stack's result [M, D] on x_0 = x and its profile; sets omega in ``params``."""
    stack = config[stack_name]
    R = num_sublayers(stack)
    profile = Profile(np.zeros(R), np.zeros(R), np.zeros(R))
    acc, x_layer = 1.0, x
    for i in range(R):
        sub, name = stack["sublayers"][i], sublayer_name(stack_name, stack, i)
        own = sub["profiled"] and sub["omega"]["kind"] != "none"
        if own:
            params[scale_name("omega", name, sub["omega"])][...] = acc if method == "clinic" else 1.0
        if i % len(kinds(stack)) == 0:
            x_layer = x
        run = sublayer_forward(config, stack_name, i, x, x_layer, offsets, memory, params, dropout)
        omega = scale_value("omega", params, name, sub)
        profile.omega[i] = np.mean(omega)
        profile.var_input[i], profile.var_branch[i] = np.var(x), np.var(run.a)
        acc = float(np.sqrt(np.var(omega * x) + np.var(run.a)))
        x = run.out
    if method == "paper":
        sums = np.sqrt(1.0 + np.concatenate([[0.0], np.cumsum(profile.var_branch)[:-1]]))
        for i in range(R):
            sub, name = stack["sublayers"][i], sublayer_name(stack_name, stack, i)
            if sub["profiled"] and sub["omega"]["kind"] != "none":
                profile.omega[i] = sums[i]
                params[scale_name("omega", name, sub["omega"])][...] = sums[i]
    return norm_forward(stack["norm_final"], x, params, f"{stack_name}.norm_final", config["norm_eps"])[
        0
    ], profile


def profile(
    config: dict[str, Any],
    params: Mapping[str, np.ndarray],
    batch: Batch,
    *,
    method: str = "clinic",
    dropout: NoDropout | None = None,
) -> tuple[dict[str, Profile], dict[str, np.ndarray]]:
    """Profiles of the model's stacks, and its parameters with omega set."""
    dropout = dropout or NoDropout()
    changed = {name: value.copy() for name, value in params.items()}
    profiles: dict[str, Profile] = {}
    memory = None
    for stack_name in ("encoder", "decoder"):
        if not config[stack_name]["layers"]:
            continue
        tokens, offsets = batch[:2]
        if stack_name == "decoder":
            whole = batch[2:] if profiles else batch[:2]
            assert whole[0] is not None
            assert whole[1] is not None
            tokens, _, offsets = shift(whole[0], whole[1])
        x, _ = embedding_forward(config, stack_name, tokens, offsets, changed, dropout)
        out, profiles[stack_name] = profile_stack(
            config, stack_name, x, offsets, memory, changed, method, dropout
        )
        memory = Memory(out, offsets)
    return profiles, changed
