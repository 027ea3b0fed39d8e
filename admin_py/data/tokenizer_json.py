"""The JSON of Hugging Face's `tokenizers`, checked before the library sees it: it may come from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MAX_ID = 2**31 - 5
"""Largest id of a piece: ids are int32, and the four special ones stand before them."""

HOLES = 1000
"""Unused ids that a vocabulary may have in any case; beyond, no more than it has pieces."""


def checked_json(values: Any) -> dict[str, Any]:
    """The JSON of a tokenizer, made to cut the same text the same way each time.

    Dropout of merges is switched off: data would be others at each reading. Padding and truncation, too.

    Raises
    ------
    ValueError
        Saying what is wrong with vocabulary or added tokens.

    Examples
    --------
    >>> checked_json({"model": {"type": "BPE", "dropout": 0.1, "vocab": {"a": 0}}})["model"]["dropout"]
    >>> checked_json({"model": {"vocab": {"a": 2**31}}})
    Traceback (most recent call last):
    ValueError: id of 'a' must be an integer from 0 to 2147483643, got 2147483648
    """
    if not isinstance(values, dict):
        raise ValueError(f"expected a JSON object, got {type(values).__name__}")
    model = values.get("model")
    if not isinstance(model, dict):
        raise ValueError("it has no model")
    ids = _vocabulary(model.get("vocab", {}))
    added = values.get("added_tokens") or []
    if not isinstance(added, list):
        raise ValueError("its added_tokens are no list")
    for one in added:
        if not isinstance(one, dict) or not isinstance(one.get("content"), str):
            raise ValueError(f"an added token must have content and id, got {one!r:.80}")
        _check_id(one["content"], one.get("id"))
    check_holes([*ids.values(), *(one["id"] for one in added)])
    calm = {**model, "dropout": None} if model.get("dropout") is not None else model
    return {**values, "model": calm, "padding": None, "truncation": None}


def check_holes(ids: Iterable[int]) -> None:
    """ValueError if most ids below the largest are of no piece: memory would go to what no text can fill.

    Examples
    --------
    >>> check_holes([0, 1, 7])
    >>> check_holes([0, 1, 5_000_000])
    Traceback (most recent call last):
    ValueError: it has 3 pieces, but ids up to 5,000,000: no text can fill such a vocabulary
    """
    known = set(ids)
    largest = max(known, default=-1)
    if largest + 1 > max(len(known) + HOLES, 2 * len(known)):
        raise ValueError(
            f"it has {len(known):,} pieces, but ids up to {largest:,}: no text can fill such a vocabulary"
        )


def added_ids(values: Mapping[str, Any]) -> dict[str, int]:
    """The added tokens of checked JSON with their ids."""
    return {one["content"]: one["id"] for one in values.get("added_tokens") or []}


def _vocabulary(vocab: Any) -> dict[str, int]:
    """Pieces and their ids; a list of a Unigram model has them by place."""
    if isinstance(vocab, list):
        pieces = [one[0] if isinstance(one, list) and len(one) == 2 else None for one in vocab]
        wrong = next((i for i, piece in enumerate(pieces) if not isinstance(piece, str)), None)
        if wrong is not None:
            raise ValueError(f"place {wrong} of its vocabulary must be a piece and a score")
        return {str(i): i for i in range(len(pieces))}
    if not isinstance(vocab, dict):
        raise ValueError(f"its vocabulary is {vocab!r:.80}")
    owners: dict[int, str] = {}
    for piece, number in vocab.items():
        _check_id(piece, number)
        if number in owners:
            raise ValueError(f"{owners[number]!r} and {piece!r} have the same id {number}")
        owners[number] = piece
    return vocab


def _check_id(piece: str, number: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_ID:
        raise ValueError(f"id of {piece!r:.80} must be an integer from 0 to {MAX_ID}, got {number!r:.40}")
