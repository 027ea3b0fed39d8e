"""When a training is observed, and what is taken down of an observed step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import MAX_COUNT, check_integer, check_listed, shown

if TYPE_CHECKING:
    from admin_py.model.transformer import Transformer
    from admin_py.training.ranks import Alone

PER_DECADE = 10
"""Steps that ``"log"`` takes between one power of ten and the next."""


@dataclass(frozen=True)
class ObserveAt:
    """The steps at which a training is observed.

    Attributes
    ----------
    every : int
        Step 1 and every so many; 0 for none of this kind.
    log : bool
        The steps next to 10^(i/10), i = 0, 1, ..., and the last.
    steps : frozenset of int
        These.

    Examples
    --------
    >>> [step for step in range(1, 31) if ObserveAt(log=True).due(step, last=30)]
    [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30]
    >>> [step for step in range(1, 31) if ObserveAt(every=10).due(step, last=30)]
    [1, 10, 20, 30]
    """

    every: int = 0
    log: bool = False
    steps: frozenset[int] = field(default=frozenset())

    def due(self, step: int, *, last: int) -> bool:
        """Whether a step, counted from 1, is observed in a training of `last` steps."""
        if self.log:
            near = round(PER_DECADE * math.log10(step))
            return step == last or step == round(10 ** (near / PER_DECADE))
        if self.every > 0:
            return step == 1 or step % self.every == 0
        return step in self.steps

    def describe(self) -> Any:
        """As plain JSON: None for never, a number of steps, ``"log"`` or a list."""
        if self.log:
            return "log"
        return self.every or sorted(self.steps) or None


def read_observe(observe: Any, observe_every: Any = 0) -> ObserveAt:
    """The schedule that the arguments of `train` name.

    Raises
    ------
    TypeError, ValueError
        If they name none, or both are given.

    Examples
    --------
    >>> read_observe([5, 1]).describe()
    [1, 5]
    >>> read_observe(0, 3) == read_observe(3)
    True
    """
    every = check_integer("observe_every", observe_every, 0, MAX_COUNT)
    asked = _read(observe)
    if not every:
        return asked
    if asked != ObserveAt():
        raise ValueError(
            f"observe_every={every} and observe={shown(observe)} say the same thing: give one of them, "
            f"such as observe={every}"
        )
    return ObserveAt(every=every)


def _read(observe: Any) -> ObserveAt:
    if isinstance(observe, str):
        if observe != "log":
            raise ValueError(
                f"observe must be a number of steps, 'log' or a list of steps, got {shown(observe)}"
            )
        return ObserveAt(log=True)
    if isinstance(observe, Iterable):
        return ObserveAt(
            steps=frozenset(
                check_integer("observe: a step", step, 1, MAX_COUNT)
                for step in check_listed("observe", observe, "steps")
            )
        )
    return ObserveAt(every=check_integer("observe", observe, 0, MAX_COUNT))


class StepObserver:
    """What is recorded of one observed step: statistics of a pass, norms of gradients, weights and updates.

    It holds a copy of the weights, which the next observed step uses again; none before the first.

    Parameters
    ----------
    model : Transformer
    """

    def __init__(self, model: Transformer) -> None:
        self._model, self._core = model, model._core
        trained = set(self._core.trained)
        chosen = [
            (i, name)
            for i, (name, value) in enumerate(model.parameters.items())
            if value.ndim == 2 and name in trained
        ]
        self.names = tuple(name for _, name in chosen)
        self._chosen = [i for i, _ in chosen]
        self._before: NDArray[Any] | None = None
        self._row: dict[str, dict[str, NDArray[np.float64]]] = {}

    def after_pass(self, share: float) -> None:
        """Take the statistics of an observed pass; gradient norms as if its batch were alone.

        Parameters
        ----------
        share : float
            Of the batch in the step's tokens, by which the gradients of the pass are scaled.
        """
        omega = self._model.omega
        self._row = {}
        for stack, values in self._core.observations().items():
            by_feature = omega[stack].reshape(len(omega[stack]), -1).astype(np.float64, copy=False)
            self._row[stack] = {
                "var_input": values["var_input"],
                "var_branch": values["var_branch"],
                "grad_norm": values["grad_norm"] / share,
                "omega": by_feature.mean(axis=1),
                "omega_spread": by_feature.std(axis=1),
            }

    def join(self, ranks: Alone, had_pass: int) -> None:
        """The statistics of the observed pass, which one rank has had, on every rank."""
        if ranks.size > 1:
            plain = ranks.told_by(had_pass, lambda: _each(self._row, lambda value: value.tolist()))
            self._row = _each(plain, np.array)

    def before_update(self) -> None:
        """Take the norms of the gradient and of the weights, and a copy of the weights."""
        self._row["matrices"] = {
            "grad_norm": self._core.norms("gradients")[self._chosen],
            "norm": self._core.norms("weights")[self._chosen],
        }
        if self._before is None:
            self._before = self._core.weights.copy()
        else:
            np.copyto(self._before, self._core.weights)

    def after_update(self) -> Mapping[str, Mapping[str, NDArray[np.float64]]]:
        """The row of the step: stack -> name -> values, and under ``"matrices"`` the norms."""
        self._row["matrices"]["update_norm"] = self._core.norms("weights", self._before)[self._chosen]
        return self._row


def _each(row: Mapping[str, Mapping[str, Any]], change: Callable[[Any], Any]) -> dict[str, dict[str, Any]]:
    """A row with its values changed."""
    return {of: {name: change(value) for name, value in values.items()} for of, values in row.items()}
