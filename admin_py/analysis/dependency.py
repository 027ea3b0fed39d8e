"""Dependency of every sub-layer's output on every branch before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.analysis.by_stack import StackResult
from admin_py.analysis.theory import amplification
from admin_py.checks import check_choice

if TYPE_CHECKING:
    import pandas as pd

SCALES = ("row", "std")


@dataclass(frozen=True, eq=False, repr=False)
class Dependency(StackResult):
    """What `dependency` found: how much of every y_i comes from which branch. Frozen.

    y_i, what sub-layer i adds up before its output norm, is a sum of components c_ij: j = 0 what is left of
    the stack's input x_0, j >= 1 what is left of branch j.

    Attributes
    ----------
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    variances : mapping of str to ndarray
        Stack to the mean over tokens of the variance over features of c_ij: float64 [R, R + 1], row i - 1 for
        y_i, column j; 0 for j > i.
    bias : mapping of str to ndarray
        Stack to the same of what the biases nu of the norms add, float64 [R]; 0 at initialisation.
    sums : mapping of str to ndarray
        Stack to the same of y_i itself, float64 [R].
    predicted : mapping of str to ndarray
        Stack to beta_ii^2 as the variances of the pass predict it, float64 [R]: Var(b_i) / (Var(omega_i r_i)
        + Var(b_i)) over all tokens and features, b_i the branch as it is added and r_i the residual.
    sublayers : mapping of str to tuple of str
        Stack to the names of its R sub-layers.
    num_tokens : mapping of str to int
        Stack to the tokens that were read.
    metadata : mapping
        Seed, dtype, threads, versions.
    """

    kind: ClassVar[str] = "dependency"

    scheme: str
    variances: Mapping[str, np.ndarray]
    bias: Mapping[str, np.ndarray]
    sums: Mapping[str, np.ndarray]
    predicted: Mapping[str, np.ndarray]
    sublayers: Mapping[str, tuple[str, ...]]
    num_tokens: Mapping[str, int]
    metadata: Mapping[str, Any]

    def beta(self, stack: str, *, scale: str = "row") -> np.ndarray:
        """beta_ij, the dependency of y_i (row i - 1) on x_0 (column 0) and branch j (column j).

        Parameters
        ----------
        stack : str
        scale : {"row", "std"}
            ``"row"``: each row scaled so that sum_j beta_ij^2 = 1 (norm biases left out). ``"std"``: standard
            deviations of c_ij divided by that of y_i; its squares add up to 1 where components are
            uncorrelated.

        Returns
        -------
        ndarray
            float64 [R, R + 1]; 0 above the diagonal, and for a row that is 0 throughout.

        Raises
        ------
        ValueError
            If the model has no such stack or the scale is unknown.
        """
        self._check(stack)
        variances = self.variances[stack]
        by_row = check_choice("scale", scale, SCALES) == "row"
        norm = (variances.sum(axis=1) if by_row else self.sums[stack])[:, np.newaxis]
        return np.sqrt(np.divide(variances, norm, out=np.zeros_like(variances), where=norm > 0))

    def own(self, stack: str) -> np.ndarray:
        """beta_ii^2: the share of each y_i that is its own branch's, rows scaled to 1, float64 [R]."""
        beta = self.beta(stack)
        rows = np.arange(len(beta))
        return beta[rows, rows + 1] ** 2

    def amplification(self, stack: str) -> np.ndarray:
        """sum_{j <= i} beta_jj^2 for i = 1..R, what the output change grows like by the theory, float64 [R]."""
        return amplification(self.own(stack))

    def to_dataframe(self) -> pd.DataFrame:
        """A row a dependency: stack, row (i, 1..R), column (j, 0..i), name (of sub-layer i), beta."""
        import pandas as pd

        tables = []
        for stack, names in self.sublayers.items():
            row, column = np.tril_indices(len(names), 1, len(names) + 1)
            tables.append(
                pd.DataFrame(
                    {
                        "stack": stack,
                        "row": row + 1,
                        "column": column,
                        "name": np.array(names, dtype=object)[row],
                        "beta": self.beta(stack)[row, column],
                    }
                )
            )
        return pd.concat(tables, ignore_index=True)

    def _summary(self) -> str:
        parts = [
            f"{stack} {len(names)} sub-layers, sum of beta_ii^2 {self.amplification(stack)[-1]:.3g}"
            for stack, names in self.sublayers.items()
        ]
        return f"{self.scheme}: " + "; ".join(parts)
