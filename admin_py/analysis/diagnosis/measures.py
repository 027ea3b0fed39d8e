"""What a diagnosis measures: each sub-layer's dependency on its own branch, and the first bad number.

Two passes at one batch without dropout; the model is only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.analysis.theory import own_dependency
from admin_py.base.exact_math import tanh
from admin_py.training.divergence import find_nonfinite_gradient, find_nonfinite_weight

if TYPE_CHECKING:
    from admin_py.data.batch import Batch
    from admin_py.model.config import TransformerConfig
    from admin_py.model.transformer import Transformer
    from admin_py.schemes import Residual

Array = NDArray[np.float64]
Parameters = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class StackMeasures:
    """Of one stack with R sub-layers; variances are over the features, means over the tokens.

    Attributes
    ----------
    beta2 : ndarray
        beta_ii^2 = mean_t Var_f(b_i) / mean_t Var_f(y_i), float64 [R], 0 where both variances are 0.
    var_branch : ndarray
        mean_t Var_f(b_i), b_i the branch as it is added (after its norm and alpha), float64 [R].
    var_stream : ndarray
        mean_t Var_f(x_i), i = 0..R, float64 [R + 1].
    """

    beta2: Array
    var_branch: Array
    var_stream: Array


def measure(model: Transformer, batch: Batch) -> tuple[dict[str, StackMeasures], str | None]:
    """Measures of every stack, and the name of the first activation that is not finite.

    Parameters
    ----------
    model : Transformer
        Its weights may be anything; they stay as they are.
    batch : Batch

    Returns
    -------
    dict, str or None
        Stack to its measures; the name as `Transformer.observe` has it, None if all are finite.

    Examples
    --------
    >>> import admin_py as ap
    >>> config = ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2,
    ...                               d_ff=16, scheme="rezero")
    >>> found, bad = measure(ap.Transformer(config, seed=1), ap.Batch([[3, 4, 5]]))
    >>> found["encoder"].beta2, bad
    (array([0., 0.]), None)
    """
    output = model._core.forward(model._batch(batch), training=False, step=0, observe=True)
    first_bad: str | None = None
    found: dict[str, StackMeasures] = {}
    with np.errstate(all="ignore"):  # numbers that are not finite are what is looked for
        for stack in model.config.stacks:
            var_branch, var_sum, var_stream = [], [], []
            for name, array, row in _walk(model, stack):
                if first_bad is None and not np.isfinite(array).all():
                    first_bad = name
                if row is not None:
                    branch, total = row
                    var_branch.append(branch)
                    var_sum.append(total)
                else:
                    var_stream.append(_variance(array))
            found[stack] = StackMeasures(
                own_dependency(var_branch, var_sum), np.array(var_branch), np.array(var_stream)
            )
    if first_bad is None and not np.isfinite(output).all():
        first_bad = "logits" if model.config.decoder_layers else "output"
    return found, first_bad


def _walk(model: Transformer, stack: str) -> Iterator[tuple[str, NDArray[Any], tuple[float, float] | None]]:
    """Activations of the last pass from bottom to top: those of branches with variances of b_i and y_i."""
    config = model.config
    per_layer = config.sublayers_per_layer(stack)
    x = x_layer = model._core.activation(stack, 0, "output")
    yield f"{stack}.input", x, None
    names = config.sublayer_names(stack)
    for i, (name, residual) in enumerate(zip(names, config.residuals(stack), strict=True)):
        if i % per_layer == 0:
            x_layer = x
        branch = model._core.activation(stack, i + 1, "branch")
        b, y = _sum(config, residual, name, model.parameters, x, branch, x_layer)
        yield f"{name}.branch", branch, (_variance(b), _variance(y))
        x = model._core.activation(stack, i + 1, "output")
        yield f"{name}.output", x, None


def _sum(
    config: TransformerConfig,
    residual: Residual,
    name: str,
    parameters: Parameters,
    x: NDArray[Any],
    a: NDArray[Any],
    x_layer: NDArray[Any],
) -> tuple[Array, Array]:
    """b = alpha (.) Nbranch(a) and y = omega (.) r + b + kappa x_layer, float64 [M, D]."""
    b = _norm(residual.norm_branch, a.astype(np.float64), parameters, f"{name}.norm_branch", config.norm_eps)
    if residual.alpha.kind != "none":
        owner = name.rpartition(".")[0] if residual.alpha.shared else name
        b = parameters[f"{owner}.alpha"].astype(np.float64) * b
    r = x.astype(np.float64)
    if residual.residual_normed:
        r = _norm(residual.norm_pre, r, parameters, f"{name}.norm_pre", config.norm_eps)
    if residual.omega.kind != "none":
        r = parameters[f"{name}.omega"].astype(np.float64) * r
    y = r + b
    if residual.kappa != 0:
        y += residual.kappa * x_layer
    return b, y


def _norm(kind: str, x: Array, parameters: Parameters, name: str, eps: float) -> Array:
    """The norm of rows [M, D]; "none" returns them as they are."""
    if kind == "none":
        return x
    gamma = parameters[f"{name}.gamma"].astype(np.float64)
    if kind == "dyt":
        return gamma * tanh(parameters[f"{name}.scale"] * x) + parameters[f"{name}.nu"]
    if kind == "rms":
        return gamma * x / np.sqrt((x**2).mean(axis=1, keepdims=True) + eps)
    x = x - x.mean(axis=1, keepdims=True)
    return gamma * x / np.sqrt((x**2).mean(axis=1, keepdims=True) + eps) + parameters[f"{name}.nu"]


def _variance(x: NDArray[Any]) -> float:
    """Mean over tokens of the variance over features."""
    return float(x.astype(np.float64, copy=False).var(axis=1).mean())


@dataclass(frozen=True)
class GradientMeasures:
    """Of one backward pass without dropout.

    Attributes
    ----------
    norms : mapping
        Stack to |dL/dx_i|, i = 0..R, float64 [R + 1].
    loss : float
        Nats per predicted token, label-smoothed.
    first_bad : str or None
        Name of the first gradient that is not finite, from the end of the network.
    """

    norms: Mapping[str, Array]
    loss: float
    first_bad: str | None


def measure_gradients(model: Transformer, batch: Batch, *, label_smoothing: float) -> GradientMeasures:
    """Gradient norms between sub-layers; fills the gradients of `model`, which has to be the caller's own."""
    loss = model.backward(batch, label_smoothing=label_smoothing, training=False, observe=True)
    seen = model._core.observations()
    norms = {stack: np.array(values["grad_norm"], np.float64) for stack, values in seen.items()}
    return GradientMeasures(norms, loss.loss, find_nonfinite_gradient(model))


def first_nonfinite_weight(model: Transformer) -> str | None:
    """Name of the first parameter that is not finite, in the model's order."""
    return find_nonfinite_weight(model)
