"""What results with numbers of every sub-layer of a stack have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from admin_py.analysis import theory
from admin_py.base.checks import shown
from admin_py.results import Result


class StackResult(Result):
    """A result whose field ``sublayers`` maps each stack to the names of its sub-layers."""

    sublayers: Mapping[str, tuple[str, ...]]

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks it covers: "encoder", "decoder" or both."""
        return tuple(self.sublayers)

    def kinds(self, stack: str) -> tuple[str, ...]:
        """Kind of each sub-layer of a stack: ``self_attn``, ``cross_attn`` or ``feed_forward``.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        self._check(stack)
        return tuple(name.rsplit(".", 1)[-1] for name in self.sublayers[stack])

    def _check(self, stack: str) -> None:
        if stack not in self.sublayers:
            raise ValueError(f"stack: expected one of {', '.join(self.sublayers)}, got {shown(stack)}")


class OwnResult(StackResult):
    """A result that tells how much every sub-layer depends on its own branch, measured."""

    @abstractmethod
    def own(self, stack: str) -> NDArray[np.float64]:
        """beta_jj^2 = mean_t Var_f(b_j) / mean_t Var_f(y_j) of every sub-layer j, float64 [R].

        b_j is the branch as it is added, y_j the sum before the output norm, Var_f over the features of a
        token, mean_t over tokens. 0 where both variances are 0. With a branch and a skip that are correlated
        it may be more than what the variances predict, and more than 1.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """

    def amplification(self, stack: str) -> NDArray[np.float64]:
        """sum_{j <= i} beta_jj^2 of `own`, i = 1..R, float64 [R]: by theory output changes grow like it.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        return theory.amplification(self.own(stack))
