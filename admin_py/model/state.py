"""Parameters that are loaded into a model: all are checked before any is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    check_names(state, own)
    return {name: _check_array(name, state[name], value, allow_nonfinite) for name, value in own.items()}


def check_names(state: Collection[Any], own: Collection[str]) -> None:
    """That names are those of a model's parameters; ValueError naming the first that are not."""
    missing = [name for name in own if name not in state]
    if missing:
        raise ValueError(f"state must hold {_listed(missing)}, which the model has")
    unknown = [str(name) for name in state if name not in own]
    if unknown:
        raise ValueError(f"state must not hold {_listed(unknown)}, which the model has not")


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


def check_weights(own: Mapping[str, NDArray[Any]], owner: str = "model") -> None:
    """That the weights of a model, or of another owner, are finite: else there is nothing to be measured.

    Raises
    ------
    ValueError
        Naming the first that is not.
    """
    for name, value in own.items():
        finite = np.isfinite(value)
        if not np.all(finite):
            bad = tuple(int(i) for i in np.argwhere(~finite)[0])
            raise ValueError(f"{owner}: the weight {name} must be finite, got {value[bad]} at {list(bad)}")


def write_state(checked: Mapping[str, NDArray[Any]], own: Mapping[str, NDArray[Any]]) -> None:
    """Writes what `check_state` gave into a model's own arrays: nothing in it may be changed on the way.

    What is given may be a view of what is written, as in a swap of two parameters: that is copied first.

    Examples
    --------
    >>> own = {"a": np.zeros(2), "b": np.ones(2)}
    >>> write_state({"a": own["b"], "b": own["a"]}, own)
    >>> own["a"], own["b"]
    (array([1., 1.]), array([0., 0.]))
    """
    own_bounds = [_bounds(value) for value in own.values()]
    low, high = min(bound[0] for bound in own_bounds), max(bound[1] for bound in own_bounds)
    apart = {}
    for name, value in checked.items():
        begin, end = _bounds(value)
        apart[name] = value.copy() if begin < high and low < end else value
    for name, value in apart.items():
        own[name][...] = value


def _bounds(array: NDArray[Any]) -> tuple[int, int]:
    """The addresses between which an array lies; a model's are one buffer.

    Examples
    --------
    >>> array = np.zeros((2, 3))
    >>> begin, end = _bounds(array[::-1, 1:2])
    >>> end - begin
    32
    """
    begin = end = array.__array_interface__["data"][0]
    if not array.size:
        return begin, end
    for length, stride in zip(array.shape, array.strides):
        begin += min(0, (length - 1) * stride)
        end += max(0, (length - 1) * stride)
    return begin, end + array.itemsize


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more
