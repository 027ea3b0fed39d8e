"""The trainings that a cross of settings has: each with everything that decides its numbers but the data."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from admin_py.base import documents
from admin_py.base.checks import shown
from admin_py.base.precision import check_held
from admin_py.experiments.configuration import MODEL_AXES, configuration
from admin_py.experiments.settings import (
    ARGUMENT_OF,
    CONTINUATION,
    FIXED,
    OPTIMIZERS,
    PROMPT,
    SCHEDULES,
    check_fixed,
    default_of,
    show,
    values_of,
)
from admin_py.model.config import TransformerConfig
from admin_py.model.precision import check_precision
from admin_py.results import decode, encode
from admin_py.training import optimizers
from admin_py.training.optimizers import Optimizer

if TYPE_CHECKING:
    from admin_py.data import Dataset

NAME_LENGTH = 100
"""Characters of a file's name before what makes it unique."""


@dataclass(frozen=True)
class Job:
    """One training: everything but the data; may be sent to another process.

    Attributes
    ----------
    values : mapping
        Axis -> value.
    config : TransformerConfig
    optimizer : mapping or callable
        As `Optimizer.to_dict` writes it; what makes it from ``lr=`` where it is of a class of the user's own.
    schedule : mapping
        As `Schedule.to_dict` writes it.
    training : mapping
        Settings that all jobs have in common, and this one's ``max_tokens``.
    entropy : float
        Unigram entropy of the data, nats per token.
    title : str
        For people: the scheme, what varies, the seed.
    """

    values: Mapping[str, Any]
    config: TransformerConfig
    optimizer: Mapping[str, Any] | Callable[..., Optimizer]
    schedule: Mapping[str, Any]
    training: Mapping[str, Any]
    entropy: float
    title: str

    def new_optimizer(self) -> Optimizer:
        """A fresh one."""
        if isinstance(self.optimizer, Mapping):
            return optimizers.from_dict(self.optimizer)
        return self.optimizer(lr=self.values["lr"])

    @cached_property
    def setup(self) -> dict[str, Any]:
        """What decides the numbers beside data and seed, as it comes back from a file."""
        setup = {
            "config": self.config.to_dict(),
            "optimizer": self.new_optimizer().to_dict(),
            "schedule": self.schedule,
            "training": self.training,
        }
        return decode(encode(setup))

    @property
    def name(self) -> str:
        """Of its files: readable, of letters that every file system takes, no two alike."""
        return job_name(self.values)


def job_name(values: Mapping[str, Any]) -> str:
    """Name of a training's files, from the values of its axes; those that are as usual are left out.

    Examples
    --------
    >>> job_name({"scheme": "post_ln/pre_ln", "layers": 18, "lr": 0.002, "seed": 1})
    'post_ln~pre_ln-lr0.002-seed1-...'
    """
    told = _unusual(values)
    parts = [str(v) if axis in BARE else f"{axis}{show(v)}" for axis, v in told.items()]
    text = re.sub(r"[^A-Za-z0-9_.+~-]", "_", "-".join(parts).replace("/", "~"))
    digest = sha256(documents.dump(encode(told)).encode("utf-8")).hexdigest()
    return f"{text[:NAME_LENGTH]}-{digest[:10]}"


def file_name(scheme: str) -> str:
    """A scheme's name as a part of a file's.

    Examples
    --------
    >>> file_name("post_ln/pre_ln")
    'post_ln~pre_ln'
    """
    return re.sub(r"[^A-Za-z0-9 _.+~-]", "_", scheme.replace("/", "~"))


BARE = ("scheme", "optimizer")
"""Axes whose values say what they are of."""


def title_of(values: Mapping[str, Any], shown: Sequence[str] | None = None) -> str:
    """A training in words.

    Parameters
    ----------
    values : mapping
        Axis -> value.
    shown : sequence of str, optional
        Axes to tell, beside scheme and seed; by default those that are not as usual.

    Examples
    --------
    >>> title_of({"scheme": "admin", "layers": (18, 6), "lr": 1e-3, "beta2": None, "seed": 1})
    'admin, layers 18-6, seed 1'
    """
    told = values if shown is not None else _unusual(values)
    wanted = (*shown, "scheme", "seed") if shown is not None else tuple(told)
    return ", ".join(
        show(value) if axis in BARE else f"{axis} {show(value)}"
        for axis, value in told.items()
        if axis in wanted and value is not None
    )


def _unusual(values: Mapping[str, Any]) -> dict[str, Any]:
    """Scheme and seed, and every value that is not the table's."""
    usual = {axis: default_of(axis) for axis in values}
    usual["beta2"] = OPTIMIZERS["adam"](lr=1.0).to_dict()["betas"][1]
    kept = ("scheme", "seed")
    return {
        axis: value
        for axis, value in values.items()
        if axis in kept or (value is not None and value != usual[axis])
    }


def plan_jobs(data: Dataset, given: Mapping[str, Any]) -> tuple[list[Job], dict[str, Any]]:
    """All trainings of a cross in the order of `AXES`, and the settings that they have in common.

    Parameters
    ----------
    data : Dataset
    given : mapping
        All of the table's arguments; of those that may vary one value or a list.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was given and what was expected.
    """
    fixed = check_fixed(data, given)
    axes = {axis: values_of(argument, given[argument]) for axis, argument in ARGUMENT_OF.items()}
    for tokens in axes["max_tokens"]:
        if tokens < data.longest:
            raise ValueError(
                f"max_tokens must be at least {data.longest}, the data's longest sequence, got {tokens}"
            )
    makers = _makers(axes["optimizer"], axes["lr"][0])
    _check_beta2(given["beta2"], makers, axes["lr"][0])
    shown = tuple(axis for axis, values in axes.items() if len(values) > 1)
    axes = {**axes, "optimizer": list(makers)}
    configs: dict[tuple[Any, ...], tuple[str, TransformerConfig]] = {}
    jobs: dict[str, Job] = {}
    entropy = data.unigram_entropy()
    _check_names(data, axes)
    for combination in itertools.product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        shape = tuple(values[axis] for axis in ("scheme", "layers", *MODEL_AXES))
        if shape not in configs:
            config = _configuration(data, values)
            check_precision(config, fixed["dtype"])
            configs[shape] = config.scheme_name, config
        values["scheme"], config = configs[shape]
        chosen, values["beta2"] = _optimizer(
            values["optimizer"], makers[values["optimizer"]], values["lr"], values["beta2"]
        )
        made = optimizers.from_dict(chosen) if isinstance(chosen, Mapping) else chosen(lr=values["lr"])
        made.check_dtype(fixed["dtype"])
        check_held("lr", values["lr"], fixed["dtype"])
        training = {
            **{name: fixed[name] for name in FIXED if name != "schedule"},
            "max_tokens": values["max_tokens"],
        }
        schedule = SCHEDULES[fixed["schedule"]](values["lr"], values["warmup"], fixed["steps"]).to_dict()
        job = Job(values, config, chosen, schedule, training, entropy, title_of(values, shown))
        jobs.setdefault(job.name, job)  # optimisers without beta2 come once for all values of it
    return list(jobs.values()), fixed


def _check_beta2(beta2: Any, makers: Mapping[str, Any], lr: float) -> None:
    """That one of the optimisers has what is given for it."""
    if beta2 is None or any("betas" in _made(make, lr).to_dict() for make in makers.values()):
        return
    raise ValueError(f"beta2 goes with optimizers that have one, got {shown(beta2)} with {', '.join(makers)}")


def _check_names(data: Dataset, axes: Mapping[str, list[Any]]) -> None:
    """That no two schemes have one name, given as a name, a scheme or a pair."""
    first = {axis: values[0] for axis, values in axes.items()}
    names = [_configuration(data, {**first, "scheme": scheme}).scheme_name for scheme in axes["scheme"]]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"schemes must have values that are all different, got {shown(name)} twice")


def _configuration(data: Dataset, values: Mapping[str, Any]) -> TransformerConfig:
    longest = max(data.longest, PROMPT + CONTINUATION)
    return configuration(values, data.kind, vocab_size=data.vocab_size, max_length=longest)


# Optimisers


def _makers(given: Sequence[Any], lr: float) -> dict[str, Any]:
    """Name of an optimiser -> what makes it of a learning rate."""
    makers: dict[str, Any] = {}
    for one in given:
        if isinstance(one, str):
            name, make = one, OPTIMIZERS[one]
        else:
            name, make = _own_name(one, lr), one
        if name in makers:
            raise ValueError(f"optimizer must have values that are all different, got {shown(name)} twice")
        makers[name] = make
    return makers


def _made(make: Any, lr: float) -> Optimizer:
    """A fresh optimiser: an object as it is but for its rate, or what a callable makes."""
    if isinstance(make, Optimizer):
        made = optimizers.from_dict({**make.to_dict(), "lr": lr})
        if type(made) is not type(make):
            raise ValueError(
                f"optimizer must be of one of the package's classes where an object is given, "
                f"got {shown(make)}; give the class itself"
            )
        return made
    try:
        made = make(lr=lr)
    except TypeError as error:
        raise TypeError(f"optimizer must be a callable that takes lr=, got {shown(make)}: {error}") from error
    if not isinstance(made, Optimizer):
        raise TypeError(
            f"optimizer must return an optimiser of admin_py, {shown(make)} returned {shown(made)}"
        )
    return made


def _own_name(make: Any, lr: float) -> str:
    """A callable's own name if it has one, else what is made."""
    made = _made(make, lr)
    name = getattr(make, "__name__", "<lambda>")
    if name.isidentifier():
        return name
    options = {key: value for key, value in made.to_dict().items() if key not in ("kind", "lr")}
    return f"{type(made).__name__}({', '.join(f'{key}={value!r}' for key, value in options.items())})"


def _optimizer(
    name: str, make: Any, lr: float, beta2: float | None
) -> tuple[Mapping[str, Any] | Callable[..., Optimizer], float | None]:
    """What a job keeps of its optimiser, and beta2 if it has one."""
    made = _made(make, lr)
    options = made.to_dict()
    betas = options.get("betas")
    plain = type(optimizers.from_dict(options)) is type(made)
    if beta2 is not None and betas is not None:
        if not plain:
            raise ValueError(f"beta2 cannot be set for the optimizer {name!r}, a class of its own")
        options["betas"] = [betas[0], beta2]
        return options, beta2
    return (options if plain else make), None if betas is None else float(betas[1])
