"""What other libraries call what a model of this package has too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from admin_py.interop.source import Source

ACTIVATIONS: Mapping[str, str] = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "silu": "silu",
    "swish": "silu",
    "relu2": "relu_squared",
}
"""Theirs -> ours."""


def activation_of(source: Source, name: str) -> str:
    """Our word for an activation.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"{source.where} cannot be expressed: the activation {name!r}")
    return ACTIVATIONS[name]


def activation_word(ours: str) -> str:
    """Hugging Face's word for one of ours.

    Examples
    --------
    >>> activation_word("gelu_tanh"), activation_word("relu_squared")
    ('gelu_new', 'relu2')
    """
    return next(theirs for theirs, one in ACTIVATIONS.items() if one == ours)


def refuse(source: Source, settings: Mapping[str, Any], unknown: Mapping[str, str]) -> None:
    """Refuse a model with a setting that cannot be expressed.

    Raises
    ------
    ValueError
        Naming the setting and what it means.
    """
    for name, what in unknown.items():
        if settings.get(name):
            raise ValueError(f"{source.where} cannot be expressed: {what} ({name}={settings[name]!r})")


def need(source: Source, settings: Mapping[str, Any], name: str) -> Any:
    """A setting that no default stands for.

    Raises
    ------
    ValueError
        If it is not there.
    """
    if settings.get(name) is None:
        raise ValueError(f"{source.where} does not say {name}: give settings with it")
    return settings[name]
