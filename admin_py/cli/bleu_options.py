"""Options of the commands that translate held-out sentences after training, and what they print of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from admin_py.cli.options import UsageError
from admin_py.cli.search_options import add_search, search_of
from admin_py.scores import CONVENTIONS

FLAGS = {
    "beam": "--beam",
    "length_penalty": "--lenpen",
    "penalty": "--penalty",
    "min_length": "--min-len",
    "max_length": "--max-len-a or --max-len-b",
    "no_repeat_ngram": "--no-repeat-ngram",
    "stop": "--stop",
    "convention": "--convention",
}
"""Option of ``bleu=`` -> as it is typed."""

TOLD = ("bleu_convention", "bleu_signature")
"""Columns that are alike in all rows, and told in a line."""


def add_bleu(parser: argparse.ArgumentParser) -> None:
    """Whether and how to translate."""
    group = parser.add_argument_group("translations")
    group.add_argument(
        "--bleu",
        action="store_true",
        help="translate the held-out sentences, those of --test where there are some, and score them",
    )
    add_search(group)
    group.add_argument(
        "--convention",
        choices=CONVENTIONS,
        help="score plain text, or tokens in lower case (default: tokens where the data were cut into words)",
    )


def given_bleu(options: argparse.Namespace) -> bool | dict[str, Any]:
    """What was typed, as ``bleu=`` of `study` and `grid`.

    Raises
    ------
    UsageError
        If there are options of translations that were not asked for.
    """
    asked = {**search_of(options, {}), "convention": options.convention}
    given = {name: value for name, value in asked.items() if value is not None}
    if given and not options.bleu:
        raise UsageError(f"{FLAGS[next(iter(given))]} goes with --bleu")
    return given or bool(options.bleu)


def bleu_words(members: Iterable[Any]) -> list[str]:
    """A line on what the scores of runs or cells are of; none where nothing was translated."""
    found = dict.fromkeys(
        f"BLEU of {len(one.translations.sources):,} sentences of {one.translations.split}, "
        f"{one.translations.score.convention}: {one.translations.score.signature}"
        for one in members
        if one.translations is not None
    )
    return list(found)
