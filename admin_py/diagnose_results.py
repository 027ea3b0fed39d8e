"""What a diagnosis says: numbers, a verdict in words, and one page of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from admin_py.analysis.by_stack import StackResult
from admin_py.analysis.theory import Fits, amplification, fits
from admin_py.checks import check_integer

if TYPE_CHECKING:
    import pandas as pd

LEVELS = ("stable", "borderline", "unstable", "not finite")
"""Of a verdict, from the best to the worst."""

VANISHING = 10.0
"""A gradient is called vanishing when it falls by more than this factor from a stack's top to its bottom."""


def number(value: float) -> str:
    """Three significant digits.

    Examples
    --------
    >>> number(17.1934), number(1234.5), number(0.0), number(2.4e-5), number(float("nan"))
    ('17.2', '1,234', '0', '2.4e-05', 'nan')
    """
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:#.3g}".rstrip(".") if abs(value) < 100 else f"{value:,.0f}"


class Heavy(NamedTuple):
    """A sub-layer that weighs much in its stack's amplification.

    Examples
    --------
    >>> Heavy("encoder.0.self_attn", 0.25, 0.1).share
    0.1
    """

    name: str
    own: float
    """beta_jj^2."""
    share: float
    """Of the stack's sum."""


class GradientRange(NamedTuple):
    """Smallest and largest |dL/dx_i|, i = 1..R, of a stack.

    Examples
    --------
    >>> GradientRange(0.1, "decoder.0.self_attn", 2.0, "decoder.1.feed_forward", 20.0).vanishes
    True
    """

    smallest: float
    smallest_at: str
    largest: float
    largest_at: str
    top_over_bottom: float
    """|dL/dx_R| / |dL/dx_1|; nan where both are 0."""

    @property
    def vanishes(self) -> bool:
        """Whether the top's gradient is more than `VANISHING` times the bottom's."""
        return self.top_over_bottom > VANISHING


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(StackResult):
    """What `diagnose` found; its `repr` is one page. Frozen.

    Attributes
    ----------
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    level : {"stable", "borderline", "unstable", "not finite"}
        Of the verdict.
    verdict : str
        In one sentence.
    findings : tuple of str
        What else was seen, a sentence each; may be empty.
    advice : tuple of str
        What to change, a sentence each; may be empty.
    limits : str
        How far the verdict can be trusted: how often it was right about real trainings, and what it does not
        see.
    stable_up_to, unstable_from : float
        Amplifications between which the verdict is "borderline".
    own : mapping of str to ndarray
        Stack to beta_jj^2 of its sub-layers, float64 [R]: mean_t Var_f(b_j) / mean_t Var_f(y_j).
    references : mapping of str to mapping
        ``"post_ln"``, ``"pre_ln"`` and ``"admin"`` to the same of models of these schemes with the same sizes
        and seed.
    var_branch : mapping of str to ndarray
        Stack to mean_t Var_f(b_j), float64 [R], b_j the branch as it is added to the skip.
    var_stream : mapping of str to ndarray
        Stack to mean_t Var_f(x_i), i = 0..R, float64 [R + 1].
    gradients : mapping of str to ndarray
        Stack to |dL/dx_i|, i = 0..R, float64 [R + 1]; empty for an encoder, which has no loss.
    loss : float
        Nats per predicted token, label-smoothed; nan for an encoder.
    nonfinite : str
        First tensor with a number that is not finite, such as ``"the weight encoder.0.self_attn.q.weight"``;
        empty if there is none.
    sublayers : mapping of str to tuple of str
        Stack to the names of its R sub-layers.
    metadata : mapping
        Seed, dtype, threads, versions, sizes of the model, label smoothing.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=2, decoder_layers=2, d_model=8, heads=2,
    ...                               d_ff=16, scheme="rezero")
    >>> found = ap.diagnose(ap.Transformer(config, seed=1), ap.Batch([[3, 4, 5]], [[1, 6, 7, 2]]))
    >>> found.level, found.amplification("encoder")
    ('stable', array([0., 0., 0., 0.]))
    """

    kind: ClassVar[str] = "diagnosis"

    scheme: str
    level: str
    verdict: str
    findings: tuple[str, ...]
    advice: tuple[str, ...]
    limits: str
    stable_up_to: float
    unstable_from: float
    own: Mapping[str, np.ndarray]
    references: Mapping[str, Mapping[str, np.ndarray]]
    var_branch: Mapping[str, np.ndarray]
    var_stream: Mapping[str, np.ndarray]
    gradients: Mapping[str, np.ndarray]
    loss: float
    nonfinite: str
    sublayers: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, Any]

    def amplification(self, stack: str) -> np.ndarray:
        """sum_{j <= i} beta_jj^2 for i = 1..R, float64 [R]: by the theory the output change grows like it.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        self._check(stack)
        return amplification(self.own[stack])

    def growth(self, stack: str) -> Fits:
        """Lines through the amplification at i = 1..R, straight in i and in ln i, with their R^2.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        return fits(self.amplification(stack))

    def heaviest(self, count: int = 5) -> tuple[Heavy, ...]:
        """The sub-layers with the largest beta_jj^2 of the whole model, the largest first.

        Parameters
        ----------
        count : int
            At most as many.
        """
        count = check_integer("count", count, 1, 2**31 - 1)
        found = []
        for stack, names in self.sublayers.items():
            own = self.own[stack]
            total = float(own.sum())
            found += [
                Heavy(name, float(value), float(value) / total if total > 0 else 0.0)
                for name, value in zip(names, own, strict=True)
            ]
        finite = [one for one in found if np.isfinite(one.own)]
        return tuple(sorted(finite, key=lambda one: -one.own)[:count])

    def gradient_range(self, stack: str) -> GradientRange:
        """Smallest and largest |dL/dx_i| of a stack and where they are.

        Raises
        ------
        ValueError
            If the model has no such stack, or no loss.
        """
        self._check(stack)
        if not self.gradients:
            raise ValueError("stack: an encoder without a decoder has no loss, so it has no gradients")
        norms, names = self.gradients[stack][1:], self.sublayers[stack]
        low, high = int(np.argmin(norms)), int(np.argmax(norms))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = float(norms[-1] / norms[0])
        return GradientRange(float(norms[low]), names[low], float(norms[high]), names[high], ratio)

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sub-layer: stack, index (1..R), name, kind, own, amplification, var_branch, grad_norm.

        Then ``post_ln``, ``pre_ln`` and ``admin``, the amplification of the reference models. grad_norm is
        nan for an encoder.
        """
        import pandas as pd

        tables = []
        for stack, names in self.sublayers.items():
            columns = {
                "stack": stack,
                "index": np.arange(1, len(names) + 1),
                "name": names,
                "kind": self.kinds(stack),
                "own": self.own[stack],
                "amplification": self.amplification(stack),
                "var_branch": self.var_branch[stack],
                "grad_norm": self.gradients[stack][1:] if self.gradients else np.nan,
            }
            others = {name: amplification(own[stack]) for name, own in self.references.items()}
            tables.append(pd.DataFrame({**columns, **others}))
        return pd.concat(tables, ignore_index=True)

    def plot(self, axes: Any = None) -> np.ndarray:
        """Amplification and gradients by depth, a column a stack, see `admin_py.plots.plot_diagnosis`."""
        from admin_py.plots.diagnosis import plot_diagnosis

        return plot_diagnosis(self, axes)

    def _summary(self) -> str:
        totals = [f"{stack} {self.amplification(stack)[-1]:.3g}" for stack in self.stacks]
        return f"{self.scheme}: {self.level}, amplification {', '.join(totals)}"

    def __repr__(self) -> str:
        from admin_py.diagnose_page import page

        return page(self)

    def _repr_html_(self) -> str:
        """The page, for notebooks."""
        from admin_py.diagnose_page import page_html

        return page_html(self)
