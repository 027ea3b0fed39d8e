"""From result objects to the series that the figures by sub-layer draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.plots.sublayers import Series

if TYPE_CHECKING:
    from admin_py.analysis.gradients import GradientNorms
    from admin_py.model.profile import VarianceProfile
    from admin_py.training.history import History


class Curve(NamedTuple):
    """Loss by step: `steps` [n], `nll` [n] nats per token, without label smoothing."""

    steps: np.ndarray
    nll: np.ndarray


def training_curve(history: History) -> Curve:
    """Of every training batch, dropout on."""
    return Curve(np.arange(1, len(history.nll) + 1), np.asarray(history.nll, float))


def validation_curve(history: History) -> Curve:
    """Of the validation data, dropout off."""
    return Curve(np.asarray(history.valid["step"]), np.asarray(history.valid["nll"], float))


def profile_series(profile: VarianceProfile, column: str) -> Series:
    """One column of a profile: ``"omega"``, ``"var_branch"``, ``"var_input"`` or ``"beta2"``."""
    values = {stack: getattr(profile, column)(stack) for stack in profile.stacks}
    return Series(profile.scheme, values, {stack: profile.kinds(stack) for stack in profile.stacks})


def gradient_series(gradients: GradientNorms) -> Series:
    """|dL/dx_i| of the sub-layers' outputs, relative to the largest of the network."""
    values = {stack: gradients.relative(stack)[1:] for stack in gradients.outputs}
    return Series(gradients.scheme, values, {stack: gradients.kinds(stack) for stack in gradients.outputs})


VALUES: Mapping[str, str] = {
    "valid_nll": "validation nll per token, nats",
    "train_nll": "training nll per token, nats",
    "best_valid_nll": "lowest validation nll per token, nats",
    "seconds": "training time, s",
}
"""What a figure may show, and its label."""


class GridTable(NamedTuple):
    """A quantity over two axes; cells that differ in their seed alone are one place.

    Attributes
    ----------
    x, y : str
        Names of the axes.
    x_values, y_values : tuple
        Values of the X columns and Y rows.
    value : str
        Name of the quantity.
    mean : float64 [Y, X]
        Mean over the seeds that have a finite number; nan where there is none.
    runs, diverged, blown, stuck, blind : int64 [Y, X]
        Cells; those that diverged; that blew up; that do not train within the budget; that do not read their
        source in it.
    diverged_at : int64 [Y, X]
        First step at which one diverged; 0 where none did.
    title : str
        What all its cells have in common, where that tells it from others.
    """

    x: str
    y: str
    x_values: tuple[Any, ...]
    y_values: tuple[Any, ...]
    value: str
    mean: NDArray[np.float64]
    runs: NDArray[np.int64]
    diverged: NDArray[np.int64]
    blown: NDArray[np.int64]
    stuck: NDArray[np.int64]
    blind: NDArray[np.int64]
    diverged_at: NDArray[np.int64]
    title: str

    @property
    def label(self) -> str:
        """Of the quantity, with its unit."""
        return VALUES[self.value]
