"""The axes of a grid: values checked, and the cells that their cross has."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from admin_py import schedules
from admin_py.base.checks import check_choice, check_integer, check_number
from admin_py.experiments.settings import MAX_COUNT, OPTIMIZERS, configuration, layers_of
from admin_py.model.config import TransformerConfig
from admin_py.results import decode, dump_json, encode
from admin_py.schedules import Schedule
from admin_py.training import optimizers
from admin_py.training.optimizers import Optimizer

if TYPE_CHECKING:
    from admin_py.data import Dataset

AXES = ("scheme", "layers", "lr", "beta2", "warmup", "optimizer", "seed")
"""What may vary from cell to cell, from the slowest to the fastest."""

SCHEDULES: Mapping[str, Callable[[float, int, int], Schedule]] = {
    "inverse_sqrt": lambda lr, warmup, steps: schedules.inverse_sqrt(lr, warmup),
    "constant": lambda lr, warmup, steps: schedules.constant(lr, warmup),
    "linear": lambda lr, warmup, steps: schedules.linear(lr, warmup, steps=steps),
    "cosine": lambda lr, warmup, steps: schedules.cosine(lr, warmup, steps=steps),
}
"""Name -> schedule of a largest learning rate, a warm-up and the number of steps."""

NAME_LENGTH = 120
"""Characters of a cell's file name before what makes it unique."""


@dataclass(frozen=True)
class Job:
    """One cell to be trained: everything but the data; may be sent to another process.

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
        Settings that all cells have in common.
    entropy : float
        Unigram entropy of the data, nats per token.
    """

    values: Mapping[str, Any]
    config: TransformerConfig
    optimizer: Mapping[str, Any] | Callable[..., Optimizer]
    schedule: Mapping[str, Any]
    training: Mapping[str, Any]
    entropy: float

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
        """Of its file: readable, of letters that every file system takes, no two alike."""
        return cell_name(self.values)

    @property
    def title(self) -> str:
        """For people."""
        return cell_title(self.values)


def cell_name(values: Mapping[str, Any]) -> str:
    """Name of a cell's file, from the values of its axes.

    Examples
    --------
    >>> cell_name({"scheme": "post_ln/pre_ln", "lr": 0.001, "seed": 1})
    'post_ln~pre_ln-lr0.001-seed1-...'
    """
    parts = [
        str(value) if axis in ("scheme", "optimizer") else f"{axis}{show(value)}"
        for axis, value in values.items()
        if value is not None
    ]
    text = re.sub(r"[^A-Za-z0-9_.+~-]", "_", "-".join(parts).replace("/", "~"))
    digest = sha256(dump_json(encode(dict(values))).encode("utf-8")).hexdigest()
    return f"{text[:NAME_LENGTH]}-{digest[:10]}"


def cell_title(values: Mapping[str, Any]) -> str:
    """A cell in words.

    Examples
    --------
    >>> cell_title({"scheme": "admin", "layers": (18, 6), "lr": 1e-3, "beta2": None, "seed": 1})
    'admin, layers 18-6, lr 0.001, seed 1'
    """
    bare = ("scheme", "optimizer")
    return ", ".join(
        show(value) if axis in bare else f"{axis} {show(value)}"
        for axis, value in values.items()
        if value is not None
    )


def show(value: Any) -> str:
    """A value of an axis in a figure or a line.

    Examples
    --------
    >>> show(0.001), show((18, 6)), show(None), show("admin")
    ('0.001', '18-6', 'none', 'admin')
    """
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def plan_jobs(
    data: Dataset, axes: Mapping[str, Any], settings: Mapping[str, Any], training: Mapping[str, Any]
) -> list[Job]:
    """All cells of a cross, in the order of `AXES`.

    Parameters
    ----------
    data : Dataset
    axes : mapping
        For each of `AXES` one value or a sequence of values; beta2 may be None, the optimisers' own.
    settings : mapping
        ``d_model``, ``d_ff``, ``heads``, ``dropout``, ``schedule``.
    training : mapping
        As `study_settings.check_training` gives it.

    Raises
    ------
    ValueError, TypeError
        Naming the axis, what was given and what was expected.
    """
    check_choice("schedule", settings["schedule"], tuple(SCHEDULES))
    layers = _different("layers", [_layers(one, data.kind) for one in values_of("layers", axes["layers"])])
    configs: dict[tuple[str, Any], TransformerConfig] = {}
    for scheme in values_of("scheme", axes["scheme"]):
        new = {depth: _config(data, settings, scheme, depth) for depth in layers}
        name = next(iter(new.values())).scheme_name
        if (name, layers[0]) in configs:
            raise ValueError(f"scheme must have values that are all different, got {name!r} twice")
        configs.update({(name, depth): config for depth, config in new.items()})
    rates = _different("lr", [_positive("lr", one) for one in values_of("lr", axes["lr"])])
    warmups = [check_integer("warmup", one, 0, MAX_COUNT) for one in values_of("warmup", axes["warmup"])]
    seeds = [check_integer("seed", one, 0, 2**63 - 1) for one in values_of("seed", axes["seed"])]
    makers = _makers(values_of("optimizer", axes["optimizer"]), rates[0])
    betas = [None] if axes["beta2"] is None else [_beta2(one) for one in values_of("beta2", axes["beta2"])]
    entropy = data.unigram_entropy()
    jobs: dict[str, Job] = {}
    cross = itertools.product(
        configs,
        rates,
        _different("beta2", betas),
        _different("warmup", warmups),
        makers,
        _different("seed", seeds),
    )
    for (scheme, depth), lr, beta2, warmup, name, seed in cross:
        chosen, own_beta2 = _optimizer(name, makers[name], lr, beta2)
        schedule = SCHEDULES[settings["schedule"]](lr, warmup, training["steps"])
        values = (scheme, depth, lr, own_beta2, warmup, name, seed)
        job = Job(
            dict(zip(AXES, values, strict=True)),
            configs[scheme, depth],
            chosen,
            schedule.to_dict(),
            training,
            entropy,
        )
        jobs.setdefault(job.name, job)  # optimisers without beta2 come once for all values of it
    return list(jobs.values())


def values_of(axis: str, given: Any) -> list[Any]:
    """The values of an axis: those of a sequence, or the one.

    Examples
    --------
    >>> values_of("lr", 1e-3), values_of("layers", [6, (18, 6)]), values_of("scheme", "admin")
    ([0.001], [6, (18, 6)], ['admin'])
    """
    if isinstance(given, (set, frozenset, Mapping)):
        raise TypeError(f"{axis} must be one value or a sequence of values in an order, got {given!r}")
    if isinstance(given, (str, bytes, type)) or not isinstance(given, (Sequence, Iterable)):
        return [given]
    values = list(given)
    if not values:
        raise ValueError(f"{axis} must have at least one value, got none")
    return values


def _different(axis: str, values: list[Any]) -> list[Any]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"{axis} must have values that are all different, got {show(value)} twice")
    return values


def _positive(axis: str, value: Any) -> float:
    number = check_number(axis, value)
    if number <= 0:
        raise ValueError(f"{axis} must be positive, got {number!r}")
    return number


def _beta2(value: Any) -> float:
    number = check_number("beta2", value)
    if not 0 <= number < 1:
        raise ValueError(f"beta2 must be in [0, 1), got {number!r}")
    return number


def _layers(value: Any, kind: str) -> int | tuple[int, int]:
    encoder, decoder = layers_of(value, kind)
    return decoder if encoder in (0, decoder) else (encoder, decoder)


def _config(data: Dataset, settings: Mapping[str, Any], scheme: Any, layers: Any) -> TransformerConfig:
    encoder, decoder = layers_of(layers, data.kind)
    return configuration(data, {**settings, "encoder_layers": encoder, "decoder_layers": decoder}, scheme)


def _makers(given: list[Any], lr: float) -> dict[str, Callable[..., Optimizer]]:
    """Name of an optimiser -> what makes it of a learning rate."""
    makers: dict[str, Callable[..., Optimizer]] = {}
    for one in given:
        if isinstance(one, str):
            check_choice("optimizer", one, tuple(OPTIMIZERS))
            name, make = one, OPTIMIZERS[one]
        elif callable(one):
            name, make = _callable_name(one, lr), one
        else:
            raise TypeError(
                f"optimizer must be a name, {', '.join(map(repr, OPTIMIZERS))}, or a callable that takes lr= "
                f"and returns an optimiser, got {one!r}"
            )
        if name in makers:
            raise ValueError(f"optimizer must have values that are all different, got {name!r} twice")
        makers[name] = make
    return makers


def _made(make: Callable[..., Optimizer], lr: float) -> Optimizer:
    try:
        made = make(lr=lr)
    except TypeError as error:
        raise TypeError(f"optimizer must be a callable that takes lr=, got {make!r}: {error}") from error
    if not isinstance(made, Optimizer):
        raise TypeError(f"optimizer must return an optimiser of admin_py, {make!r} returned {made!r}")
    return made


def _callable_name(make: Callable[..., Optimizer], lr: float) -> str:
    """Its own name if it has one, else what it makes."""
    made = _made(make, lr)
    name = getattr(make, "__name__", "<lambda>")
    if name.isidentifier():
        return name
    options = {key: value for key, value in made.to_dict().items() if key not in ("kind", "lr")}
    return f"{type(made).__name__}({', '.join(f'{key}={value!r}' for key, value in options.items())})"


def _optimizer(
    name: str, make: Callable[..., Optimizer], lr: float, beta2: float | None
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
