"""What a grid found: its cells, their table, and the values of two axes against each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.base.checks import check_choice, shown
from admin_py.experiments.cross import Cross, at, check_members, place_of
from admin_py.experiments.folder import load, save
from admin_py.experiments.grid.cell import GridCell
from admin_py.experiments.grid.files import GridFiles
from admin_py.experiments.outcomes import BLEW_UP, BLIND, DIVERGED, STUCK
from admin_py.experiments.settings import AXES, show
from admin_py.plots.tables import VALUES, GridTable
from admin_py.results import figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

ABSCISSA = (
    "beta2",
    "lr",
    "init_gain",
    "layers",
    "d_model",
    "d_ff",
    "heads",
    "dropout",
    "activation",
    "max_tokens",
    "warmup",
    "optimizer",
    "scheme",
)
"""Which axes a figure takes where none are named: the first two that vary, x and y."""


@dataclass(frozen=True, eq=False, repr=False)
class Grid(Cross):
    """The cells of a grid.

    Attributes
    ----------
    settings : mapping
        What all cells have in common: steps, schedule, label smoothing, dtype.
    axes : mapping
        Axis -> its values, in order.
    asked : tuple of str
        Names of the cells that the last call asked for.
    data : mapping
        ``name``, ``kind``, ``vocab_size``, ``unigram_entropy`` (nats per token), ``description``.
    metadata : mapping
        Kernels, threads, versions, dtype.
    cells : tuple of GridCell
        In the order of the axes' values, the last axis fastest.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> found = ap.grid(data, schemes=["post_ln", "admin"], lr=[1e-3, 1e-2], layers=1, d_model=8, d_ff=16,
    ...                 heads=2, steps=2, progress=False)
    >>> found.pivot("lr", "scheme", value="train_nll").shape
    (2, 2)
    >>> found.select(scheme="admin", lr=1e-2).cells[0].history.num_steps
    2
    """

    kind: ClassVar[str] = "grid"

    cells: tuple[GridCell, ...] = ()

    @property
    def members(self) -> tuple[GridCell, ...]:
        """The cells."""
        return self.cells

    def with_members(self, members: Iterable[Any], **changes: Any) -> Grid:
        """The same with other cells."""
        return replace(self, cells=tuple(check_members(members, GridCell)), **changes)

    @property
    def varying(self) -> tuple[str, ...]:
        """Axes in which cells differ that agree in all others, in the order of `ABSCISSA`; seeds aside.

        Beta2 that changes only because the optimiser does is not among them.
        """
        return tuple(axis for axis in ABSCISSA if self._varies(axis))

    def _varies(self, axis: str) -> bool:
        seen: dict[Any, Any] = {}
        aside = (axis, "seed", "beta2") if axis == "optimizer" else (axis, "seed")
        for cell in self.cells:
            rest = tuple(value for name, value in cell.values.items() if name not in aside)
            if seen.setdefault(rest, at(cell, axis)) != at(cell, axis):
                return True
        return False

    # Tables

    def to_dataframe(self) -> pd.DataFrame:
        """A row a cell: its axes, losses, outcome in words, the step at which it diverged, and its time."""
        import pandas as pd

        return pd.DataFrame([cell.row() for cell in self.cells])

    def pivot(self, x: str, y: str, value: str = "valid_nll") -> pd.DataFrame:
        """Means over seeds, a row for each value of `y`, a column for each of `x`; nan where all diverged.

        Parameters
        ----------
        x, y : str
            Axes, or ``"encoder"`` and ``"decoder"`` for the two schemes of hybrids.
        value : str
            ``"valid_nll"``, ``"train_nll"``, ``"best_valid_nll"``, ``"seconds"``; ``"bleu"`` where there are
            translations.

        Raises
        ------
        ValueError
            For other names, for BLEU where nothing was translated, and where cells of one place differ in
            more than their seed.
        """
        import pandas as pd

        table = self.table(x, y, value)
        rows = pd.Index([_label(v) for v in table.y_values], name=y)
        return pd.DataFrame(table.mean, rows, pd.Index([_label(v) for v in table.x_values], name=x))

    def table(self, x: str, y: str, value: str = "valid_nll", *, title: str = "") -> GridTable:
        """As `pivot`, with what diverged, blew up and does not train beside the means."""
        x, y = (_place(name, given) for name, given in (("x", x), ("y", y)))
        check_choice("value", value, tuple(VALUES))
        if value == "bleu" and all(cell.translations is None for cell in self.cells):
            raise ValueError("value: no cell has a BLEU, for which grid(..., bleu=True) asks")
        if x == y:
            raise ValueError(f"x and y must be two axes, got {shown(x)} twice")
        columns, rows = self.values(x), self.values(y)
        shape = (len(rows), len(columns))
        mean = np.full(shape, np.nan)
        runs, diverged, blown, stuck, blind, diverged_at = (np.zeros(shape, np.int64) for _ in range(6))
        for index in np.ndindex(*shape):
            row, column = index
            here = [c for c in self.cells if at(c, y) == rows[row] and at(c, x) == columns[column]]
            self._check_place(here, x, y)
            numbers = np.array([getattr(cell, value) for cell in here])
            numbers = numbers[np.isfinite(numbers)]
            mean[index] = numbers.mean() if len(numbers) else np.nan
            runs[index] = len(here)
            diverged[index] = sum(cell.outcome == DIVERGED for cell in here)
            blown[index] = sum(cell.outcome == BLEW_UP for cell in here)
            stuck[index] = sum(cell.outcome == STUCK for cell in here)
            blind[index] = sum(cell.outcome == BLIND for cell in here)
            diverged_at[index] = min(
                (cell.diverged_at for cell in here if cell.diverged_at is not None), default=0
            )
        about = {**self.metadata, "stacks": self.stacks}
        return GridTable(
            x, y, columns, rows, value, mean, runs, diverged, blown, stuck, blind, diverged_at, title, about
        )

    def _check_place(self, cells: Sequence[GridCell], x: str, y: str) -> None:
        for axis in ("optimizer", *AXES):  # it may be why beta2 differs
            found = {at(cell, axis) for cell in cells}
            if axis != "seed" and len(found) > 1:
                shown = ", ".join(sorted(map(show, found)))
                raise ValueError(
                    f"x={x!r}, y={y!r}: {axis} varies too ({shown}); choose one with select({axis}=...), or "
                    f"draw plot_panels(panels={axis!r})"
                )

    # Pictures

    def _axes_of_figure(self, x: str | None, y: str | None, panels: str | None = None) -> tuple[str, str]:
        """The axes that were named, and the first that vary for the others."""
        hybrids = any("/" in str(at(cell, "scheme")) for cell in self.cells)
        if hybrids and x is None and y is None and panels is None and self.varying == ("scheme",):
            return "decoder", "encoder"
        free = [
            axis for axis in dict.fromkeys((*self.varying, "scheme", *AXES)) if axis not in (x, y, panels)
        ]
        x = free.pop(0) if x is None else x
        return x, (free.pop(0) if y is None else y)

    def plot(
        self, x: str | None = None, y: str | None = None, ax: Axes | None = None, *, value: str = "valid_nll"
    ) -> Axes:
        """Draw a heatmap of the final loss over two axes, seeds averaged.

        Places where a seed diverged are hatched and have a cross and the first step at which one did; those
        that do not train within the budget are hatched lightly and say so.

        Parameters
        ----------
        x, y : str, optional
            Axes, or ``"encoder"`` and ``"decoder"``; by default the first two that vary.
        ax : matplotlib.axes.Axes, optional
            Drawn into; a new figure otherwise.
        value : str
            As for `pivot`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            As `pivot` does.
        """
        return figure("plot_grid")(self.table(*self._axes_of_figure(x, y), value), ax)

    def plot_panels(
        self,
        panels: str = "scheme",
        x: str | None = None,
        y: str | None = None,
        axes: Any = None,
        *,
        value: str = "valid_nll",
    ) -> np.ndarray:
        """Heatmaps side by side, one for each value of a third axis, in one scale of colours.

        Parameters
        ----------
        panels : str
            The third axis.
        x, y, value
            As for `plot`.
        axes : sequence of matplotlib.axes.Axes, optional
            As many as there are values; a new figure otherwise.

        Returns
        -------
        ndarray of matplotlib.axes.Axes
        """
        panels = _place("panels", panels)
        x, y = self._axes_of_figure(x, y, panels)
        tables = [
            self.select(**{panels: [one]}).table(x, y, value, title=_panel_title(panels, one))
            for one in self.values(panels)
        ]
        return figure("plot_grid_panels")(tables, axes)

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a folder: ``grid.json``, and a file a cell under ``cells``.

        Raises
        ------
        OSError
            If a file cannot be written.
        RuntimeError
            If another process writes into the folder.
        ValueError
            If the folder has cells of another grid.
        """
        save(FILES, path, self, name="path")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Grid:
        """Read a grid's folder; one that was stopped gives the cells that were whole.

        Raises
        ------
        OSError
            If there is no grid in the folder.
        ValueError
            If a file is not what it should be.
        """
        return load(FILES, path)

    def _summary(self) -> str:
        words: dict[str, int] = {}
        for cell in self.cells:
            words[cell.outcome] = words.get(cell.outcome, 0) + 1
        several = [axis for axis in self.several if axis in (*self.varying, "seed")]
        sizes = " x ".join(f"{len(self.values(axis))} {axis}" for axis in several)
        parts = [str(self.data.get("name")), f"{len(self.cells)} cells" + (f" ({sizes})" if sizes else "")]
        parts += [f"{count} {word}" for word, count in words.items()]
        missing = len(set(self.asked) - {cell.name for cell in self.cells})
        return ", ".join(parts + ([f"{missing} not run yet"] if missing else []))


def _place(argument: str, given: Any) -> str:
    """An axis that an argument names."""
    try:
        return place_of(given)
    except ValueError as error:
        raise ValueError(str(error).replace("axis", argument, 1)) from None


def _label(value: Any) -> Any:
    return show(value) if isinstance(value, tuple) or value is None else value


def _panel_title(axis: str, value: Any) -> str:
    return str(value) if axis in ("scheme", "optimizer", "encoder", "decoder") else f"{axis} {show(value)}"


FILES = GridFiles(Grid.from_dict)
"""How grids lie in folders."""
