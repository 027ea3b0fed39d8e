"""Checkpoints of a training: one safetensors file that is whole at any moment.

The arrays (weights, the optimiser's moments, the history) are its tensors; the rest is JSON in its header.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base import tensors
from admin_py.base.whole_files import clear_aside
from admin_py.data.vocabulary import Vocabulary
from admin_py.model.config import TransformerConfig
from admin_py.model.files import vocabulary_in
from admin_py.model.transformer import Transformer

SEPARATOR = "/"
"""Between the levels of a tensor's name, such as ``history/valid/nll``."""


@dataclass(frozen=True)
class TrainingState:
    """Everything from which a training goes on as if it had never stopped.

    Attributes
    ----------
    setup : mapping
        What decides the numbers (configuration, optimiser, schedule, data, ...), as plain JSON.
    weights : mapping
        Name -> array, all parameters of the model.
    optimizer : mapping
        ``"step"``, ``"m"``, ``"v"`` as `Optimizer.state` gives them.
    history : mapping
        Nested mappings of arrays, as `Recorder.arrays` gives them.
    position : mapping of str to int
        Where in the data the next step begins: ``"epoch"``, and ``"batch"`` within it.
    progress : mapping
        ``"step"``, the steps done; ``"tail"``, whether their validation and callbacks are done too;
        ``"diverged_at"`` and ``"diverged_because"``.
    vocabulary : Vocabulary, optional
        Of the model.
    """

    setup: Mapping[str, Any]
    weights: Mapping[str, NDArray[Any]]
    optimizer: Mapping[str, Any]
    history: Mapping[str, Any]
    position: Mapping[str, int]
    progress: Mapping[str, Any]
    vocabulary: Vocabulary | None = None


def save(path: str | os.PathLike[str], state: TrainingState) -> None:
    """Write a checkpoint, whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written, because the disk is full for example; an older one is as before.
    """
    moments = {name: state.optimizer[name] for name in ("m", "v") if state.optimizer[name] is not None}
    arrays = dict(_flat({"weights": state.weights, "optimizer": moments, "history": state.history}))
    rest = {
        "setup": state.setup,
        "optimizer_step": state.optimizer["step"],
        "position": state.position,
        "progress": state.progress,
    }
    header = {"training": json.dumps(rest, allow_nan=False)}
    if state.vocabulary is not None:
        header["vocabulary"] = json.dumps(state.vocabulary.to_dict())
    try:
        tensors.write(path, tensors.CHECKPOINT, arrays, header)
    except OSError as error:
        raise OSError(
            error.errno or errno.EIO,
            f"the checkpoint cannot be written ({error.strerror or error}), an older one is as before",
            os.fspath(path),
        ) from error


def load(path: str | os.PathLike[str]) -> TrainingState:
    """Read what `save` wrote.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is cut off, damaged, or not a checkpoint.
    """
    where = os.fspath(path)
    header, arrays = tensors.read(path, tensors.CHECKPOINT)
    try:
        state = _assemble(arrays, json.loads(header["training"]))
        return replace(state, vocabulary=vocabulary_in(header))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where!r} is a damaged checkpoint: {type(error).__name__}: {error}") from None


def _assemble(arrays: Mapping[str, NDArray[Any]], rest: Mapping[str, Any]) -> TrainingState:
    nested = _nested(arrays)
    moments = nested.get("optimizer", {})
    return TrainingState(
        setup=dict(rest["setup"]),
        weights=_flat_names(nested["weights"]),
        optimizer={"step": int(rest["optimizer_step"]), "m": moments.get("m"), "v": moments.get("v")},
        history=nested["history"],
        position={name: int(rest["position"][name]) for name in ("epoch", "batch")},
        progress={
            "step": int(rest["progress"]["step"]),
            "tail": bool(rest["progress"]["tail"]),
            "diverged_at": rest["progress"]["diverged_at"],
            "diverged_because": rest["progress"]["diverged_because"],
        },
    )


def load_model(path: str | os.PathLike[str]) -> Transformer:
    """The model of a checkpoint as it was then: configuration, seed, dtype and weights.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is cut off, damaged, not a checkpoint, or does not say of which model it is.
    """
    where = os.fspath(path)
    state = load(path)
    try:
        made = state.setup["model"]
        model = Transformer(
            TransformerConfig.from_dict(made["config"]), seed=made["seed"], dtype=made["dtype"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{where!r} is a checkpoint that does not say of which model it is ({type(error).__name__}: "
            f"{error}): only the training that wrote it goes on from it"
        ) from None
    try:
        model.load_state(state.weights, allow_nonfinite=True)
        model.vocabulary = state.vocabulary
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where!r} is a damaged checkpoint: {error}") from None
    return model


def check_setup(path: str | os.PathLike[str], saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """That a checkpoint is of the training at hand.

    Raises
    ------
    ValueError
        Naming the file and the first thing that differs.

    Examples
    --------
    >>> check_setup("run.ckpt", {"seed": 1}, {"seed": 2})
    Traceback (most recent call last):
        ...
    ValueError: 'run.ckpt' is a checkpoint of another training: its seed is 1, not 2...
    """
    for name in dict.fromkeys((*own, *saved)):
        was, now = saved.get(name), own.get(name)
        if was != now:
            where, was, now = _first_difference(name, was, now)
            raise ValueError(
                f"{os.fspath(path)!r} is a checkpoint of another training: its {where} is {was!r:.100}, not "
                f"{now!r:.100}. Give another path, or resume=False to begin anew and replace it"
            )


def _first_difference(name: str, was: Any, now: Any) -> tuple[str, Any, Any]:
    """Down to the entry that differs, where both are mappings."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*now, *was)):
            if was.get(key) != now.get(key):
                return _first_difference(f"{name}.{key}", was.get(key), now.get(key))
    return name, was, now


# Names of tensors


def _flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}{SEPARATOR}")
        else:
            yield f"{prefix}{name}", value


def _nested(flat: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split(SEPARATOR)
        level = nested
        for parent in parents:
            level = level.setdefault(parent, {})
        level[last] = value
    return nested


def _flat_names(weights: Any) -> dict[str, NDArray[Any]]:
    if not isinstance(weights, dict) or not all(isinstance(value, np.ndarray) for value in weights.values()):
        raise ValueError("its weights are not arrays")
    return weights


# Files


def prepare(path: str | os.PathLike[str]) -> None:
    """Make a checkpoint's folder, see that it can be written, and clear what killed processes left aside.

    Raises
    ------
    OSError
        If there is a folder where the file shall be, or the file's folder cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "checkpoint must be a file, and here is a folder", str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    clear_aside(target)
    with tempfile.TemporaryFile(dir=target.parent):
        pass
