"""What runs, cells, studies and grids say of themselves, checked: their files may come from others.

Names of files are made of it, so that a value which is none must not get that far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from admin_py.base import documents
from admin_py.experiments.settings import ARGUMENT_OF, AXES, FIXED, SETTINGS
from admin_py.schemes.scheme import is_name

LONGEST_NAME = 10_000
"""Characters of an optimiser's name: the options of one of a user's own are a part of it."""


class Data(TypedDict, total=False):
    """What is kept of the data."""

    name: str
    kind: str
    vocab_size: int
    unigram_entropy: float | None
    description: str
    fingerprint: str | None
    vocabulary: str | None
    """Its fingerprint."""


class Setup(TypedDict, total=False):
    """What decided a training's numbers beside data and seed."""

    config: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    training: Mapping[str, Any]


def check_values(values: Mapping[str, Any]) -> None:
    """That a training's values are of axes, each as its setting may be.

    Raises
    ------
    TypeError, ValueError
        Naming the axis, what stands there and what was expected.

    Examples
    --------
    >>> check_values({"scheme": "post_ln/pre_ln", "lr": 0.001, "seed": 1})
    >>> check_values({"scheme": "admin", "seed": "1/../../x"})
    Traceback (most recent call last):
        ...
    TypeError: values.seed must be an integer, got '1/../../x'
    """
    for axis, value in values.items():
        check_value("values", axis, value)


def check_axes(axes: Mapping[str, tuple[Any, ...]]) -> None:
    """That axes are those of the table, and all their values as `check_values` has them."""
    for axis, values in axes.items():
        for value in values:
            check_value("axes", axis, value)


def check_value(where: str, axis: str, value: Any) -> None:
    """That a value is one of an axis; see `check_values`."""
    name = f"{where}.{axis}"
    if axis not in AXES:
        raise ValueError(f"{where} must be of the axes {', '.join(AXES)}, got {axis!r:.60}")
    if axis == "scheme":
        if not isinstance(value, str) or not all(map(is_name, value.split("/", 1))):
            raise ValueError(f"{name} must be a scheme's name or a pair 'encoder/decoder', got {value!r:.60}")
    elif axis == "optimizer":
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
            raise ValueError(f"{name} must be an optimiser's name, got {value!r:.60}")
    else:
        SETTINGS[ARGUMENT_OF[axis]].check(name, value)


def check_cross(settings: Mapping[str, Any], axes: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """What a study or a grid says of itself.

    Raises
    ------
    TypeError, ValueError
        Naming what is wrong.
    """
    for name, value in settings.items():
        if name in FIXED:
            SETTINGS[name].check(f"settings.{name}", value)
    check_axes(axes)
    documents.convert(dict(data), Data, "$.data")


def check_setup(setup: Mapping[str, Any]) -> None:
    """What a run or a cell says of how it was trained; ValueError naming the place."""
    documents.convert(dict(setup), Setup, "$.setup")
