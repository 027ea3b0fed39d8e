"""The command ``admin-py recipes``."""

from __future__ import annotations

import argparse
import textwrap

from admin_py.base.streams import say_result
from admin_py.experiments.settings import show
from admin_py.recipes import Recipe, load, names
from admin_py.recipes.recipe import GROUPS

SUMMARY = "whole trainings as data, with the source of every value"

EXAMPLES = """\
examples:
  admin-py recipes
      names, what they train, and where they are from
  admin-py recipes multi30k-tiny
      all values; those with a source of their own say it"""

WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "recipe", nargs="?", metavar="NAME", help="show all of one, or of a file that ends in .json"
    )
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py recipes``."""
    found = [load(name) for name in ([options.recipe] if options.recipe is not None else names())]
    lines = []
    for recipe in found:
        lines += [recipe.name, *_indented(recipe.summary), *_indented(recipe.source)]
    if options.recipe is not None:
        lines += _values(found[0])
    lost = say_result("\n".join(lines))
    if lost is not None:
        raise OSError(f"the standard output stream cannot be written: {lost}")
    return 0


def _values(recipe: Recipe) -> list[str]:
    """A line a value, by part."""
    lines = []
    for group in GROUPS:
        values = getattr(recipe, group)
        lines += [group] if values else []
        for name, value in values.items():
            told = recipe.sources.get(f"{group}.{name}")
            lines += _indented(f"{name} {show(value)}" + (f"  ({told})" if told else ""))
    return lines


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="    ", subsequent_indent="        ")
