"""How to train: the arguments of `train`, checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from admin_py import schedules
from admin_py.base import defaults
from admin_py.base.checks import MAX_COUNT, check_integer, check_listed, check_number, check_segments, shown
from admin_py.base.paths import absolute_path
from admin_py.data.dataset import Dataset
from admin_py.model.fitting import check_fits
from admin_py.model.transformer import Transformer
from admin_py.training.kept import Keeping
from admin_py.training.observing import ObserveAt
from admin_py.training.optimizers import Optimizer
from admin_py.training.recorder import Recorder
from admin_py.training.stopping import Stopping

Callback = Callable[[int, Transformer, Recorder], Any]
"""Called with the step, the model and the history so far."""


@dataclass(frozen=True)
class Plan:
    """How to train: the arguments of `train`, checked."""

    optimizer: Optimizer
    schedule: Callable[[int], float] | None
    steps: int
    max_tokens: int
    accumulate: int
    clip_norm: float | None
    label_smoothing: float
    valid_every: int | None
    checkpoint: str | None
    checkpoint_every: int
    observe: ObserveAt
    callbacks: tuple[Callback, ...]
    profile: str | bool
    checkpoint_activations: bool | int = False
    z_loss: float = 0.0
    ema: float | None = None
    stopping: Stopping = field(default_factory=Stopping)
    keeping: Keeping | None = None

    def lr(self, step: int) -> float:
        """Learning rate of a step, counted from 1."""
        if self.schedule is None:
            return self.optimizer.lr
        return rate_at(self.schedule, step)

    def describe(self) -> dict[str, Any]:
        """What decides the numbers of a training, beside the model and the data, as plain JSON."""
        optimizer = self.optimizer.to_dict()
        schedule = None
        if self.schedule is not None:
            optimizer.pop("lr")
            to_dict = getattr(self.schedule, "to_dict", None)
            schedule = to_dict() if to_dict is not None else "a function"
        numbers = {
            "optimizer": optimizer,
            "schedule": schedule,
            "max_tokens": self.max_tokens,
            "accumulate": self.accumulate,
            "clip_norm": self.clip_norm,
            "label_smoothing": self.label_smoothing,
            "observe": self.observe.describe(),
        }
        more = {"z_loss": self.z_loss or None, "ema": self.ema, "monitor": self.stopping.describe()}
        numbers |= {name: value for name, value in more.items() if value is not None}
        return json.loads(json.dumps(numbers))


def rate_at(schedule: Callable[[int], float], step: int) -> float:
    """The learning rate that a schedule has at a step; what its own code raises goes through."""
    try:
        rate = schedule(step)
    except TypeError as error:
        if _takes(schedule, step):
            raise
        raise TypeError(f"schedule must be callable with the number of a step: {error}") from error
    return check_number(f"schedule({step})", rate, low=0.0)


def _takes(schedule: Callable[[int], float], step: int) -> bool:
    """Whether a function can be called with a step alone, as far as it tells."""
    try:
        signature(schedule).bind(step)
    except TypeError:
        return False
    except ValueError:  # of one in C that tells nothing
        return True
    return True


def check_schedule(schedule: Any, lr: Any, *, rate: float, warmup: Any, steps: int) -> Any:
    """A callable or None; a name is a schedule up to the optimiser's rate, over these steps."""
    if isinstance(schedule, str):
        warmup = check_integer("warmup", defaults.WARMUP if warmup is None else warmup, 0, MAX_COUNT)
        return schedules.named(schedule, rate, warmup, steps)
    if warmup is not None:
        raise ValueError(f"warmup goes with a schedule that is given by its name, got {shown(warmup)}")
    if schedule is not None and not callable(schedule):
        names = ", ".join(map(repr, schedules.NAMED))
        raise TypeError(f"schedule must be a name ({names}), callable or None, got {shown(schedule)}")
    if schedule is not None and lr is not None:
        raise ValueError(f"lr must be None with a schedule, which gives the learning rate, got {shown(lr)}")
    return schedule


def check_clip_norm(name: str, value: Any) -> float | None:
    """A positive number or None."""
    if value is None:
        return None
    number = check_number(name, value)
    if number <= 0:
        raise ValueError(f"{name} must be above 0 or None, got {number!r}")
    return number


def check_share(name: str, value: Any) -> float:
    """A number from 0 to 1."""
    number = check_number(name, value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name} must be from 0 to 1, got {number!r}")
    return number


def check_activation_segments(value: Any) -> bool | int:
    """As the core takes it."""
    check_segments("checkpoint_activations", value)
    return value


def absolute_checkpoint(checkpoint: Any) -> str | None:
    """The same file whatever the working directory becomes, as text; or None."""
    if checkpoint is None:
        return None
    return str(absolute_path(checkpoint, "checkpoint", what="a path or None"))


def check_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """A tuple of callables."""
    if callable(callbacks):
        raise TypeError(f"callbacks must be a list of callables, got {shown(callbacks)}")
    given = tuple(check_listed("callbacks", callbacks, "callables"))
    for one in given:
        if not callable(one):
            raise TypeError(f"callbacks must be callable, got {shown(one)}")
    return given


def check_model(model: Transformer) -> None:
    """That the model predicts tokens."""
    if model.config.kind == "encoder":
        raise ValueError("model must predict tokens to be trained here, got an encoder without a decoder")


def check_data(data: Dataset, model: Transformer, plan: Plan) -> None:
    """That the model can read all splits which the plan uses."""
    check_fits(model, data)
    if plan.valid_every is not None and "valid" not in data.splits:
        raise ValueError(
            f"valid_every is {plan.valid_every}, but data have no split 'valid' to look at: give None, or "
            "hold some back when the data are made"
        )
    limit = model.config.max_length
    for name in ("train",) if plan.valid_every is None else ("train", "valid"):
        lengths = data.split(name).lengths.max(axis=0)
        read = max(int(lengths[-1]) - 1, *map(int, lengths[:-1]), 0)  # the last token is not read
        if read > limit:
            raise ValueError(
                f"data has sequences of {read} tokens to read in its split {name!r}, but the model's "
                f"max_length is {limit}"
            )
        longest = int(lengths.max())
        if longest > plan.max_tokens:
            raise ValueError(
                f"max_tokens must be at least {longest}, the length of a sequence in the split {name!r}, got "
                f"{plan.max_tokens}"
            )


def check_shared(accumulate: int, ranks: int) -> int:
    """The batches of an update, which so many processes share.

    Examples
    --------
    >>> check_shared(4, 3)
    Traceback (most recent call last):
    ValueError: accumulate must be a multiple of the 3 ranks of comm, got 4
    """
    if accumulate % ranks:
        raise ValueError(f"accumulate must be a multiple of the {ranks} ranks of comm, got {accumulate}")
    return accumulate
