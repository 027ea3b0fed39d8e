"""Recipes in files: those of the package, and a user's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from admin_py.base import documents
from admin_py.base.arguments import door
from admin_py.base.checks import shown
from admin_py.base.paths import is_path, path_of
from admin_py.recipes.recipe import Recipe

FOLDER = Path(__file__).parent
SUFFIX = ".json"


def names() -> list[str]:
    """Names of the recipes of the package.

    Examples
    --------
    >>> names()
    ['iwslt14-small', 'multi30k-tiny', 'nanogpt-characters', 'numbers', 'wmt14-base']
    """
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


@door
def load(name: str | os.PathLike[str], **parts: Any) -> Recipe:
    """A recipe of the package by its name, or of a file.

    Parameters
    ----------
    name : str or path
        One of `names`, or the path of a JSON file that is written as those are, which ends in ``.json``.
    **parts
        Other values, as `Recipe.replace` takes them: ``schedule={"lr": 1e-3}``.

    Raises
    ------
    OSError
        If the file cannot be read.
    TypeError, ValueError
        If there is no recipe of that name, the file is not one, or a value is not right.

    Examples
    --------
    >>> load("numbers", training={"steps": 10}).training["steps"]
    10
    >>> load("multi30k")
    Traceback (most recent call last):
    ValueError: name must be a recipe, one of 'iwslt14-small', ..., or a file that ends in .json, got ...
    """
    place = _place(name)
    recipe = documents.read(place, _build)
    return recipe.replace(**parts) if parts else recipe


def _place(name: Any) -> Path:
    if isinstance(name, str) and name in names():
        return FOLDER / f"{name}{SUFFIX}"
    if not is_path(name) or not os.fsdecode(name).endswith(SUFFIX):
        known = ", ".join(map(repr, names()))
        raise ValueError(
            f"name must be a recipe, one of {known}, or a file that ends in {SUFFIX}, got {shown(name)}"
        )
    return path_of(name, "recipe")


def _build(value: Any) -> Recipe:
    if not isinstance(value, dict) or "name" not in value:
        raise ValueError("expected a recipe: an object with a name and its parts")
    return Recipe(**value)
