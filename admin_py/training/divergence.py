"""Where a training broke: the first tensor that is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from admin_py.model.activations import residual_places

if TYPE_CHECKING:
    from admin_py.data.batch import Batch
    from admin_py.model.transformer import Transformer


def find_nonfinite_weight(model: Transformer) -> str | None:
    """Name of the first parameter, in the model's order, with an element that is not finite."""
    return model._core.find_nonfinite("weights")


def find_nonfinite_activation(model: Transformer, batch: Batch, *, step: int) -> str | None:
    """Name of the first activation that is not finite in a forward pass, in the order of the pass.

    The pass is run again as it was in training, with the dropout of `step`, and one activation at a time is
    looked at. Names are those of `Transformer.observe`; ``"output"`` are the logits.

    Returns
    -------
    str or None
        None if all are finite.
    """
    output = model._core.forward(batch.core(model.dtype), training=True, step=step, observe=True)
    for name, place in residual_places(model.config).items():
        if not np.isfinite(model._core.activation(*place)).all():
            return name
    return None if np.isfinite(output).all() else "output"


def find_nonfinite_gradient(model: Transformer) -> str | None:
    """Name of the first gradient that is not finite, in the order of the backward pass: from the end."""
    for name in reversed(list(model.gradients)):
        if not np.isfinite(model.gradients[name]).all():
            return name
    return None


def explain_loss(model: Transformer, batch: Batch, loss: float, *, step: int) -> str:
    """Why a loss is not finite, in words."""
    weight = find_nonfinite_weight(model)
    if weight is not None:
        return _explain(f"the loss is {loss}", f"the weight {weight}")
    activation = find_nonfinite_activation(model, batch, step=step)
    return _explain(f"the loss is {loss}", None if activation is None else f"the activation {activation}")


def explain_gradient(model: Transformer, norm: float) -> str:
    """Why the norm of the gradient is not finite, in words."""
    name = find_nonfinite_gradient(model)
    return _explain(f"the gradient's norm is {norm}", None if name is None else f"the gradient of {name}")


def explain_update(model: Transformer, norm: float) -> str:
    """Why the norm of an update is not finite, in words; to be asked before the weights are put back."""
    name = find_nonfinite_weight(model)
    return _explain(f"the update's norm is {norm}", None if name is None else f"the weight {name}")


def _explain(what: str, tensor: str | None) -> str:
    if tensor is None:
        return f"{what}, though all tensors that led to it are finite"
    return f"{what}; the first tensor that is not finite is {tensor}"
