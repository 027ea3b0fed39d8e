"""Whether what a checkpoint holds is what a training needs to go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from admin_py.training.checkpoint import FLAT, TrainingState
from admin_py.training.history import VALID_COLUMNS
from admin_py.training.recorder import Recorder

if TYPE_CHECKING:
    from admin_py.model.transformer import Transformer
    from admin_py.training.plan import Plan
    from admin_py.training.stopping import Stopping


def history_of(state: TrainingState, plan: Plan, *, matrices: Sequence[str]) -> Recorder:
    """The history of a checkpoint, which goes on.

    Raises
    ------
    TypeError, ValueError
        If it is not whole, or its validations measured something else than those of the training.
    """
    history = Recorder(state.history, matrices=matrices)
    history.diverged_at = state.progress["diverged_at"]
    history.diverged_because = state.progress["diverged_because"]
    if history.freeze().num_steps != state.progress["step"]:
        raise ValueError(f"its history has {history.num_steps} steps, not {state.progress['step']}")
    monitor = plan.stopping.monitor
    expected = [*VALID_COLUMNS, *([] if monitor is None else [monitor.name])]
    if len(history.valid["step"]) and list(history.valid) != expected:
        raise ValueError(f"its validations have {', '.join(history.valid)}, not {', '.join(expected)}")
    return history


def num_updates(state: TrainingState) -> int:
    """Steps that changed the weights."""
    return int(state.progress["step"]) - (state.progress["diverged_at"] is not None)


def check_parts(state: TrainingState, model: Transformer, plan: Plan) -> None:
    """That position, moments, average and best weights are such as this training has, else ValueError."""
    _check_position(state, plan.accumulate)
    _check_moments(state, model)
    if plan.ema is not None and num_updates(state) and state.average is None:
        raise ValueError("its average is missing")
    length = model._core.weights.size
    dtypes = {"average": np.dtype(np.float64), "best": np.dtype(model.dtype)}
    for name in FLAT:
        value, dtype = getattr(state, name), dtypes[name]
        if value is not None and (value.dtype != dtype or value.shape != (length,)):
            raise ValueError(f"its {name} is {value.dtype} {list(value.shape)}, not {dtype} [{length}]")


def _check_position(state: TrainingState, accumulate: int) -> None:
    """That so many batches have been read: each epoch has one at least."""
    epoch, batch = state.position["epoch"], state.position["batch"]
    read = state.progress["step"] * accumulate
    if epoch + batch > read:
        raise ValueError(
            f"its position is batch {batch} of epoch {epoch}, after {read} batches that were read"
        )


def _check_moments(state: TrainingState, model: Transformer) -> None:
    """That moments have the model's dtype and one of the two lengths that optimisers use."""
    length = model._core.trained_length
    for name, lengths in (("m", {length}), ("v", {length, len(model.parameters)})):
        value = state.optimizer[name]
        if value is not None and (value.dtype != model.dtype or value.size not in lengths):
            expected = f"{model.dtype} [{length}]"
            raise ValueError(f"its moment {name} is {value.dtype} [{value.size}], expected {expected}")


def check_best(path: str, state: TrainingState, stopping: Stopping) -> None:
    """That the best weights so far can come back, where they are to.

    Raises
    ------
    ValueError
        Naming the file.
    """
    best = stopping.best_first(state.history["valid"])[:1]
    if stopping.restore_best and best and best != state.best_steps:
        raise ValueError(
            f"restore_best=True needs the weights of step {best[0]}, the best one so far, which the "
            f"checkpoint {path!r} does not have: it was written without, or by another monitor. Give "
            "restore_best=False, or resume=False to begin anew and replace it"
        )
