"""What several figures do with their arguments: one result or many, of what kind, which stack and name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

import numpy as np

from admin_py.base.checks import check_choice, shown
from admin_py.plots.style import legend_text, scheme_style
from admin_py.results import Result

T = TypeVar("T")


class WrongArgument(TypeError):
    """An argument of a kind that a plot function does not take; the function adds its name."""


def one(name: str, given: T | Iterable[T], *kinds: type[T], many: str = "", also: str = "") -> T:
    """The one result; a list of one is taken for it.

    Parameters
    ----------
    name : str
        Of the argument.
    given : object
    *kinds : type
        Of which it may be; the first is named in the error.
    many : str
        The plot function that takes several.
    also : str
        What else the argument may be, in words.

    Raises
    ------
    WrongArgument
        If it is of another kind, or there are several.

    Examples
    --------
    >>> one("number", [3], int)
    3
    >>> one("number", "run/number.json", int)
    Traceback (most recent call last):
    admin_py.plots.arguments.WrongArgument: number must be an int, got the text 'run/number.json'
    """
    listed = items_of(given)
    if isinstance(given, kinds):
        return given
    if listed is not None and len(listed) == 1 and isinstance(listed[0], kinds):
        return listed[0]
    more = ""
    if listed and many and all(isinstance(item, kinds) for item in listed):
        more = f"; {many} takes several"
    wanted = " or ".join(filter(None, (_named(kinds[0]), also)))
    raise WrongArgument(f"{name} must be {wanted}, got {described(given, kinds[0])}{more}")


def several(name: str, given: T | Iterable[T], *kinds: type[T]) -> list[T]:
    """The results as a list; one alone is a list of one.

    Parameters
    ----------
    name : str
        Of the argument.
    given : object or iterable
    *kinds : type
        Of which they may be; the first is named in the error.

    Raises
    ------
    WrongArgument
        If it, or one among them, is of another kind.
    ValueError
        If there is none.

    Examples
    --------
    >>> several("numbers", range(2), int), several("numbers", 3, int)
    ([0, 1], [3])
    >>> several("numbers", [3, None], int)
    Traceback (most recent call last):
    admin_py.plots.arguments.WrongArgument: numbers must be an int or several of these, got None among them
    """
    if isinstance(given, kinds):
        return [given]
    wanted = f"{name} must be {_named(kinds[0])} or several of these"
    listed = items_of(given)
    if listed is None:
        raise WrongArgument(f"{wanted}, got {described(given, kinds[0])}")
    for item in listed:
        if not isinstance(item, kinds):
            raise WrongArgument(f"{wanted}, got {described(item, kinds[0])} among them")
    if not listed:
        raise ValueError(f"{name}: expected at least one, got none")
    return listed


def described(given: Any, wanted: type | None = None) -> str:
    """What was given, in words: its kind, and how it is drawn, or turned into what is wanted.

    Examples
    --------
    >>> described(None), described([1, 2]), described(np.zeros((2, 3)))
    ('None', 'a list of 2 int', 'an array of shape [2, 3]')
    """
    if given is None:
        return "None"
    if isinstance(given, str | PurePath):
        what = "text" if isinstance(given, str) else "path"
        load = wanted is not None and issubclass(wanted, Result)
        hint = f": load it first, {wanted.__name__}.load(path)" if load and wanted is not None else ""
        return f"the {what} {shown(given if isinstance(given, str) else str(given))}{hint}"
    if isinstance(given, np.ndarray):
        return f"an array of shape {list(given.shape)}"
    if isinstance(given, list | tuple):
        kinds = " and ".join(dict.fromkeys(type(item).__name__ for item in given))
        return f"a {type(given).__name__} of {len(given)} {kinds}".rstrip()
    told = _named(type(given))
    if isinstance(given, Result) and given.drawn_by:
        return f"{told}, which {given.drawn_by} draws"
    return f"{told}, which its plot() draws" if callable(getattr(type(given), "plot", None)) else told


def items_of(given: Any) -> list[Any] | None:
    """What an iterable of results holds; None where it is none."""
    if isinstance(given, Result | Mapping | str | bytes) or not isinstance(given, Iterable):
        return None
    if isinstance(given, np.ndarray) and given.dtype != object:
        return None
    try:
        return list(given)
    except Exception:  # of any class: the value's own code has raised it
        return None


def _named(kind: type) -> str:
    article = "an" if kind.__name__[0] in "AEIOUaeio" else "a"
    return f"{article} {kind.__name__}"


def pick_stack(stacks: Iterable[str], stack: str | None) -> str:
    """The stack asked for, or the first.

    Raises
    ------
    ValueError
        If there is no such stack.

    Examples
    --------
    >>> pick_stack(("encoder", "decoder"), None)
    'encoder'
    """
    known = tuple(stacks)
    return known[0] if stack is None else check_choice("stack", stack, known)


def scheme_title(scheme: str, stacks: Sequence[str], stack: str) -> str:
    """Name of a scheme, with the stack's where the model has two.

    Examples
    --------
    >>> scheme_title("post_ln", ("encoder", "decoder"), "decoder")
    'Post-LN, decoder'
    >>> scheme_title("admin", ("decoder",), "decoder")
    'Admin'
    """
    label = legend_text(scheme_style(scheme).label)
    return f"{label}, {stack}" if len(stacks) > 1 else label
