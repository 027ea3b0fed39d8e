"""Options of a beam search, of those commands that search or say how it is done later."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from admin_py.generation.beam import PENALTIES, STOPS
from admin_py.generation.limits import BESIDES, PER_SOURCE_TOKEN

SEARCH_OPTIONS = (
    "length_penalty",
    "penalty",
    "min_length",
    "max_len_a",
    "max_len_b",
    "no_repeat_ngram",
    "stop",
)
"""What goes with ``--beam``."""


def add_search(group: Any) -> None:
    """Options of a search."""
    group.add_argument("--beam", type=int, metavar="N", help="hypotheses that are open at once")
    group.add_argument(
        "--lenpen",
        dest="length_penalty",
        type=float,
        metavar="X",
        help="scores are divided by the length to the power of X (default: 1)",
    )
    group.add_argument(
        "--penalty", choices=PENALTIES, help="n^X, or ((5 + n) / 6)^X for a length of n (default: power)"
    )
    group.add_argument(
        "--max-len-a", type=float, metavar="A", help=f"at most A n + B tokens (default: {PER_SOURCE_TOKEN})"
    )
    group.add_argument("--max-len-b", type=float, metavar="B", help=f"(default: {BESIDES})")
    group.add_argument("--min-len", dest="min_length", type=int, metavar="N", help="tokens at least")
    group.add_argument(
        "--no-repeat-ngram",
        type=int,
        metavar="N",
        help="the same N tokens never come twice (default: 0, off)",
    )
    group.add_argument(
        "--stop",
        choices=STOPS,
        help="when no open hypothesis can still become the best, or when as many as --beam have ended, as in "
        "fairseq (default: bound)",
    )


def search_of(options: argparse.Namespace, told: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a search by the names of `beam_search`; those that are not given are None."""
    found = {
        name: getattr(options, name)
        for name in ("beam", "length_penalty", "penalty", "min_length", "no_repeat_ngram", "stop")
    }
    ends = (options.max_len_a, options.max_len_b)
    if ends != (None, None):
        before = told.get("max_length", (PER_SOURCE_TOKEN, BESIDES))
        before = before if isinstance(before, tuple) else (0.0, before)
        found["max_length"] = tuple(b if a is None else a for a, b in zip(ends, before, strict=True))
    return found
