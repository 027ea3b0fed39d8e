"""Checks of the parameters that are loaded into a model: all of them before any is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import check_array


def check_state(
    state: Mapping[str, Any], own: Mapping[str, NDArray[Any]], *, allow_nonfinite: bool
) -> dict[str, NDArray[Any]]:
    """The arrays of ``state`` in the dtype of ``own``, if names, shapes and values fit.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter, what was given and what was expected.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state must map names to arrays, got an object of type {type(state).__name__}")
    missing = [name for name in own if name not in state]
    if missing:
        raise ValueError(f"state must hold {_listed(missing)}, which the model has")
    unknown = [str(name) for name in state if name not in own]
    if unknown:
        raise ValueError(f"state must not hold {_listed(unknown)}, which the model has not")
    return {name: _check_array(name, state[name], value, allow_nonfinite) for name, value in own.items()}


def _check_array(name: str, given: Any, own: NDArray[Any], allow_nonfinite: bool) -> NDArray[Any]:
    array = check_array(name, given, "iufbcOSUVmM")
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must be an array of floating point numbers, got {array.dtype}")
    if array.shape != own.shape:
        raise ValueError(f"{name} must have shape {own.shape}, got {array.shape}")
    with np.errstate(over="ignore"):
        array = array.astype(own.dtype, copy=False)
    if not allow_nonfinite and not np.all(np.isfinite(array)):
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite in {own.dtype}, got {np.asarray(given)[bad]} at {list(bad)}")
    return array


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more
