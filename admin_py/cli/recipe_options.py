"""``--recipe``, and the options of a training that studies and grids have not."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from admin_py.cli.options import UsageError, add_setting
from admin_py.cli.search_options import SEARCH_OPTIONS, add_search, search_of
from admin_py.experiments.train_settings import MODEL, OPTIMIZER, TRAINING
from admin_py.recipes import Recipe, load
from admin_py.recipes.recipe import GROUPS

MERGED = ("model", "optimizer", "schedule", "training", "averaging")
"""Parts of a recipe whose values are options of the same names."""

NEEDED = {
    "pairs": "pairs of lines: give --source and --target",
    "text": "one text: give --text",
    "numbers": "the task: give none of --source and --text",
}
"""Kind of data of a recipe -> what it is for."""

OPTION_NAMES = {"length_penalty": "lenpen", "min_length": "min_len"}
"""Where they differ from what they set."""

OTHER_VOCABULARIES = ("pretokenized", "tokenizer", "moses")
"""Options with which the vocabulary has the size that it has."""


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """``--recipe``."""
    parser.add_argument(
        "--recipe",
        metavar="NAME",
        help="take all values that are not given from a recipe, see admin-py recipes, or a file of one",
    )


def add_train_settings(parser: argparse.ArgumentParser) -> None:
    """Settings of a single training."""
    group = parser.add_argument_group("model and training, further")
    for one in (*MODEL, *OPTIMIZER, *TRAINING):
        add_setting(group, one.name)


def add_decoding(parser: argparse.ArgumentParser) -> None:
    """How the trained model translates."""
    add_search(
        parser.add_argument_group("search (how it translates later where nothing is said; default: none)")
    )


def take_recipe(options: argparse.Namespace, given: Mapping[str, str]) -> Recipe | None:
    """The recipe that the options name, with what is given; the other options get its values.

    Raises
    ------
    UsageError
        If the data are of another kind.
    """
    if options.recipe is None:
        return None
    recipe = load(options.recipe)
    _check_kind(recipe, options)
    parts = {
        group: {name: getattr(options, name) for name in GROUPS[group] if name in given} for group in MERGED
    }
    if "ema" in given:
        parts["averaging"].setdefault("average", None)
    recipe = recipe.replace(**parts)
    for group in MERGED:
        for name, value in getattr(recipe, group).items():
            setattr(options, name, value)
    if options.vocab_size is None and not any(getattr(options, name, None) for name in OTHER_VOCABULARIES):
        options.vocab_size = recipe.data.get("vocab_size")
    if options.context is None:
        options.context = recipe.data.get("context")
    return recipe


def _check_kind(recipe: Recipe, options: argparse.Namespace) -> None:
    wanted = recipe.data.get("kind")
    given = "pairs" if options.source is not None else "text" if options.text is not None else "numbers"
    if wanted not in (None, given):
        raise UsageError(f"the recipe {recipe.name} is for {NEEDED[wanted]}")


def decoding_settings(options: argparse.Namespace, recipe: Recipe | None) -> dict[str, Any]:
    """How the trained model translates, by the names of `beam_search`; {} where nothing is said."""
    told = {} if recipe is None else dict(recipe.decoding)
    if options.beam is None and "beam" not in told:
        for name in SEARCH_OPTIONS:
            if getattr(options, name) is not None:
                raise UsageError(f"--{OPTION_NAMES.get(name, name).replace('_', '-')} goes with --beam")
    given = {name: value for name, value in search_of(options, told).items() if value is not None}
    return told | given
