"""Sentences side by side: source, reference, and what each scheme wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from admin_py.base.printable import printable
from admin_py.schemes.labels import label

MAX_TEXT = 400
"""Characters of a text that are shown; of an output twice the reference's, at least MIN_TEXT."""
MIN_TEXT = 120


def side_by_side(source: str, expected: str, outputs: Mapping[str, str]) -> dict[str, Any]:
    """One sentence as the page shows it.

    Parameters
    ----------
    source, expected : str
    outputs : mapping
        Scheme -> what it wrote.
    """
    limit = max(MIN_TEXT, 2 * len(expected))
    shown = [
        {
            "scheme": scheme,
            "label": label(scheme),
            "text": shorten(text, limit),
            "right": text == expected,
        }
        for scheme, text in outputs.items()
    ]
    return {"source": shorten(source), "expected": shorten(expected), "outputs": shown}


def shorten(text: str, limit: int = MAX_TEXT) -> str:
    """Its beginning, where it is longer."""
    return printable(text if len(text) <= limit else text[:limit] + " ...", lines=True)
