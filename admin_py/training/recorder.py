"""A history that grows while a model is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import LARGEST, as_number, check_array, check_integer, check_listed, check_mapping
from admin_py.base.plain_values import freeze
from admin_py.training.history import MATRICES, STEP_COLUMNS, VALID_COLUMNS, History, _Views


class Column:
    """An array that grows at its end; its values are a read-only view.

    Examples
    --------
    >>> column = Column(np.int64)
    >>> column.append(3)
    >>> column.values
    array([3])
    """

    def __init__(self, dtype: Any, values: Any = ()) -> None:
        self._buffer = np.array(values, dtype=dtype)
        self._length = len(self._buffer)

    def append(self, value: Any) -> None:
        """Add one element: a number, or a row of the shape of those before."""
        if self._length == len(self._buffer):
            shape = (max(2 * self._length, 16), *np.shape(value))
            grown = np.empty(shape, self._buffer.dtype)
            grown[: self._length] = self._buffer if self._length else 0
            self._buffer = grown
        self._buffer[self._length] = value
        self._length += 1

    @property
    def values(self) -> NDArray[Any]:
        """All elements so far."""
        view = self._buffer[: self._length]
        view.flags.writeable = False
        return view


@door
class Recorder(_Views):
    """A history that grows: what callbacks of a training are given, with the arrays of `History` so far.

    Its arrays are views of what has been recorded when they are asked for; `freeze` makes a `History`.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=64, valid=8)
    >>> config = ap.TransformerConfig(
    ...     vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> def tell(step, model, history):
    ...     print(step, history, history.nll.shape)
    >>> _ = ap.train(ap.Transformer(config), data, optimizer=ap.Adam(lr=1e-3), steps=2, progress=False,
    ...              callbacks=[tell])
    1 Recorder(1 steps) (1,)
    2 Recorder(2 steps) (2,)
    """

    def __init__(self, arrays: Mapping[str, Any] | None = None, *, matrices: Sequence[str] = ()) -> None:
        """Empty, or with the contents that `arrays` of another one gave and the names of its matrices."""
        given = arrays or {}
        self._steps = {name: Column(dtype, given.get(name, ())) for name, dtype in STEP_COLUMNS.items()}
        valid = given.get("valid", {})
        columns = {**VALID_COLUMNS, **{name: np.float64 for name in valid if name not in VALID_COLUMNS}}
        self._valid = {name: Column(dtype, valid.get(name, ())) for name, dtype in columns.items()}
        observed = dict(given.get("observations", {}))
        self._observed_at = Column(np.int64, observed.pop("step", ()))
        self._observed = {
            stack: {name: Column(np.float64, values) for name, values in columns.items()}
            for stack, columns in observed.items()
        }
        self._matrices = tuple(check_listed("matrices", matrices, "names"))
        self.diverged_at: int | None = None
        self.diverged_because: str | None = None
        self.interrupted = False
        self.metadata: Mapping[str, Any] = {}  # all of it is known when it is frozen

    def __getattr__(self, name: str) -> NDArray[Any]:
        steps = self.__dict__.get("_steps", {})
        if name not in steps:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        values: NDArray[Any] = steps[name].values
        return values

    @property
    def valid(self) -> Mapping[str, NDArray[Any]]:  # type: ignore[override]
        """As of `History`."""
        return {name: column.values for name, column in self._valid.items()}

    @property
    def observations(self) -> Mapping[str, Any]:  # type: ignore[override]
        """As of `History`."""
        observed = self._observed_arrays()
        if MATRICES in observed:
            observed[MATRICES] = {"names": self._matrices, **observed[MATRICES]}
        return observed

    def _observed_arrays(self) -> dict[str, Any]:
        columns = {
            place: {name: column.values for name, column in columns.items()}
            for place, columns in self._observed.items()
        }
        return {"step": self._observed_at.values, **columns}

    def add_step(self, **values: float) -> None:
        """Record one step: a number for each of `STEP_COLUMNS`."""
        if values.keys() != STEP_COLUMNS.keys():
            raise ValueError(f"values must be {', '.join(STEP_COLUMNS)}, got {', '.join(values)}")
        for name, value in values.items():
            self._steps[name].append(value)

    def add_validation(self, *, nll: float, loss: float, **monitored: float) -> None:
        """Record a validation after the last step, with what else is monitored: the same each time."""
        row = {"step": self.num_steps, "nll": nll, "loss": loss}
        row |= {name: as_number(name, value) for name, value in monitored.items()}
        if not len(self._valid["step"].values):
            self._valid |= {name: Column(np.float64) for name in monitored}
        if row.keys() != self._valid.keys():
            raise ValueError(f"monitored must be as before, {', '.join(self._valid)}, got {', '.join(row)}")
        for name, value in row.items():
            self._valid[name].append(value)

    def add_observation(
        self, step: int, places: Mapping[str, Mapping[str, Any]], *, matrices: Sequence[str] = ()
    ) -> None:
        """Record what was observed at a step.

        Parameters
        ----------
        step : int
        places : mapping
            Stack -> name -> array over sub-layers, and ``"matrices"`` -> name -> array over matrices.
        matrices : sequence of str
            Names of the matrices.
        """
        step = check_integer("step", step, 0, LARGEST)
        matrices = tuple(check_listed("matrices", matrices, "names"))
        read = {place: _rows(f"places[{place!r}]", columns) for place, columns in places.items()}
        self._observed_at.append(step)
        self._matrices = matrices
        for place, columns in read.items():
            own = self._observed.setdefault(place, {})
            for name, values in columns.items():
                own.setdefault(name, Column(np.float64)).append(values)

    def arrays(self) -> dict[str, Any]:
        """Everything recorded, as nested mappings of arrays alone; a new `Recorder` goes on from them."""
        steps = {name: column.values for name, column in self._steps.items()}
        return {**steps, "valid": self.valid, "observations": self._observed_arrays()}

    def freeze(self, metadata: Mapping[str, Any] | None = None) -> History:
        """The history so far, as it will not change any more."""
        return History(
            **freeze({**self.arrays(), "observations": self.observations}),
            diverged_at=self.diverged_at,
            diverged_because=self.diverged_because,
            interrupted=self.interrupted,
            metadata=metadata or {},
        )

    def __repr__(self) -> str:
        return f"Recorder({self.num_steps:,} steps)"


def _rows(name: str, columns: Any) -> dict[str, NDArray[np.float64]]:
    """What was observed at a place: name -> array of numbers."""
    given = check_mapping(name, columns)
    return {key: check_array(f"{name}[{key!r}]", values).astype(np.float64) for key, values in given.items()}
