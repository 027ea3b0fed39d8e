"""Recipes: whole trainings as data, each value with its source, by name or from a file.

>>> import admin_py as ap
>>> recipe = ap.recipes.load("multi30k-tiny")
>>> recipe.model["d_model"], recipe.schedule["lr"], recipe.decoding["beam"]
(128, 0.005, 5)
"""

from __future__ import annotations

from admin_py.recipes.files import load, names
from admin_py.recipes.recipe import Recipe

__all__ = ["Recipe", "load", "names"]
