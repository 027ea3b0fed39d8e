"""What several figures do with their arguments: one result or many, which stack, which name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from admin_py.base.checks import check_choice
from admin_py.plots.style import legend_text, scheme_style

T = TypeVar("T")


def several(name: str, given: T | Iterable[T]) -> list[T]:
    """The results as a list; one alone is a list of one.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> several("numbers", range(2)), several("numbers", 3)
    ([0, 1], [3])
    """
    found: list[T] = list(given) if isinstance(given, Iterable) else [given]
    if not found:
        raise ValueError(f"{name}: expected at least one, got none")
    return found


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
