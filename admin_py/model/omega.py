"""The skip scales of a model's sub-layers, read from and written to its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import check_array, shown

if TYPE_CHECKING:
    from admin_py.model.config import TransformerConfig


def read_omega(config: TransformerConfig, stack: str, parameters: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """omega of a stack: [R], or [R, D] where any sub-layer has a vector; 1 where there is none."""
    residuals, names = config.residuals(stack), config.sublayer_names(stack)
    vector = any(residual.omega.kind == "vector" for residual in residuals)
    dtype = next(iter(parameters.values())).dtype
    omega = np.ones((len(names), config.d_model) if vector else len(names), dtype)
    for row, (name, residual) in enumerate(zip(names, residuals, strict=True)):
        if residual.omega.kind != "none":
            value = parameters[f"{name}.omega"]
            omega[row] = value if vector else value[0]
    return omega


def profiled_sublayers(config: TransformerConfig) -> list[str]:
    """Names of the sub-layers whose omega a profile sets."""
    return [
        name
        for stack in config.stacks
        for name, residual in zip(config.sublayer_names(stack), config.residuals(stack), strict=True)
        if residual.profiled
    ]


def is_unprofiled(config: TransformerConfig, parameters: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a profile sets omega in some sub-layers, and it is 1 in all of them."""
    names = profiled_sublayers(config)
    return bool(names) and all(bool(np.all(parameters[f"{name}.omega"] == 1.0)) for name in names)


def check_omega(config: TransformerConfig, stack: str, values: Any, dtype: str) -> NDArray[Any]:
    """Values that `write_omega` can write for a stack: [R, 1] or [R, D].

    Raises
    ------
    ValueError, TypeError
        Naming the sub-layer whose omega cannot be that.
    """
    if stack not in config.stacks:
        raise ValueError(f"omega must be of the stacks {', '.join(config.stacks)}, got {shown(stack)}")
    names, d = config.sublayer_names(stack), config.d_model
    array = check_array(f"omega of the {stack}", values)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.shape not in ((len(names), 1), (len(names), d)):
        raise ValueError(
            f"omega of the {stack} must have shape ({len(names)},) or ({len(names)}, {d}), got "
            f"{np.shape(values)}"
        )
    with np.errstate(over="ignore"):
        array = array.astype(dtype)
    for name, residual, row in zip(names, config.residuals(stack), array, strict=True):
        if not np.all(np.isfinite(row)):
            raise ValueError(f"omega of {name} must be finite, got {row[~np.isfinite(row)][0]}")
        if residual.omega.kind == "none" and np.any(row != 1):
            raise ValueError(
                f"omega of {name} must be 1, for its scheme has none there, got {row[row != 1][0]}"
            )
        if residual.omega.kind == "scalar" and np.any(row != row[0]):
            raise ValueError(f"omega of {name} must be one number, got {row.size} different ones")
    return array


def write_omega(
    config: TransformerConfig, stack: str, omega: NDArray[Any], parameters: Mapping[str, NDArray[Any]]
) -> None:
    """Writes checked values [R, 1] or [R, D]."""
    for name, residual, row in zip(config.sublayer_names(stack), config.residuals(stack), omega, strict=True):
        if residual.omega.kind != "none":
            parameter = parameters[f"{name}.omega"]
            parameter[...] = row if parameter.size == row.size else row[0]
