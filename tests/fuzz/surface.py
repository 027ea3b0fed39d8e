"""The public surface of the package, found by looking: functions, constructors, methods and setters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import admin_py as ap

MODULES = (ap, ap.data, ap.analysis, ap.plots, ap.schedules, ap.schemes, ap.scores, ap.generation, ap.recipes)
MODULES += (ap.interop, ap.interop.torch) if find_spec("torch") else ()

CLASSES = ("load", "from_dict", "from_arrays", "from_clinic", "from_lists", "concatenate", "train")
"""Methods of classes, which need no object."""


@dataclass(frozen=True)
class Public:
    """Something that may be called.

    Attributes
    ----------
    name : str
        ``"analysis.updates"``, ``"Transformer"``, ``"Transformer.forward"``, ``"Adam.lr="``.
    owner : type or None
        Class of the object it belongs to; None for functions, constructors and methods of classes.
    attribute : object
        The function or class; of methods and setters the attribute's name.
    parameters : tuple of inspect.Parameter
        Without self.
    """

    name: str
    owner: type | None
    attribute: Any
    parameters: tuple[inspect.Parameter, ...]


def public() -> Iterator[Public]:
    """All of it, each once, in a fixed order."""
    seen: set[int] = set()
    for module in MODULES:
        prefix = "" if module is ap else module.__name__.rpartition(".")[2] + "."
        for name in sorted(_names(module)):
            value = getattr(module, name)
            if id(value) in seen or not getattr(value, "__module__", "").startswith("admin_py"):
                continue
            seen.add(id(value))
            if inspect.isclass(value):
                yield from _of_class(prefix + name, value)
            elif callable(value):
                yield Public(prefix + name, None, value, _parameters(value))


def _names(module: ModuleType) -> list[str]:
    given = getattr(module, "__all__", None)
    if given is not None:
        return [name for name in given if not isinstance(getattr(module, name), ModuleType)]
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def _of_class(name: str, kind: type) -> Iterator[Public]:
    if inspect.isabstract(kind) or issubclass(kind, BaseException):
        return
    yield Public(name, None, kind, _parameters(kind))
    for attribute, value in inspect.getmembers_static(kind):
        if (attribute.startswith("_") and attribute != "__call__") or _of_tuples(kind, attribute):
            continue
        if isinstance(value, property):
            if value.fset is not None:
                parameter = inspect.Parameter(attribute, inspect.Parameter.POSITIONAL_ONLY)
                yield Public(f"{name}.{attribute}=", kind, attribute, (parameter,))
        elif isinstance(value, classmethod | staticmethod):
            bound = getattr(kind, attribute)
            yield Public(f"{name}.{attribute}", None, bound, _parameters(bound))
        elif callable(value):
            yield Public(f"{name}.{attribute}", kind, attribute, _parameters(value)[1:])


def _of_tuples(kind: type, attribute: str) -> bool:
    return issubclass(kind, tuple) and hasattr(tuple, attribute)


def _parameters(value: Any) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(value).parameters.values())
