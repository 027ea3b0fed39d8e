"""What a batch costs a model: cross-entropy with and without label smoothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from admin_py.base.exact_math import exp


class Loss(NamedTuple):
    """Cross-entropy of a batch, in nats, means over the predicted tokens.

    Examples
    --------
    >>> Loss(loss=1.5, nll=0.0, num_tokens=10).perplexity
    1.0
    """

    loss: float
    """With label smoothing and z-loss."""
    nll: float
    """Without both: the negative log-likelihood."""
    num_tokens: int
    """Predicted tokens."""

    @property
    def perplexity(self) -> float:
        """exp(nll)."""
        return float(exp(np.array(self.nll)))
