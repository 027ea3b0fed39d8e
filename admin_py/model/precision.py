"""Whether the type in which a model computes holds the numbers of its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admin_py.base.precision import check_held

if TYPE_CHECKING:
    from admin_py.model.config import TransformerConfig


def check_precision(config: TransformerConfig, dtype: str) -> None:
    """ValueError naming the first number that the type would round to 0 or to infinity."""
    for name in ("norm_eps", "init_gain"):
        check_held(name, getattr(config, name), dtype)
    for stack in config.stacks:
        check_held(f"embedding_gain of the {stack}", config.embedding_gain(stack), dtype)
        for name, residual in zip(config.sublayer_names(stack), config.residuals(stack), strict=True):
            for field in ("input_scale", "kappa"):
                check_held(f"{field} of {name}", getattr(residual, field), dtype)
            for field in ("omega", "alpha"):
                check_held(f"{field} of {name}", getattr(residual, field).value, dtype)
            for weight, gain in residual.gains.items():
                check_held(f"gains[{weight!r}] of {name}", gain, dtype)
