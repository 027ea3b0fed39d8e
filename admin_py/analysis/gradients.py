"""Gradient norms of one backward pass: of every sub-layer's output and of every weight matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py.analysis.by_stack import StackResult
from admin_py.base import defaults
from admin_py.base.arguments import door
from admin_py.base.exact_math import geometric_mean
from admin_py.base.unused import goes_with
from admin_py.model.names import place_of
from admin_py.results import figure, run_metadata

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from admin_py.data.batch import Batch
    from admin_py.model.transformer import Transformer


@dataclass(frozen=True, eq=False, repr=False)
class GradientNorms(StackResult):
    """What `gradients` found.

    Attributes
    ----------
    scheme : str
        Of the model; a hybrid is ``"encoder's/decoder's"``.
    outputs : mapping of str to ndarray
        Stack to |dL/dx_i|, i = 0..R: float64 [R + 1], Frobenius norms; x_0 is the stack's input.
    sublayers : mapping of str to tuple of str
        Stack to the names of its R sub-layers, such as ``"encoder.3.self_attn"``.
    matrices : mapping of str to float
        Name of a weight matrix to |dL/dW|.
    loss : float
        Mean per token, nats, of the pass.
    num_tokens : int
        That were predicted.
    metadata : mapping
        Seed, dtype, threads, versions.
    """

    kind: ClassVar[str] = "gradients"
    drawn_by: ClassVar[str] = "plot_gradients"

    scheme: str
    outputs: Mapping[str, np.ndarray]
    sublayers: Mapping[str, tuple[str, ...]]
    matrices: Mapping[str, float]
    loss: float
    num_tokens: int
    metadata: Mapping[str, Any]

    @property
    def largest(self) -> float:
        """Largest |dL/dx_i| of a sub-layer's output (i >= 1) in the whole network."""
        return float(max(norms[1:].max() for norms in self.outputs.values()))

    def relative(self, stack: str) -> np.ndarray:
        """|dL/dx_i| divided by the network's largest, as in the paper's figure: float64 [R + 1].

        All zeros where the whole gradient is zero.

        Raises
        ------
        ValueError
            If the model has no such stack.
        """
        self._check(stack)
        scale = self.largest
        return self.outputs[stack] / scale if scale > 0 else np.zeros_like(self.outputs[stack])

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sub-layer: stack, index (1..R), name, kind, grad_norm, relative."""
        import pandas as pd

        tables = [
            pd.DataFrame(
                {
                    "stack": stack,
                    "index": np.arange(1, len(norms)),
                    "name": self.sublayers[stack],
                    "kind": self.kinds(stack),
                    "grad_norm": norms[1:],
                    "relative": self.relative(stack)[1:],
                }
            )
            for stack, norms in self.outputs.items()
        ]
        return pd.concat(tables, ignore_index=True)

    def matrices_to_dataframe(self) -> pd.DataFrame:
        """A row a weight matrix: name, stack, layer (from 0; -1 for embeddings), kind, grad_norm."""
        import pandas as pd

        places = [place_of(name) for name in self.matrices]
        return pd.DataFrame(
            {
                "name": list(self.matrices),
                "stack": [place.stack for place in places],
                "layer": [place.layer for place in places],
                "kind": [place.kind for place in places],
                "grad_norm": list(self.matrices.values()),
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Log bars by sub-layer, see `admin_py.plots.plot_gradients`."""
        return figure(self.drawn_by)(self, ax=ax)

    def plot_matrices(self, ax: Axes | None = None) -> Axes:
        """|dL/dW| of every weight matrix, see `admin_py.plots.plot_matrix_gradients`."""
        return figure("plot_matrix_gradients")(self, ax=ax)

    def _summary(self) -> str:
        parts = []
        for stack, norms in self.outputs.items():
            parts.append(f"{stack} {len(norms) - 1} sub-layers, |dL/dx| {norms[1]:.2g} to {norms[-1]:.2g}")
        return f"{self.scheme}: " + "; ".join(parts)


@door
@goes_with(step=("training=True, which has dropout", lambda given: given["training"]))
def gradients(
    model: Transformer,
    batch: Batch,
    *,
    label_smoothing: float = defaults.LABEL_SMOOTHING,
    training: bool = True,
    step: int = 0,
) -> GradientNorms:
    """Norms of the loss's gradient at one batch, by sub-layer and by weight matrix.

    One backward pass; its gradients stay in ``model.gradients``, the weights are left alone.

    Parameters
    ----------
    model : Transformer
    batch : Batch
    label_smoothing : float
        Of the loss.
    training : bool
        With dropout, as in training.
    step : int
        Of dropout's random numbers.

    Returns
    -------
    GradientNorms

    Raises
    ------
    ValueError
        If the model has no loss (an encoder) or cannot read the batch.

    Notes
    -----
    The paper (arXiv 2004.08249, section 3) compares |dL/dx_i| over sub-layers of 18-layer models before
    training: only the decoder of Post-LN vanishes.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2,
    ...                               d_ff=16, scheme="post_ln")
    >>> result = gradients(ap.Transformer(config, seed=1), ap.Batch([[3, 4, 5]], [[1, 6, 7, 2]]))
    >>> result.outputs["decoder"].shape
    (4,)
    >>> result.kinds("decoder")
    ('self_attn', 'cross_attn', 'feed_forward')
    """
    options: dict[str, Any] = {"step": step} if training else {}
    loss = model.backward(batch, label_smoothing=label_smoothing, training=training, observe=True, **options)
    observed = model._core.observations()
    names = {stack: tuple(model.config.sublayer_names(stack)) for stack in observed}
    norms = dict(zip(model.gradients, model._core.norms("gradients").tolist(), strict=True))
    return GradientNorms(
        scheme=model.config.scheme_name,
        outputs={stack: np.array(values["grad_norm"], np.float64) for stack, values in observed.items()},
        sublayers=names,
        matrices={name: norm for name, norm in norms.items() if model.gradients[name].ndim == 2},
        loss=loss.loss,
        num_tokens=loss.num_tokens,
        metadata=run_metadata(seed=model.seed, dtype=model.dtype, training=training, step=step),
    )


@dataclass(frozen=True, eq=False, repr=False)
class GradientSpread(StackResult):
    """Relative gradient norms of one scheme over its seeds, see `admin_py.analysis.pool`. Frozen.

    Attributes
    ----------
    scheme : str
    seeds : int
        Number of results.
    middle, low, high : mapping of str to ndarray
        Stack to the geometric mean, smallest and largest of |dL/dx_i| relative to the network's largest, i =
        1..R: float64 [R].
    sublayers : mapping of str to tuple of str
        Stack to the names of its R sub-layers.
    metadata : mapping
        Of the first result, with the seeds of all.
    """

    kind: ClassVar[str] = "gradient spread"
    drawn_by: ClassVar[str] = "plot_gradient_bars"

    scheme: str
    seeds: int
    middle: Mapping[str, np.ndarray]
    low: Mapping[str, np.ndarray]
    high: Mapping[str, np.ndarray]
    sublayers: Mapping[str, tuple[str, ...]]
    metadata: Mapping[str, Any]

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sub-layer: stack, index (1..R), name, kind, middle, low, high."""
        import pandas as pd

        tables = [
            pd.DataFrame(
                {
                    "stack": stack,
                    "index": np.arange(1, len(names) + 1),
                    "name": names,
                    "kind": self.kinds(stack),
                    "middle": self.middle[stack],
                    "low": self.low[stack],
                    "high": self.high[stack],
                }
            )
            for stack, names in self.sublayers.items()
        ]
        return pd.concat(tables, ignore_index=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Log bars with the range over seeds, see `admin_py.plots.plot_gradient_bars`."""
        axes: np.ndarray = figure(self.drawn_by)(self, None if ax is None else [ax])
        return axes[0]

    def _summary(self) -> str:
        parts = [f"{stack} {one[0]:.2g} to {one[-1]:.2g}" for stack, one in self.middle.items()]
        return f"{self.scheme}, {self.seeds} seeds, relative |dL/dx|: " + "; ".join(parts)


def pooled(group: Sequence[GradientNorms]) -> GradientSpread:
    """Results of one scheme, a seed each, as one.

    Raises
    ------
    ValueError
        If they differ in depth.
    """
    first = group[0]
    if any(one.sublayers != first.sublayers for one in group):
        sizes = sorted(
            {tuple((stack, len(names)) for stack, names in one.sublayers.items()) for one in group}
        )
        raise ValueError(f"results: those of {first.scheme!r} differ in depth: {sizes}")
    tables = {stack: np.array([one.relative(stack)[1:] for one in group]) for stack in first.stacks}
    middle = {stack: geometric_mean(table) for stack, table in tables.items()}
    return GradientSpread(
        scheme=first.scheme,
        seeds=len(group),
        middle=middle,
        low={stack: table.min(axis=0) for stack, table in tables.items()},
        high={stack: table.max(axis=0) for stack, table in tables.items()},
        sublayers=first.sublayers,
        metadata={**first.metadata, "seed": tuple(one.metadata.get("seed") for one in group)},
    )


VANISHING = 10.0
"""A gradient is called vanishing when it falls by more than this factor from a stack's top to its bottom."""
