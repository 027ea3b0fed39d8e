"""Files of whole models: safetensors with the configuration in the header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from admin_py.base.whole_files import write_whole
from admin_py.model.config import TransformerConfig

FORMAT = "admin-py model"
VERSION = "1"


class Saved(NamedTuple):
    """What a file holds."""

    state: dict[str, NDArray[Any]]
    config: TransformerConfig
    seed: int
    dtype: str


def write(
    path: str | os.PathLike[str], state: Mapping[str, NDArray[Any]], config: TransformerConfig, seed: int
) -> None:
    """Write a model's file, whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    header = {"format": FORMAT, "version": VERSION, "config": json.dumps(config.to_dict()), "seed": str(seed)}
    write_whole(path, save(dict(state), metadata=header))


def read(path: str | os.PathLike[str]) -> Saved:
    """Read a model's file.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is cut off, damaged, or of another kind.
    """
    where = os.fspath(path)
    with open(path, "rb"):  # an OSError that says why, where safetensors has its own
        pass
    try:
        with safe_open(where, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise ValueError(f"{where!r} is a safetensors file, but not one of an admin-py model")
            if header.get("version") != VERSION:
                raise ValueError(
                    f"{where!r} has version {header.get('version')!r} of the format, expected {VERSION!r}"
                )
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise ValueError(f"{where!r} is cut off or not a safetensors file: {error}") from None
    try:
        config, seed = TransformerConfig.from_dict(json.loads(header["config"])), int(header["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where!r} has a damaged header: {error}") from None
    dtypes = {str(value.dtype) for value in state.values()}
    if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
        raise ValueError(
            f"{where!r} must hold arrays of float32 or of float64, got {', '.join(sorted(dtypes)) or 'none'}"
        )
    return Saved(state, config, seed, str(np.dtype(dtypes.pop())))
