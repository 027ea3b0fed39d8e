"""Checkpoints of a training: one safetensors file that is whole at any moment.

The arrays (weights, the optimiser's moments, the history) are its tensors; the rest is JSON in its header,
which is checked as a whole before anything is made of it.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from admin_py.base import documents, tensors
from admin_py.base.checks import LARGEST, shown
from admin_py.base.locks import locked_file
from admin_py.base.paths import make_folder
from admin_py.base.plain_files import file_kind
from admin_py.base.whole_files import FolderNotFlushed, clear_aside
from admin_py.data.vocabulary import Vocabulary
from admin_py.model.config import TransformerConfig
from admin_py.model.files import check_shapes, check_types, config_of, vocabulary_in
from admin_py.model.transformer import Transformer
from admin_py.model.undrawn import undrawn

SEPARATOR = "/"
"""Between the levels of a tensor's name, such as ``history/valid/nll``."""


WEIGHTS = f"weights{SEPARATOR}"
"""What the names of the model's own tensors begin with."""

FLAT = ("average", "best")
"""Tensors of all weights, one after the other."""

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]


class _Position(msgspec.Struct, forbid_unknown_fields=True):
    epoch: Count
    batch: Count


class _Progress(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    step: Count
    tail: bool
    diverged_at: Count | None
    diverged_because: str | None
    best_step: Count | None = None


class _Rest(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON in a header."""

    setup: dict[str, Any]
    optimizer_step: Count
    position: _Position
    progress: _Progress


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
        ``"diverged_at"`` and ``"diverged_because"``; where there is `best`, ``"best_step"``, its step.
    vocabulary : Vocabulary, optional
        Of the model.
    average : float64 array, optional
        The moving average of all weights, as they lie in the model.
    best : array, optional
        All weights of the best validation, where they come back at the end.
    """

    setup: Mapping[str, Any]
    weights: Mapping[str, NDArray[Any]]
    optimizer: Mapping[str, Any]
    history: Mapping[str, Any]
    position: Mapping[str, int]
    progress: Mapping[str, Any]
    vocabulary: Vocabulary | None = None
    average: NDArray[Any] | None = None
    best: NDArray[Any] | None = None

    @property
    def best_steps(self) -> list[int]:
        """The step of the best weights; empty without them."""
        return [] if self.best is None else [self.progress.get("best_step", 0)]


def save(path: str | os.PathLike[str], state: TrainingState) -> None:
    """Write a checkpoint, whole or not at all.

    Raises
    ------
    OSError
        If it cannot be written, because the disk is full for example; an older one is as before, unless the
        error says that the new one is in place.
    """
    moments = {name: state.optimizer[name] for name in ("m", "v") if state.optimizer[name] is not None}
    arrays = dict(_flat({"weights": state.weights, "optimizer": moments, "history": state.history}))
    arrays |= {name: value for name in FLAT if (value := getattr(state, name)) is not None}
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
    except FolderNotFlushed:
        raise
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
    return _load(path)[0]


def _load(path: str | os.PathLike[str]) -> tuple[TrainingState, TransformerConfig | None]:
    """What a file holds, and the configuration that it tells; its tensors are held against it first."""
    where = os.fspath(path)
    with tensors.opened(path, tensors.CHECKPOINT) as file:
        try:
            rest = documents.convert(documents.parse(file.header["training"]), _Rest)
            config = _check_weights(file.entries, rest.setup)
            vocabulary = vocabulary_in(file.header)
        except KeyError as error:
            raise ValueError(f"{where!r} is a damaged checkpoint: {error} is missing") from None
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where!r} is a damaged checkpoint: {error}") from None
        arrays = file.read()
    try:
        return replace(_assemble(arrays, rest), vocabulary=vocabulary), config
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{where!r} is a damaged checkpoint: {type(error).__name__}: {error}") from None


def _check_weights(
    entries: Mapping[str, tensors.Entry], setup: Mapping[str, Any]
) -> TransformerConfig | None:
    """The configuration of the model, whose parameters the tensors must be; None where it is not told."""
    own = {name[len(WEIGHTS) :]: one for name, one in entries.items() if name.startswith(WEIGHTS)}
    check_types({name: one.dtype for name, one in own.items()})
    made = setup.get("model")
    told = made.get("config") if isinstance(made, Mapping) else None
    if not isinstance(told, Mapping) or "vocab_size" not in told:
        return None
    config = config_of(told, len(own))
    check_shapes({name: one.shape for name, one in own.items()}, config)
    return config


def _assemble(arrays: Mapping[str, NDArray[Any]], rest: _Rest) -> TrainingState:
    nested = _nested(arrays)
    moments = nested.get("optimizer", {})
    return TrainingState(
        setup=rest.setup,
        weights=_flat_names(nested["weights"]),
        optimizer={"step": rest.optimizer_step, "m": moments.get("m"), "v": moments.get("v")},
        history=nested["history"],
        position=msgspec.to_builtins(rest.position),
        progress=msgspec.to_builtins(rest.progress),
        **{name: nested.get(name) for name in FLAT},
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
    state, config = _load(path)
    try:
        made = state.setup["model"]
        config = config or TransformerConfig.from_dict(made["config"])
        with undrawn():
            model = Transformer(config, seed=made["seed"], dtype=made["dtype"])
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


def check_same_setup(path: str | os.PathLike[str], saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """That a checkpoint is of the training at hand.

    Raises
    ------
    ValueError
        Naming the file and the first thing that differs.

    Examples
    --------
    >>> check_same_setup("run.ckpt", {"seed": 1}, {"seed": 2})
    Traceback (most recent call last):
        ...
    ValueError: 'run.ckpt' is a checkpoint of another training: its seed is 1, not 2...
    """
    for name in dict.fromkeys((*FIRST, *own, *saved)):
        was, now = saved.get(name), own.get(name)
        if was != now:
            where, was, now = first_difference(name, was, now)
            raise _another(path, _users_name(where), _told(was), _told(now))


def check_vocabulary(path: str | os.PathLike[str], saved: Vocabulary | None, own: Vocabulary) -> None:
    """That a checkpoint is of data with the vocabulary at hand; older ones do not say.

    Raises
    ------
    ValueError
        Naming the file and both.
    """
    if saved is not None and saved.fingerprint != own.fingerprint:
        raise _another(path, "vocabulary", str(saved), str(own))


def _another(path: str | os.PathLike[str], what: str, was: str, now: str) -> ValueError:
    return ValueError(
        f"{os.fspath(path)!r} is a checkpoint of another training: its {what} is {was}, not {now}. Give "
        "another path, or resume=False to begin anew and replace it"
    )


FIRST = ("schedule",)
"""Compared first: whether the optimiser's rate counts follows from it."""

USERS_NAMES = {"schedule.kind": "schedule", "schedule.lr": "lr", "schedule.warmup": "warmup"}
USERS_NAMES |= {"optimizer.kind": "optimizer", "optimizer.lr": "lr"}
"""Place in the setup -> the argument of `train`; others are called after what they are of."""


def _users_name(where: str) -> str:
    """A place in the setup by the name that a user knows.

    Examples
    --------
    >>> _users_name("schedule.warmup"), _users_name("model.config.d_ff"), _users_name("max_tokens")
    ('warmup', 'd_ff of the model', 'max_tokens')
    """
    if where in USERS_NAMES or "." not in where:
        return USERS_NAMES.get(where, where)
    owner, _, rest = where.partition(".")
    return f"{rest.removeprefix('config.')} of the {owner}"


def _told(value: Any) -> str:
    """A setting's value; of a schedule its kind and numbers."""
    if isinstance(value, Mapping) and isinstance(value.get("kind"), str):
        numbers = ", ".join(f"{name}={one!r}" for name, one in value.items() if name != "kind")
        return f"{value['kind']}({numbers})"
    return shown(value)


def first_difference(name: str, was: Any, now: Any) -> tuple[str, Any, Any]:
    """Down to the entry that differs, where both are mappings."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys((*now, *was)):
            if was.get(key) != now.get(key):
                return first_difference(f"{name}.{key}", was.get(key), now.get(key))
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


@contextmanager
def held(path: str | os.PathLike[str]) -> Iterator[None]:
    """A checkpoint for this training alone, inside the ``with`` block.

    Its folder is made, it is seen that it can be written, and what killed processes left aside is cleared.

    Raises
    ------
    OSError
        If there is something else where the file shall be, or the file's folder cannot be written.
    InUse
        If another training has it.
    """
    given = Path(path)
    make_folder(given.parent)
    _check_plain(given)
    target = Path(os.path.realpath(given))
    with locked_file(target, "checkpoint"):
        clear_aside(target)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
        yield


def _check_plain(target: Path) -> None:
    """That the file, if it is there, is one from which a training can go on."""
    try:
        kind = file_kind(os.stat(target).st_mode)
    except FileNotFoundError:
        return
    if kind is not None:
        kinds = {"a folder": IsADirectoryError}
        raise kinds.get(kind, OSError)(
            errno.EISDIR if kind in kinds else errno.EINVAL,
            f"checkpoint must be a file, and here is {kind}",
            str(target),
        )


# What a training that is under way has shown


def load_progress(path: str | os.PathLike[str]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """How far a checkpoint is, and its history, without weights and moments.

    Returns
    -------
    progress : mapping
        As in `TrainingState`.
    history : mapping
        Nested mappings of arrays, from which a `Recorder` is made.

    Raises
    ------
    OSError, ValueError
        As `load`.
    """
    where = os.fspath(path)
    with tensors.opened(path, tensors.CHECKPOINT) as file:
        try:
            rest = documents.convert(documents.parse(file.header["training"]), _Rest)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{where!r} is a damaged checkpoint: {error}") from None
        begin = f"history{SEPARATOR}"
        arrays = {name: file.read_one(name) for name in file.entries if name.startswith(begin)}
    return msgspec.to_builtins(rest.progress), _nested(arrays).get("history", {})
