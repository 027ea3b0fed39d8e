"""Files of whole models: safetensors with the configuration in the header.

The header is held against the configuration before any memory is asked for: a file of a few hundred bytes may
say that it is of a model as large as the machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from admin_py.base import documents, tensors
from admin_py.base.builds import DTYPES, MAX_SEED, MODULES
from admin_py.base.checks import check_integer
from admin_py.base.paths import make_folder, path_of
from admin_py.data.vocabulary import Vocabulary
from admin_py.model.config import TransformerConfig
from admin_py.model.dropout_steps import MAX_STEP
from admin_py.model.state import check_names

HELD_AS: Mapping[str, str] = {"F64": "float64", "F32": "float32", "F16": "float32", "BF16": "float32"}
"""Type of weights in a header -> as which they are held, exactly."""


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
    more: Mapping[str, str] | None = None,
) -> None:
    """Write a model's file, whole or not at all, with more entries in its header. Missing folders are made.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = path_of(path)
    make_folder(path.parent)
    header = {"config": json.dumps(config.to_dict()), "seed": str(seed), "step": str(step), **(more or {})}
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
        If it is cut off, damaged, of another kind, or its tensors are not those of its configuration.
    """
    where = str(path_of(path))
    with tensors.opened(where, tensors.MODEL) as file:
        try:
            config = config_of(documents.parse(_entry(file.header, "config")), len(file.entries))
            seed = check_integer("seed", _integer(file.header, "seed"), 0, MAX_SEED)
            step = check_integer("step", _integer({"step": "0", **file.header}, "step"), 0, MAX_STEP)
            vocabulary = vocabulary_in(file.header)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where!r} has a damaged header: {error}") from None
        try:
            dtype = check_types({name: one.dtype for name, one in file.entries.items()})
        except ValueError as error:
            raise ValueError(f"{where!r} {error}") from None
        try:
            check_shapes({name: one.shape for name, one in file.entries.items()}, config)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where!r} does not hold a whole model: {error}") from None
        return Saved(file.read(), config, seed, dtype, step, vocabulary)


def config_of(data: Any, count: int) -> TransformerConfig:
    """The configuration that a header tells, of a model that has `count` tensors.

    Each sub-layer has several tensors: so a number of layers that the file cannot hold is refused before its
    sub-layers are listed.

    Raises
    ------
    TypeError, ValueError
        Naming the field.

    Examples
    --------
    >>> config_of({"vocab_size": 9, "encoder_layers": 10**5}, 3)
    Traceback (most recent call last):
        ...
    ValueError: encoder_layers is 100000, which 3 tensors cannot hold
    """
    for stack in ("encoder_layers", "decoder_layers"):
        layers = data.get(stack, 0) if isinstance(data, dict) else 0
        if isinstance(layers, int) and layers > count:
            raise ValueError(f"{stack} is {layers}, which {count} tensors cannot hold")
    return TransformerConfig.from_dict(data)


def check_types(types: Mapping[str, str]) -> str:
    """The dtype of a model of tensors of these types, as a header names them.

    Raises
    ------
    ValueError
        Naming a tensor whose type is not of floating point numbers, or not one that a model holds exactly.

    Examples
    --------
    >>> check_types({"a": "BF16", "b": "F32"}), check_types({"a": "F64"})
    ('float32', 'float64')
    """
    for name, dtype in types.items():
        if dtype not in HELD_AS:
            raise ValueError(
                f"must hold arrays of float32 or of float64, got {_named(dtype)} for {name!r} (float16 and "
                "bfloat16 are read, too, as float32)"
            )
    found = sorted({HELD_AS[dtype] for dtype in types.values()})
    if len(found) != 1:
        raise ValueError(f"must hold arrays of float32 or of float64, got {' and '.join(found) or 'none'}")
    return found[0]


def _named(dtype: str) -> str:
    """A type of a header by the name that it has in Python.

    Examples
    --------
    >>> _named("I32"), _named("U8"), _named("BOOL"), _named("F8_E4M3")
    ('int32', 'uint8', 'bool', 'float8_e4m3')
    """
    first = {"I": "int", "U": "uint", "F": "float"}.get(dtype[:1])
    return f"{first}{dtype[1:].lower()}" if first and dtype[1:2].isdigit() else dtype.lower()


def check_shapes(found: Mapping[str, tuple[int, ...]], config: TransformerConfig) -> None:
    """That tensors of these names and shapes are all the parameters of a model.

    Raises
    ------
    ValueError
        Naming the first that is missing, unknown or of another shape.
    """
    expected = parameter_shapes(config)
    check_names(found, expected)
    for name, shape in expected.items():
        if found[name] != shape:
            raise ValueError(f"{name} must have shape {shape}, got {found[name]}")


def parameter_shapes(config: TransformerConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the parameters that a model has; nothing is allocated.

    Examples
    --------
    >>> config = TransformerConfig(vocab_size=10**8, encoder_layers=1, decoder_layers=0)
    >>> parameter_shapes(config)["embedding.weight"]
    (100000000, 512)
    """
    return MODULES[DTYPES[0]].parameter_shapes(config.to_core())


def _entry(header: Mapping[str, str], name: str) -> str:
    if name not in header:
        raise ValueError(f"{name!r} is missing")
    return header[name]


def _integer(header: Mapping[str, str], name: str) -> int:
    """An entry that is the text of an integer, as `write` writes it."""
    text = _entry(header, name)
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ValueError(f"its {name} must be a number, got {text!r:.60}")
    return int(text)


def vocabulary_in(header: Mapping[str, str]) -> Vocabulary | None:
    """What the header of a model's file, or of a checkpoint, says of its vocabulary; older ones say nothing.

    Raises
    ------
    ValueError
        If that is damaged.
    """
    told = header.get("vocabulary")
    return None if told is None else Vocabulary.from_dict(documents.parse(told))
