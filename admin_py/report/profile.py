"""Omega, variances and the dependency predicted from them: pictures and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from admin_py import plots
from admin_py.base.words import listing, number, sentence
from admin_py.report.paper import cited
from admin_py.report.picture import (
    BEFORE,
    Absent,
    Picture,
    Shown,
    absent,
    by_run,
    moment,
    runs_of,
    single,
    table_of,
)
from admin_py.schemes.labels import label

if TYPE_CHECKING:
    import pandas as pd

    from admin_py.model.profile import VarianceProfile


def _told_omega(study: Shown) -> tuple[str, str]:
    """Two sentences on the skip scales."""
    read = (
        "ω scales the skip of a sub-layer before its branch is added; a profiled scheme sets it by one "
        "forward pass from the variances of the branches below, so that no branch outweighs what lies "
        "below it."
    )
    parts: list[str] = []
    constant: dict[str, list[str]] = {}
    for scheme, profile in _profiles(study).items():
        ends = {stack: profile.omega(stack) for stack in profile.stacks}
        if all(np.ptp(values) == 0 for values in ends.values()):
            key = listing(f"{number(float(values[0]))} in the {stack}" for stack, values in ends.items())
            if all(np.all(values == 1.0) for values in ends.values()):
                key = "1"
            constant.setdefault(key, []).append(label(scheme))
        else:
            grown = listing(
                f"{number(float(values[0]))} to {number(float(values[-1]))} in the {stack}"
                for stack, values in ends.items()
            )
            parts.append(f"{label(scheme)} has {grown}")
    parts = [f"from bottom to top {'; '.join(parts)}"] if parts else []
    parts += [f"{listing(names)} {_have(names)} {value} throughout" for value, names in constant.items()]
    return read, sentence(parts)


def _told_variance(study: Shown) -> tuple[str, str]:
    """Two sentences on Var(a)."""
    read = (
        "Var[a] is the variance, over the tokens and features of one batch, of what a sub-layer's branch "
        f"adds to its skip{moment(study)}."
    )
    parts = []
    for scheme, profile in _profiles(study).items():
        values = np.concatenate([profile.var_branch(stack) for stack in profile.stacks])
        parts.append(f"{label(scheme)} {number(float(values.min()))} to {number(float(values.max()))}")
    return read, f"Over all sub-layers it ranges as follows: {'; '.join(parts)}."


def _told_dependency(study: Shown) -> tuple[str, str]:
    """Two sentences on the predicted dependency."""
    read = (
        "β² is the share of the variance of a sub-layer's sum of skip and branch that comes from the "
        "branch; by the paper's theory their total over a stack tells how strongly small changes of the "
        "weights change its output."
    )
    parts = []
    for scheme, profile in _profiles(study).items():
        totals = {stack: float(profile.beta2(stack).sum()) for stack in profile.stacks}
        words = listing(f"{number(total)} ({stack})" for stack, total in totals.items())
        parts.append(f"{label(scheme)} {words}")
    return (
        read,
        f"The totals, predicted from the profile, not measured by changing weights: {'; '.join(parts)}.",
    )


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _profiles(study: Shown) -> dict[str, VarianceProfile]:
    """Scheme -> the profile of its first run that has one."""
    return {run.scheme: run.profile for run in reversed(runs_of(study)) if run.profile is not None}


def profile(study: Shown) -> Iterator[Picture | Absent]:
    """What the profile found: omega, branch variances, and the dependency that follows from them."""
    profiles = [run.profile for run in runs_of(study) if run.profile is not None]
    if not profiles:
        yield absent(study, "profile", "omega", BEFORE, "Skip scale ω")
        return

    def profile_table() -> pd.DataFrame:
        runs = [run for run in runs_of(study) if run.profile is not None]
        return by_run(runs, lambda run: table_of(run.profile))

    yield Picture(
        "omega",
        BEFORE,
        "Skip scale ω",
        3.1,
        single(lambda ax: plots.plot_quantity(profiles, ax)),
        *_told_omega(study),
        cited(
            "Section 4.2, profiling",
            study.schemes,
            {
                "admin": "ω of Admin grows like the square root of the summed variances of branches below",
                "post_ln": "Post-LN has 1",
                "pre_ln": "Pre-LN has 1",
            },
        ),
        profile_table,
    )
    yield Picture(
        "variance",
        BEFORE,
        "Branch variance Var[a]",
        3.1,
        single(lambda ax: plots.plot_quantity(profiles, ax, quantity="var_branch")),
        *_told_variance(study),
        "Section 4.2: the variances from which profiling computes ω; the paper prints none of them.",
        profile_table,
    )
    yield Picture(
        "dependency",
        BEFORE,
        "Predicted dependency",
        3.3,
        single(lambda ax: plots.plot_predicted_dependency(profiles, ax)),
        *_told_dependency(study),
        cited(
            "Section 4.1 and its theorem, by which the output changes by about C Σ β²",
            study.schemes,
            {
                "post_ln": "in Post-LN the sum grows like the number of sub-layers",
                "pre_ln": "in Pre-LN it grows like the logarithm of their number",
            },
        ),
        profile_table,
    )
