"""Profiling by admin-torch's rule: omega from the depth alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.schemes import admin_torch_omega

if TYPE_CHECKING:
    from admin_py.model.config import TransformerConfig


def omegas(
    config: TransformerConfig, before: Mapping[str, np.ndarray], output_change: str
) -> dict[str, np.ndarray]:
    """Stack -> omega [R] or [R, D] by the rule.

    Sub-layers whose scheme profiles omega get that of `schemes.admin_torch_omega`, others keep theirs.
    """
    after = {stack: values.copy() for stack, values in before.items()}
    for stack, values in after.items():
        profiled = [residual.profiled for residual in config.residuals(stack)]
        values[profiled] = admin_torch_omega(len(values), output_change)
    return after


def columns(
    omega: Mapping[str, np.ndarray],
    var_input: Mapping[str, np.ndarray] | None,
    var_branch: Mapping[str, np.ndarray] | None,
) -> dict[str, dict[str, Any]]:
    """Stack -> columns of its profile; nan for variances that were not measured."""
    found = {}
    for stack, values in omega.items():
        unknown = np.full(len(values), np.nan)
        found[stack] = {
            "omega": values.astype(np.float64).reshape(len(values), -1).mean(axis=1),
            "var_input": unknown if var_input is None else var_input[stack],
            "var_branch": unknown if var_branch is None else var_branch[stack],
        }
    return found
