"""Files of whole models: safetensors with the configuration in the header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.base import tensors
from admin_py.base.paths import make_folder, path_of
from admin_py.model.config import TransformerConfig


class Saved(NamedTuple):
    """What a file holds."""

    state: dict[str, NDArray[Any]]
    config: TransformerConfig
    seed: int
    dtype: str
    step: int


def write(
    path: str | os.PathLike[str],
    state: Mapping[str, NDArray[Any]],
    config: TransformerConfig,
    *,
    seed: int,
    step: int,
) -> None:
    """Write a model's file, whole or not at all. Missing folders are made.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = path_of(path)
    make_folder(path.parent)
    header = {"config": json.dumps(config.to_dict()), "seed": str(seed), "step": str(step)}
    tensors.write(path, tensors.MODEL, state, header)


def read(path: str | os.PathLike[str]) -> Saved:
    """Read a model's file.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is cut off, damaged, or of another kind.
    """
    where = str(path_of(path))
    header, state = tensors.read(where, tensors.MODEL)
    try:
        config, seed = TransformerConfig.from_dict(json.loads(header["config"])), int(header["seed"])
        step = int(header.get("step", "0"))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where!r} has a damaged header: {error}") from None
    dtypes = {str(value.dtype) for value in state.values()}
    if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
        raise ValueError(
            f"{where!r} must hold arrays of float32 or of float64, got {', '.join(sorted(dtypes)) or 'none'}"
        )
    return Saved(state, config, seed, str(np.dtype(dtypes.pop())), step)
