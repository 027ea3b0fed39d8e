"""Gradients by name, added up wherever a parameter is used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class Gradients(dict[str, np.ndarray]):
    """A zero array for every parameter; ``add`` accumulates into it."""

    def __init__(self, params: Mapping[str, np.ndarray]) -> None:
        super().__init__({name: np.zeros(value.shape) for name, value in params.items()})

    def add(self, name: str, gradient: np.ndarray | float) -> None:
        """Adds a gradient of the parameter's shape (a number for a parameter of one element)."""
        self[name] += np.reshape(gradient, self[name].shape)
