"""Profiling by admin-torch's rule: omega from the depth alone, variances measured if there is a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.schemes import admin_torch_omega

if TYPE_CHECKING:
    from admin_py.batch import Batch
    from admin_py.model import Transformer


def profile(
    model: Transformer, batch: Batch | None, output_change: str, *, dropout: bool, seed: int, apply: bool
) -> dict[str, dict[str, Any]]:
    """Columns ``omega``, ``var_input`` and ``var_branch`` [R] of every stack; sets omega if ``apply``.

    Sub-layers whose scheme profiles omega get that of `schemes.admin_torch_omega`, others keep theirs.
    Without a batch the variances are nan.
    """
    before = model.omega
    after = {stack: values.copy() for stack, values in before.items()}
    for stack, values in after.items():
        profiled = [residual.profiled for residual in model.config.residuals(stack)]
        values[profiled] = admin_torch_omega(len(values), output_change)
    own_seed, keep = model.seed, False
    try:
        model.set_omega(after)
        model.seed = seed
        seen = _variances(model, batch, dropout)
        keep = apply
    finally:
        model.seed = own_seed
        if not keep:
            model.set_omega(before)
    return {stack: {"omega": _means(values), **seen[stack]} for stack, values in after.items()}


def _means(values: np.ndarray) -> np.ndarray:
    """Mean over features of omega [R] or [R, D]."""
    return values.astype(np.float64).reshape(len(values), -1).mean(axis=1)


def _variances(model: Transformer, batch: Batch | None, dropout: bool) -> dict[str, dict[str, Any]]:
    if batch is not None:
        observed = model.observe(batch, activations=[], training=dropout)
        return {
            stack: {"var_input": observed.var_input[stack], "var_branch": observed.var_branch[stack]}
            for stack in observed.names
        }
    columns = ("var_input", "var_branch")
    return {
        stack: {column: np.full(model.config.num_sublayers(stack), np.nan) for column in columns}
        for stack in model.config.stacks
    }
