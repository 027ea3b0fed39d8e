"""Dependency of every sub-layer's output on every branch before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.analysis.by_stack import OwnResult
from admin_py.analysis.theory import own_dependency
from admin_py.analysis.unmeasured import Unmeasured
from admin_py.base.arguments import door
from admin_py.base.checks import check_choice, check_integer
from admin_py.results import figure, run_metadata

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from admin_py.data.batch import Batch
    from admin_py.model.config import TransformerConfig
    from admin_py.model.transformer import Transformer

SCALES = ("row", "std")

MAX_MEMORY = 128 * 2**20
"""Bytes of components that are held at once, about."""


@dataclass(frozen=True, eq=False, repr=False)
class Dependency(OwnResult):
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
    drawn_by: ClassVar[str] = "plot_dependency"

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
        with np.errstate(invalid="ignore"):  # nan where variances are beyond the type's range
            return np.sqrt(np.divide(variances, norm, out=np.zeros_like(variances), where=norm != 0))

    def own(self, stack: str) -> np.ndarray:
        """beta_ii^2 = mean_t Var_f(b_i) / mean_t Var_f(y_i), float64 [R], as of `Diagnosis.own`.

        The square of the diagonal of ``beta(stack, scale="std")``: variances of parts, their covariances
        counted in y_i alone.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        self._check(stack)
        return own_dependency(_diagonal(self.variances[stack]), self.sums[stack])

    def share(self, stack: str) -> np.ndarray:
        """Share of the own branch among the parts of each y_i, covariances left out, float64 [R].

        The square of the diagonal of ``beta(stack)``, whose rows are scaled so that the squares add up to 1.
        `own` has the variance of y_i itself below the line.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        return _diagonal(self.beta(stack)) ** 2

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

    def plot(self, ax: Axes | None = None, *, stack: str | None = None, scale: str = "row") -> Axes:
        """Heatmap of beta_ij, see `admin_py.plots.plot_dependency`."""
        return figure(self.drawn_by)(self, ax, stack=stack, scale=scale)

    def _summary(self) -> str:
        parts = [
            f"{stack} {len(names)} sub-layers, sum of beta_ii^2 {self.amplification(stack)[-1]:.3g}"
            for stack, names in self.sublayers.items()
        ]
        return f"{self.scheme}: " + "; ".join(parts)


@door
def dependency(model: Transformer, batch: Batch, *, max_memory: int | None = None) -> Dependency:
    """Where the sum of every sub-layer comes from: how much of it is left of which branch before.

    One forward pass without dropout, in which every token's vector is followed as an exact sum of its parts:
    the input x_0, every branch, and the biases nu of norms. The weights are left alone.

    Parameters
    ----------
    model : Transformer
        Before or after training.
    batch : Batch
    max_memory : int, optional
        Bytes for components, 128 MiB by default: the batch is read in groups of whole sequences whose
        components take about that much. One sequence is the least, R + 2 vectors a token.

    Returns
    -------
    Dependency

    Raises
    ------
    TypeError
        If the batch is not a Batch or max_memory not an integer.
    ValueError
        If the model cannot read the batch, or its scheme sends the residual through a norm that is not
        linear once its statistics are given (DyT): its output is no sum of parts.

    Notes
    -----
    With b_i the branch as it is added (alpha and the branch norm included), c_ii = b_i, and for j < i::

        Post-LN  c_ij = omega_i gamma_{i-1} (c_{i-1,j} - mean c_{i-1,j}) / std_{i-1}
        Pre-LN   c_ij = omega_i c_{i-1,j}

    where std_{i-1} is the norm's, of each token, in this pass; RMSNorm does not centre; kappa adds the
    components of the layer's input; a residual that is normed goes through that norm too. The paper (arXiv
    2004.08249, section 4.1) leaves the centring out. At initialisation, where gamma and omega are the same
    for all features, that makes no difference to the variances; after training only the centred components
    add up to y_i exactly.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=2, decoder_layers=0, d_model=8, heads=2,
    ...                               d_ff=16, scheme="post_ln")
    >>> result = dependency(ap.Transformer(config, seed=1), ap.Batch([[3, 4, 5]]))
    >>> result.beta("encoder").shape
    (4, 5)
    >>> bool(np.allclose((result.beta("encoder") ** 2).sum(axis=1), 1))
    True
    """
    _need_linear(model.config)
    budget = (
        MAX_MEMORY
        if max_memory is None
        else check_integer("max_memory", max_memory, 1, np.iinfo(np.int64).max)
    )
    found = model._core.dependency(model._batch(batch), max_memory=budget)
    return Dependency(
        scheme=model.config.scheme_name,
        variances={stack: table["variances"][:, :-1] for stack, table in found.items()},
        bias={stack: table["variances"][:, -1] for stack, table in found.items()},
        sums={stack: table["sums"] for stack, table in found.items()},
        predicted={stack: table["predicted"] for stack, table in found.items()},
        sublayers={stack: tuple(model.config.sublayer_names(stack)) for stack in found},
        num_tokens={stack: table["num_tokens"] for stack, table in found.items()},
        metadata=run_metadata(seed=model.seed, dtype=model.dtype),
    )


def _diagonal(table: np.ndarray) -> np.ndarray:
    """Of [R, R + 1] the column j = i of every row i."""
    return np.diagonal(table, offset=1).copy()


def _need_linear(config: TransformerConfig) -> None:
    """Refuses a scheme with a DyT norm on the way of the residual."""
    for stack in config.stacks:
        for name, residual in zip(config.sublayer_names(stack), config.residuals(stack), strict=True):
            on_the_way = {"norm_post": residual.norm_post}
            if residual.residual_normed:
                on_the_way["norm_pre"] = residual.norm_pre
            for field, norm in on_the_way.items():
                if norm == "dyt":
                    raise Unmeasured(
                        f"model: scheme {config.stack_scheme(stack).name!r} has no dependency: {name} sends "
                        f"its residual through {field}={norm!r}, which is not linear: no sum of parts is left"
                    )
