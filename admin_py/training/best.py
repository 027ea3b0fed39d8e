"""Which validations were the best: by a column of `History.valid`, and since when there was none better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

NLL = "nll"
"""What is monitored where nothing else is asked for."""


def best_first(valid: Mapping[str, NDArray[Any]], name: str, larger_is_better: bool) -> list[int]:
    """The steps of the validations from the best to the worst; of equal ones the earlier is the better.

    Those whose number is not finite are left out.

    Examples
    --------
    >>> valid = {"step": np.array([2, 4, 6, 8]), "nll": np.array([3.0, 2.0, np.nan, 2.0])}
    >>> best_first(valid, "nll", False), best_first(valid, "nll", True)
    ([4, 8, 2], [2, 4, 8])
    """
    if not len(valid["step"]):  # and no column yet of what else is monitored
        return []
    values = valid[name]
    found = [i for i in range(len(values)) if np.isfinite(values[i])]
    found.sort(key=lambda i: -values[i] if larger_is_better else values[i])  # which keeps the order of equals
    return [int(valid["step"][i]) for i in found]


def validations_since_best(valid: Mapping[str, NDArray[Any]], name: str, larger_is_better: bool) -> int:
    """How many validations there were after the best one; all of them where none had a finite number.

    Examples
    --------
    >>> valid = {"step": np.array([2, 4, 6, 8]), "nll": np.array([3.0, 2.0, np.nan, 2.0])}
    >>> validations_since_best(valid, "nll", False)
    2
    """
    ranked = best_first(valid, name, larger_is_better)
    return int(np.count_nonzero(valid["step"] > (ranked[0] if ranked else 0)))
