"""The one door of public functions: what a parameter's annotation says is checked before the function runs.

``@door`` stands above a public function or class. A parameter that is annotated as a number, a bool, a text,
a path, a mapping, a callable, one of the package's classes or a list of texts is compared with that, and
handed on as the plain Python value; another kind is a TypeError with the parameter's name, and what is no
text or no path a ValueError. Ranges, other lists and parameters of several kinds are the business of the
function itself, with the checks of `admin_py.base.checks`.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from admin_py.base.checks import (
    as_integer,
    as_number,
    check_bool,
    check_callable,
    check_mapping,
    check_text,
    check_texts,
    kind_of,
    with_article,
)
from admin_py.base.paths import path_of
from admin_py.base.wrapping import in_place_of

F = TypeVar("F")

Check = Callable[[str, Any], Any]

CLASSES = frozenset(
    [
        "AttentionMap",
        "Batch",
        "Comparison",
        "Dataset",
        "DecoderLayer",
        "Dependency",
        "Diagnosis",
        "EncoderLayer",
        "Examination",
        "GradientNorms",
        "Grid",
        "GridCell",
        "GridTable",
        "History",
        "MemoryPlan",
        "Observation",
        "Optimizer",
        "OutputChange",
        "Recorder",
        "Residual",
        "Scheme",
        "Score",
        "Sequences",
        "Site",
        "SourceUse",
        "Study",
        "StudyRun",
        "SubwordCodes",
        "Tokenizer",
        "Transformer",
        "TransformerConfig",
        "UpdateNorms",
        "VarianceProfile",
    ]
)
"""Classes of the package that annotations may name; compared by name, so that no module need be imported."""

METHODS = ("__init__", "__call__")
"""Methods with underscores that users call."""


def check_path(name: str, value: Any) -> Any:
    """A path that a file may have, as it is; TypeError or ValueError otherwise."""
    path_of(value, name)
    return value


CHECKS: Mapping[str, Check] = {
    "int": as_integer,
    "float": as_number,
    "bool": check_bool,
    "str": check_text,
    "path": check_path,
    "Mapping": check_mapping,
    "Callable": check_callable,
    "texts": check_texts,
}
"""Kind of a parameter -> what checks it and gives the plain value."""


def door(subject: F) -> F:
    """Check the arguments of a public function, or of all public methods of a class, by their annotations.

    Examples
    --------
    >>> @door
    ... def double(n: int, *, name: str | None = None) -> int:
    ...     return 2 * n
    >>> double(2)
    4
    >>> double(2.5)
    Traceback (most recent call last):
    TypeError: n must be an integer, got 2.5
    >>> double(2, name=3)
    Traceback (most recent call last):
    TypeError: name must be a string, got 3
    """
    if not inspect.isclass(subject):
        return _checked(subject)
    for name, value in list(vars(subject).items()):
        if name.startswith("_") and name not in METHODS:
            continue
        if name == "__init__" and "__dataclass_fields__" in vars(subject):
            continue  # its fields are checked where it is made
        if isinstance(value, (classmethod, staticmethod)):
            setattr(subject, name, type(value)(_checked(value.__func__)))
        elif isinstance(value, property) and value.fset is not None:
            setattr(subject, name, value.setter(_checked(value.fset, name)))
        elif inspect.isfunction(value) and not getattr(value, "__isabstractmethod__", False):
            setattr(subject, name, _checked(value))
    return subject


def door_of_values(function: F) -> F:
    """The door of functions that look at results themselves, as plots do: values alone."""
    return _checked(function, classes=False)


def _checked(function: Any, setter: str = "", *, classes: bool = True) -> Any:
    """The function behind the door; itself if it has nothing to check."""
    parameters = tuple(inspect.signature(function).parameters.values())
    checks: dict[str, tuple[str, Check]] = {}
    places: list[str | None] = []
    for parameter in parameters:
        check = check_of(parameter.annotation, classes=classes)
        plain = parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        if check is not None and plain:
            checks[parameter.name] = (setter or parameter.name, check)
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            places.append(parameter.name)
    if not checks:
        return function

    def wrapper(*arguments: Any, **options: Any) -> Any:
        given = list(arguments)
        for index, name in enumerate(places[: len(given)]):
            if name in checks:
                told, check = checks[name]
                given[index] = check(told, given[index])
        for name in options:
            if name in checks:
                told, check = checks[name]
                options[name] = check(told, options[name])
        return function(*given, **options)

    return in_place_of(function, wrapper)


@functools.cache
def check_of(annotation: Any, *, classes: bool = True) -> Check | None:
    """The check that an annotation, as it is written, stands for; None where it says nothing that is checked.

    Examples
    --------
    >>> check_of("int | None")("n", None) is None, check_of("Iterable[int] | int") is None
    (True, True)
    >>> check_of("Transformer | EncoderLayer")("model", 3)
    Traceback (most recent call last):
    TypeError: model must be a Transformer or an EncoderLayer, got an object of type int
    """
    if not isinstance(annotation, str):
        return None
    kinds = [_kind(node) for node in _members(ast.parse(annotation, mode="eval").body)]
    optional = "None" in kinds
    wanted = list(dict.fromkeys(kind for kind in kinds if kind != "None"))
    if wanted and all(kind in CLASSES for kind in wanted):
        if not classes:
            return None
        check: Check = functools.partial(_check_class, tuple(wanted), " or None" if optional else "")
    elif set(wanted) == {"str", "path"}:
        check = check_path
    elif set(wanted) == {"str", "texts"}:
        check = check_texts
    elif len(wanted) == 1 and wanted[0] in CHECKS:
        check = CHECKS[wanted[0]]
    else:
        return None
    return functools.partial(_check_optional, check) if optional else check


def _check_optional(check: Check, name: str, value: Any) -> Any:
    return None if value is None else check(name, value)


def _check_class(kinds: tuple[str, ...], more: str, name: str, value: Any) -> Any:
    for base in type(value).__mro__:
        package = base.__module__.partition(".")[0]
        name_there = base.__name__ if package == "admin_py" else f"{package}.{base.__name__}"
        if name_there in kinds:
            return value
    *first, last = map(with_article, kinds)
    wanted = f"{', '.join(first)} or {last}" if first else last
    raise TypeError(f"{name} must be {wanted}{more}, got {kind_of(value)}")


def _members(node: ast.expr) -> list[ast.expr]:
    """The members of a union."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_members(node.left), *_members(node.right)]
    return [node]


def _kind(node: ast.expr) -> str:
    """The name of a member: ``"int"``, ``"None"``, ``"path"``, ``"Mapping"``, a class; "" for others."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Subscript):
        name = _kind(node.value)
        if name in ("Iterable", "Sequence") and _kind(node.slice) == "str":
            return "texts"
        return name if name in ("path", "Mapping", "Callable") else ""
    if isinstance(node, ast.Attribute):
        return {"PathLike": "path", "Tokenizer": "tokenizers.Tokenizer"}.get(node.attr, "")
    return node.id if isinstance(node, ast.Name) else ""
