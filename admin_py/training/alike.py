"""What the ranks of a training must have in common, or they would wait for each other or compute nonsense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py._version import __version__
from admin_py.base.builds import MODULES

if TYPE_CHECKING:
    from admin_py.model.transformer import Transformer
    from admin_py.training.plan import Plan
    from admin_py.training.ranks import Alone


def check_alike(ranks: Alone, model: Transformer, plan: Plan, described: Mapping[str, Any]) -> None:
    """That all ranks train the same model on the same data in the same way.

    Parameters
    ----------
    ranks : Alone
    model : Transformer
    plan : Plan
    described : mapping
        All that decides the numbers, as plain JSON.

    Raises
    ------
    ValueError
        With what differs, and where.
    """
    if ranks.size == 1:
        return
    keeping, stopping = plan.keeping, plan.stopping
    names = ("steps", "valid_every", "checkpoint", "checkpoint_every", "profile", "checkpoint_activations")
    state = plan.optimizer.state
    ranks.check_same(
        {
            "the version of admin-py": __version__,
            "the library of products": MODULES[model.dtype].system_info()["blas"],
            **{name: getattr(plan, name) for name in names},
            "monitor": stopping.name,
            "patience": stopping.patience,
            "restore_best": stopping.restore_best,
            "keep": None if keeping is None else {name: str(one) for name, one in asdict(keeping).items()},
            **described,
            "the weights' digest": digest(model._core.weights),
            "the optimiser's updates": state["step"],
            "the moments' digest": [digest(state["m"]), digest(state["v"])],
        }
    )


def digest(values: NDArray[Any] | None) -> str | None:
    """Of an array; None without one."""
    return None if values is None else sha256(np.ascontiguousarray(values).data).hexdigest()
