"""Files of whole models: safetensors with the configuration in the header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.base import tensors
from admin_py.data.vocabulary import Vocabulary
from admin_py.model.config import TransformerConfig


class Saved(NamedTuple):
    """What a file holds."""

    state: dict[str, NDArray[Any]]
    config: TransformerConfig
    seed: int
    dtype: str
    step: int
    vocabulary: Vocabulary | None


def write(
    path: str | os.PathLike[str],
    state: Mapping[str, NDArray[Any]],
    config: TransformerConfig,
    *,
    seed: int,
    step: int,
    vocabulary: Vocabulary | None = None,
) -> None:
    """Write a model's file, whole or not at all. Missing folders are made.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    header = {"config": json.dumps(config.to_dict()), "seed": str(seed), "step": str(step)}
    if vocabulary is not None:
        header["vocabulary"] = json.dumps(vocabulary.to_dict())
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
    where = os.fspath(path)
    header, state = tensors.read(path, tensors.MODEL)
    try:
        config, seed = TransformerConfig.from_dict(json.loads(header["config"])), int(header["seed"])
        step = int(header.get("step", "0"))
        vocabulary = vocabulary_in(header)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where!r} has a damaged header: {error}") from None
    dtypes = {str(value.dtype) for value in state.values()}
    if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
        raise ValueError(
            f"{where!r} must hold arrays of float32 or of float64, got {', '.join(sorted(dtypes)) or 'none'}"
        )
    return Saved(state, config, seed, str(np.dtype(dtypes.pop())), step, vocabulary)


def vocabulary_in(header: Mapping[str, str]) -> Vocabulary | None:
    """What the header of a model's file, or of a checkpoint, says of its vocabulary; older ones say nothing.

    Raises
    ------
    ValueError
        If that is damaged.
    """
    told = header.get("vocabulary")
    try:
        return None if told is None else Vocabulary.from_dict(json.loads(told))
    except RecursionError:
        raise ValueError("its vocabulary is nested too deeply") from None
