"""What is scored, checked: a hypothesis for each sentence, and one reference for it or several."""

from __future__ import annotations

from collections.abc import Mapping, Set
from itertools import zip_longest
from typing import Any

from admin_py.base.checks import check_listed, check_unicode, shown
from admin_py.scores.conventions import case_counts, warn_of_case, warn_of_other

Streams = list[list["str | None"]]
"""References as sacreBLEU takes them: the first of every sentence, the second of every sentence, ..."""


def check_hypotheses(name: str, value: Any) -> list[str]:
    """Translations, one a sentence; blank ones are translations, too.

    Examples
    --------
    >>> check_hypotheses("hypotheses", "ein Haus")
    Traceback (most recent call last):
    TypeError: hypotheses must be a list of strings, one a sentence, got 'ein Haus'
    """
    found = [_text(f"{name}: number {i}", one) for i, one in enumerate(_listed(name, value))]
    if not found:
        raise ValueError(f"{name} must have at least one sentence, got none")
    return found


def check_references(value: Any, count: int) -> Streams:
    """References of so many sentences.

    Parameters
    ----------
    value : list of str, or list of lists of str
        One a sentence, or several for each; of several, blank ones are left out.
    count : int
        Sentences.
    """
    listed = _listed("references", value)
    several = [isinstance(one, (list, tuple)) for one in listed]
    if any(several) and not all(several):
        raise TypeError(
            "references must be all strings or all lists of strings, but number "
            f"{several.index(True)} is a list and number {several.index(False)} is none"
        )
    if len(listed) != count:
        raise ValueError(
            f"references must be as many as hypotheses, {count}, got {len(listed)}{_streams(listed, count)}"
        )
    sentences = [_references(i, one) for i, one in enumerate(listed)]
    return [list(stream) for stream in zip_longest(*sentences)]


def warn_of_texts(
    hypotheses: Mapping[str, list[str]], references: Streams, metric: str, convention: str, *, stacklevel: int
) -> None:
    """Warn of each text that looks as if it were not of the convention; stacklevel 1 is the caller."""
    all_references = [line for stream in references for line in stream if line is not None]
    for name, lines in hypotheses.items():
        warn_of_other(name, lines, convention, stacklevel=stacklevel + 1)
        if case_counts(metric, convention):
            warn_of_case(name, lines, all_references, stacklevel=stacklevel + 1)
    warn_of_other("references", all_references, convention, stacklevel=stacklevel + 1)


def _streams(listed: list[Any], count: int) -> str:
    """What to do with references that stand as sacreBLEU takes them."""
    if listed and all(isinstance(one, (list, tuple)) and len(one) == count for one in listed):
        return "; they are lists of the references of each sentence: list(zip(*references)) makes them so"
    return ""


def _references(number: int, one: Any) -> list[str]:
    name = f"references: number {number}"
    found = [_text(name, text) for text in (one if isinstance(one, (list, tuple)) else [one])]
    kept = [text for text in found if text.strip()]
    if not kept:
        raise ValueError(f"{name} is blank: there is nothing to compare with")
    return kept


def _listed(name: str, value: Any) -> list[Any]:
    if isinstance(value, (Mapping, Set)):
        raise TypeError(f"{name} must be a list of strings, one a sentence, got {shown(value)}")
    return check_listed(name, value, "strings, one a sentence")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, got {shown(value)}")
    return check_unicode(name, str.__str__(value))
