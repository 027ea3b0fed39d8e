"""Studies that take a moment, and whether two of them found the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from admin_py.experiments.study.results import Study

SMALL = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 4, "max_tokens": 128, "progress": False}


def bare(result: Any) -> Any:
    """Without where it was computed."""
    return replace(result, metadata={})


def same_numbers(a: Study, b: Study) -> bool:
    """Whether two studies found the same, whatever time they took."""
    if [(run.scheme, run.seed) for run in a.runs] != [(run.scheme, run.seed) for run in b.runs]:
        return False
    for one, other in zip(a.runs, b.runs, strict=True):
        mine, theirs = one.history, other.history
        arrays = ("loss", "nll", "lr", "grad_norm", "update_norm", "tokens")
        if not all(np.array_equal(getattr(mine, name), getattr(theirs, name)) for name in arrays):
            return False
        if not np.array_equal(mine.valid["nll"], theirs.valid["nll"]):
            return False
        if (bare(one.profile), bare(one.gradients)) != (bare(other.profile), bare(other.gradients)):
            return False
        if one.samples != other.samples:
            return False
    return True
