"""From result objects to the series that the figures by sub-layer draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.plots.sublayers import Series
from admin_py.results import Result, figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from admin_py.analysis.gradients import GradientNorms
    from admin_py.model.profile import VarianceProfile
    from admin_py.training.history import History
    from admin_py.training.recorder import Recorder


class Curve(NamedTuple):
    """Loss by step: `steps` [n], `nll` [n] nats per token, without label smoothing."""

    steps: np.ndarray
    nll: np.ndarray


def training_curve(history: History | Recorder) -> Curve:
    """Of every training batch, dropout on."""
    return Curve(np.arange(1, len(history.nll) + 1), np.asarray(history.nll, float))


def validation_curve(history: History | Recorder) -> Curve:
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
    "bleu": "BLEU",
}
"""What a figure may show, and its label."""

LARGER_IS_BETTER = ("bleu",)
"""Of these."""


@dataclass(frozen=True, eq=False, repr=False)
class GridTable(Result):
    """A quantity over two axes; cells that differ in their seed alone are one place. `Grid.table` makes them.

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
    metadata : mapping
        Of the grid, with the stacks of its models.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> found = ap.grid(data, schemes=["post_ln", "admin"], lr=[1e-3, 1e-2], layers=1, d_model=8, d_ff=16,
    ...                 heads=2, steps=2, progress=False)
    >>> table = found.table("lr", "scheme")
    >>> table
    GridTable(validation nll per token, nats, by lr 2 x scheme 2)
    >>> table.mean.shape, table.runs.tolist()
    ((2, 2), [[1, 1], [1, 1]])
    """

    kind: ClassVar[str] = "grid table"
    drawn_by: ClassVar[str] = "plot_grid"

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
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Of the quantity, with its unit."""
        return VALUES[self.value]

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks of the grid's models."""
        return tuple(self.metadata.get("stacks", ()))

    def to_dataframe(self) -> pd.DataFrame:
        """A row a place: the values of both axes, the quantity, and the counts."""
        import pandas as pd

        rows, columns = (index.ravel() for index in np.indices(self.mean.shape))
        counts = ("runs", "diverged", "blown", "stuck", "blind", "diverged_at")
        return pd.DataFrame(
            {
                self.x: [self.x_values[column] for column in columns],
                self.y: [self.y_values[row] for row in rows],
                self.value: self.mean.ravel(),
                **{name: getattr(self, name).ravel() for name in counts},
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """A heatmap, see `admin_py.plots.plot_grid`."""
        return figure(self.drawn_by)(self, ax)

    def _summary(self) -> str:
        return f"{self.label}, by {self.x} {len(self.x_values)} x {self.y} {len(self.y_values)}"
