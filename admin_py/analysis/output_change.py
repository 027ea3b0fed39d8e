"""How far a small change of the weights moves the output, for every depth of one deep stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.analysis import theory
from admin_py.analysis.by_stack import StackResult

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class OutputChange(StackResult):
    """What `output_change` found. Frozen.

    xhat_i is y_i, what sub-layer i adds up before its output norm, standardised over the features of every
    token. The first i sub-layers of a stack are a stack of depth i, so one stack shows all depths.

    Attributes
    ----------
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    perturbation : str
        ``"random"``, ``"gradient"`` or the optimiser that made a step.
    size : float or None
        Of each weight's change; None for an optimiser's step.
    change : mapping of str to ndarray
        Stack to the mean over tokens of |xhat_i(W) - xhat_i(W + delta)|^2: float64 [repeats, R].
    input_change : mapping of str to ndarray
        Stack to the same of its standardised input x_0: float64 [repeats].
    own : mapping of str to ndarray
        Stack to the measured share of every y_i's variance that is its own branch's, mean_t Var_f(b_i) /
        mean_t Var_f(y_i): float64 [R].
    sublayers : mapping of str to tuple of str
        Stack to the names of its R sub-layers.
    metadata : mapping
        Seeds, dtype, threads, versions, whether embeddings moved.
    """

    kind: ClassVar[str] = "output change"

    scheme: str
    perturbation: str
    size: float | None
    change: Mapping[str, np.ndarray]
    input_change: Mapping[str, np.ndarray]
    own: Mapping[str, np.ndarray]
    sublayers: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, Any]

    @property
    def repeats(self) -> int:
        """How many changes of the weights were tried."""
        return len(next(iter(self.input_change.values())))

    def mean(self, stack: str) -> np.ndarray:
        """Mean over repeats of the change, float64 [R]."""
        self._check(stack)
        return self.change[stack].mean(axis=0)

    def spread(self, stack: str) -> np.ndarray:
        """Standard deviation over repeats (n - 1 in the denominator), float64 [R]; 0 for a single one."""
        self._check(stack)
        change = self.change[stack]
        return change.std(axis=0, ddof=1) if len(change) > 1 else np.zeros(change.shape[1])

    def fit(self, stack: str) -> theory.Fits:
        """Least squares through the mean: a line in the number of sub-layers, and one in its logarithm."""
        return theory.fits(self.mean(stack))

    def better(self, stack: str) -> str:
        """The form that fits better: ``"linear"`` or ``"logarithmic"``."""
        return self.fit(stack).better

    def theory(self, stack: str) -> np.ndarray:
        """C sum_{j <= i} beta_jj^2 from the measured `own`, with C by least squares: float64 [R]."""
        self._check(stack)
        curve = theory.amplification(self.own[stack])
        return theory.scale_to(curve, self.mean(stack)) * curve

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sub-layer: stack, index (1..R), name, kind, mean, spread, theory."""
        import pandas as pd

        tables = [
            pd.DataFrame(
                {
                    "stack": stack,
                    "index": np.arange(1, len(names) + 1),
                    "name": names,
                    "kind": self.kinds(stack),
                    "mean": self.mean(stack),
                    "spread": self.spread(stack),
                    "theory": self.theory(stack),
                }
            )
            for stack, names in self.sublayers.items()
        ]
        return pd.concat(tables, ignore_index=True)

    def _summary(self) -> str:
        parts = [
            f"{stack} {len(names)} sub-layers, change {self.mean(stack)[-1]:.3g} at the last, {self.better(stack)}"
            for stack, names in self.sublayers.items()
        ]
        return f"{self.scheme}, {self.perturbation} x {self.repeats}: " + "; ".join(parts)
