"""The one table of settings: what `study`, `grid` and the command line take, with defaults, checks and words.

A list is an axis, everything else is one value: ``layers=(6, 12)`` is one model of 6 + 12 layers,
``layers=[6, 12, (6, 12)]`` are three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py import schedules
from admin_py.base import defaults
from admin_py.base.builds import DTYPES
from admin_py.base.checks import LARGEST, MAX_COUNT, check_probability, shown
from admin_py.experiments.setting_checks import (
    Check,
    beta,
    check_layers,
    check_optimizer,
    check_scheme,
    choice,
    integer,
    optional,
    parse_layers,
    positive,
)
from admin_py.model.config import ACTIVATIONS, MAX_SIZE, SchemeLike
from admin_py.training.named_optimizers import OPTIMIZERS
from admin_py.training.optimizers import Optimizer
from admin_py.training.plan import check_clip_norm, check_share

if TYPE_CHECKING:
    from admin_py.data import Dataset

VALIDATIONS = 12
"""Times a run is validated where nothing is said."""

PROMPT = 32
CONTINUATION = 64
"""Tokens of a language model's sample: given, and to be continued."""

"""Batches are drawn from seed + epoch."""

SCHEDULES = schedules.NAMED
"""Name -> schedule of a largest learning rate, a warm-up and the number of steps."""


@dataclass(frozen=True)
class Setting:
    """One row of the table.

    Attributes
    ----------
    name : str
        Of the argument, and with dashes of the option.
    default : object
        One value, or for an axis a list of values.
    check : callable
        Of one value.
    words : str
        What it is, for the help of the command line.
    axis : str
        Name of the axis, which a run or cell has: ``"scheme"`` for ``schemes``; empty where it may not vary.
    kind : type
        Of a value on the command line.
    metavar : str
        For the help.
    choices : tuple of str
        For the help.
    """

    name: str
    default: Any
    check: Check
    words: str
    axis: str = ""
    kind: Callable[[str], Any] = str
    metavar: str = ""
    choices: tuple[str, ...] = ()


THREE = ["post_ln", "pre_ln", "admin"]

TABLE: tuple[Setting, ...] = (
    Setting(
        "schemes",
        THREE,
        check_scheme,
        "residual schemes, see admin-py info --schemes; a hybrid is ENCODER/DECODER",
        axis="scheme",
        metavar="SCHEME",
    ),
    Setting(
        "layers",
        18,
        check_layers,
        "of encoder and decoder, or N,M of each",
        axis="layers",
        kind=parse_layers,
        metavar="N[,M]",
    ),
    Setting("d_model", 64, integer(1, MAX_SIZE), "width", axis="d_model", kind=int, metavar="D"),
    Setting("d_ff", 128, integer(1, MAX_SIZE), "feed-forward width", axis="d_ff", kind=int, metavar="F"),
    Setting("heads", 4, integer(1, MAX_SIZE), "of attention", axis="heads", kind=int, metavar="H"),
    Setting("dropout", 0.1, check_probability, "", axis="dropout", kind=float, metavar="P"),
    Setting("activation", "relu", choice(ACTIVATIONS), "", axis="activation", choices=ACTIVATIONS),
    Setting(
        "init_gain",
        1.0,
        positive,
        "factor on the standard deviation of the initial weights",
        axis="init_gain",
        kind=float,
        metavar="X",
    ),
    Setting(
        "max_tokens",
        defaults.MAX_TOKENS,
        integer(1, MAX_COUNT),
        "of a batch, on either side",
        axis="max_tokens",
        kind=int,
        metavar="N",
    ),
    Setting("lr", defaults.LR, positive, "largest learning rate", axis="lr", kind=float, metavar="X"),
    Setting(
        "beta2",
        None,
        optional(beta),
        "decay of the second moment (the optimiser's own: .98)",
        axis="beta2",
        kind=float,
        metavar="X",
    ),
    Setting(
        "warmup",
        defaults.WARMUP,
        integer(0, MAX_COUNT),
        "steps of linear warm-up",
        axis="warmup",
        kind=int,
        metavar="N",
    ),
    Setting(
        "optimizer",
        "adam",
        check_optimizer,
        "betas .9 and .98, eps 1e-9; sgd: momentum .9",
        axis="optimizer",
        choices=tuple(OPTIMIZERS),
    ),
    Setting(
        "seeds",
        [1],
        integer(0, LARGEST),
        "of weights, dropout and batches",
        axis="seed",
        kind=int,
        metavar="N",
    ),
    Setting("steps", defaults.STEPS, integer(1, MAX_COUNT), "of each training", kind=int, metavar="N"),
    Setting("schedule", "inverse_sqrt", choice(SCHEDULES), "after the warm-up", choices=tuple(SCHEDULES)),
    Setting("label_smoothing", defaults.LABEL_SMOOTHING, check_share, "", kind=float, metavar="X"),
    Setting("clip_norm", None, check_clip_norm, "largest norm of the gradient", kind=float, metavar="X"),
    Setting(
        "valid_every",
        None,
        optional(integer(1, MAX_COUNT)),
        "steps between validations (a twelfth of the steps)",
        kind=int,
        metavar="N",
    ),
    Setting("dtype", "float32", choice(DTYPES), "", choices=DTYPES),
)
"""Every setting, axes first, from the slowest to the fastest."""

SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in TABLE}
"""Name of the argument -> its row."""

AXES = tuple(setting.axis for setting in TABLE if setting.axis)
"""What may vary from run to run and cell to cell, from the slowest to the fastest."""

FIXED = tuple(setting.name for setting in TABLE if not setting.axis)
"""Settings that all runs and cells of one call have in common."""

ARGUMENT_OF: Mapping[str, str] = {setting.axis: setting.name for setting in TABLE if setting.axis}
"""Axis -> name of the argument that gives its values."""

DEFAULTS: Mapping[str, Any] = {setting.name: setting.default for setting in TABLE}
"""Name of the argument -> what holds where it is not given."""


def named(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a function's arguments that are of the table and were given, by the table's names.

    An axis may also be called as a cell has it and `select` takes it: ``scheme`` for ``schemes``.

    Raises
    ------
    TypeError
        If a setting is given by both names.

    Examples
    --------
    >>> named({"scheme": "admin", "steps": 5, "lr": None, "out": "here"})
    {'steps': 5, 'schemes': 'admin'}
    """
    given = {name: value for name, value in arguments.items() if name in SETTINGS and value is not None}
    for axis, name in ARGUMENT_OF.items():
        if axis != name and arguments.get(axis) is not None:
            if name in given:
                raise TypeError(f"{name} and {axis} are one setting, give it once")
            given[name] = arguments[axis]
    return given


def filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of the table: those given, the rate of an optimiser that is an object, the defaults.

    Examples
    --------
    >>> from admin_py.training.optimizers import Adam
    >>> filled({"steps": 5})["steps"], filled({"optimizer": Adam(lr=0.5)})["lr"]
    (5, 0.5)
    """
    optimizer = given.get("optimizer")
    own = {"lr": optimizer.lr} if isinstance(optimizer, Optimizer) else {}
    return {**DEFAULTS, **own, **given}


def default_of(axis: str) -> Any:
    """The one value of an axis where nothing is said; None where it has several or none.

    Examples
    --------
    >>> default_of("layers"), default_of("scheme")
    (18, None)
    """
    value = SETTINGS[ARGUMENT_OF[axis]].default
    return value if not isinstance(value, list) else None


def values_of(name: str, given: Any) -> list[Any]:
    """The values of a setting that may vary: those of a list, or the one.

    Parameters
    ----------
    name : str
        Of the argument.
    given : object
        A list (or a range, or a one-dimensional array) is an axis; anything else is one value.

    Raises
    ------
    TypeError, ValueError
        For what is neither, for an empty list, for values that are equal, and as the table's check does.

    Examples
    --------
    >>> values_of("lr", 1e-3), values_of("layers", [6, (6, 12)]), values_of("layers", (6, 12))
    ([0.001], [6, (6, 12)], [(6, 12)])
    >>> values_of("lr", (1e-3, 2e-3))
    Traceback (most recent call last):
        ...
    TypeError: lr must be one value, or a list of values to compare, got the tuple (0.001, 0.002)
    """
    setting = SETTINGS[name]
    if isinstance(given, range) or (isinstance(given, np.ndarray) and given.ndim == 1):
        given = list(given)
    if not isinstance(given, list):
        _check_single(name, given)
        return [setting.check(name, given)]
    if not given:
        raise ValueError(f"{name} must have at least one value, got an empty list")
    values = [setting.check(name, one) for one in given]
    for index, value in enumerate(values):
        if value in values[:index]:
            told = show(value) if isinstance(value, (int, float, tuple)) else repr(value)
            raise ValueError(f"{name} must have values that are all different, got {told} twice")
    return values


def _check_single(name: str, given: Any) -> None:
    """That what is no list is one value, and not several of another type."""
    pair = name in ("schemes", "layers")
    if isinstance(given, tuple) and not pair:
        raise TypeError(
            f"{name} must be one value, or a list of values to compare, got the tuple {shown(given)}"
        )
    several = isinstance(given, Iterable) and not isinstance(given, (str, bytes, tuple, type, Optimizer))
    if several and not callable(given):
        raise TypeError(f"{name} must be one value, or a list of values to compare, got {shown(given)}")


def check_fixed(data: Dataset, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that all runs have in common, checked; `valid_every` as a number.

    Parameters
    ----------
    data : Dataset
        Must have a split "valid".
    given : mapping
        All of `FIXED`.

    Raises
    ------
    TypeError, ValueError
        Naming the setting, what was given and what was expected.
    """
    for name in FIXED:
        if isinstance(given[name], list):
            raise TypeError(
                f"{name} must be one value, got the list {shown(given[name])}; "
                f"only {', '.join(AXES)} may vary"
            )
    checked = {name: SETTINGS[name].check(name, given[name]) for name in FIXED}
    if checked["valid_every"] is None:
        checked["valid_every"] = usual_valid_every(checked["steps"])
    if "valid" not in data.splits:
        raise ValueError(f"data must have a split 'valid' for validation, {data.name} has only 'train'")
    return checked


def usual_valid_every(steps: int) -> int:
    """Steps between validations where nothing is said.

    Examples
    --------
    >>> usual_valid_every(300), usual_valid_every(5)
    (25, 1)
    """
    return max(1, steps // VALIDATIONS)


OneScheme = SchemeLike | tuple[SchemeLike, SchemeLike]
"""A scheme, or the encoder's and the decoder's."""

Layers = int | tuple[int, int]
"""Layers of each stack, or of encoder and decoder."""

OneOptimizer = str | Optimizer | Callable[..., Optimizer]
"""What an optimiser is given as."""


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


def describe(data: Dataset) -> dict[str, Any]:
    """What a study or a grid keeps of its data."""
    return {
        "name": data.name,
        "kind": data.kind,
        "vocab_size": data.vocab_size,
        "unigram_entropy": data.unigram_entropy(),
        "description": str(data.describe()),
        "fingerprint": data.fingerprint,
        "vocabulary": data.tokenizer.fingerprint,
    }
