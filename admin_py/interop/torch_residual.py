"""Admin's residual addition as a module of PyTorch, for models of one's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class AdminResidual(nn.Module):
    """omega (.) x + a: a residual addition whose skip is scaled; omega is what `profile` finds.

    Parameters
    ----------
    d_model : int
        D, features of x and a.
    omega : float or array-like [D]
        At first.
    trained : bool
        Whether omega is a parameter, as in the paper, or a buffer.

    Examples
    --------
    In a layer of one's own, where ``x = norm(x + dropout(attention(x)))`` stood:

    >>> add = AdminResidual(4, omega=2.0)
    >>> add(torch.ones(1, 4), torch.ones(1, 4)).tolist()
    [[3.0, 3.0, 3.0, 3.0]]
    """

    def __init__(self, d_model: int, omega: Any = 1.0, *, trained: bool = True) -> None:
        super().__init__()
        values = torch.as_tensor(omega, dtype=torch.get_default_dtype()).expand(d_model).clone()
        if trained:
            self.omega = nn.Parameter(values)
        else:
            self.register_buffer("omega", values)

    def forward(self, x: Tensor, a: Tensor) -> Tensor:
        """The sum [..., D] of the skip and of what the branch gives, [..., D] each."""
        return self.omega * x + a
