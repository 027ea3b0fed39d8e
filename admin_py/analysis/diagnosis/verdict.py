"""The verdict of a diagnosis: a level, a sentence, what else was seen, and what to change.

A verdict follows from the amplification alone, the largest of the stacks; the thresholds are those of
`admin_py.analysis.diagnosis.evidence`. What is said beside it (gradients, variances, omega) does not
change the level.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from admin_py.analysis.diagnosis import evidence
from admin_py.analysis.gradients import VANISHING
from admin_py.base.words import number

EXPLODING = 1e3
"""A variance is called exploding when it grows by more than this factor from the first layer on."""


@dataclass(frozen=True)
class Facts:
    """What a verdict rests on; mappings are from stacks."""

    scheme: str
    layers: Mapping[str, int]
    beta2: Mapping[str, np.ndarray]
    """beta_jj^2 of every sub-layer, measured, [R]."""
    references: Mapping[str, Mapping[str, np.ndarray]]
    """Scheme to the same."""
    var_branch: Mapping[str, np.ndarray]
    """[R]."""
    per_layer: Mapping[str, int]
    """Sub-layers a layer has."""
    gradients: Mapping[str, np.ndarray]
    """|dL/dx_i| [R + 1]; empty without a loss."""
    nonfinite: str
    unprofiled: bool
    """Whether the scheme profiles omega, but every omega is 1."""


class Verdict(NamedTuple):
    """What `judge` says."""

    level: str
    sentence: str
    findings: tuple[str, ...]
    advice: tuple[str, ...]


def judge(facts: Facts) -> Verdict:
    """The verdict that follows from what was measured.

    Examples
    --------
    >>> own = {"decoder": np.full(40, 0.3)}
    >>> less = {"decoder": np.full(40, 0.05)}
    >>> facts = Facts("post_ln", {"decoder": 20}, own, {"post_ln": own, "pre_ln": less, "admin": less},
    ...               {"decoder": np.ones(40)}, {"decoder": 2}, {}, "", unprofiled=False)
    >>> judge(facts).level
    'unstable'
    """
    totals = {stack: float(own.sum()) for stack, own in facts.beta2.items()}
    level = _level(facts, totals)
    return Verdict(level, _sentence(facts, level, totals), _findings(facts), _advice(facts, level, totals))


def _level(facts: Facts, totals: Mapping[str, float]) -> str:
    largest = max(totals.values())
    if facts.nonfinite or not np.isfinite(largest):
        return "not finite"
    if largest <= evidence.STABLE_UP_TO:
        return "stable"
    return "unstable" if largest >= evidence.UNSTABLE_FROM else "borderline"


def _sentence(facts: Facts, level: str, totals: Mapping[str, float]) -> str:
    if level == "not finite":
        return (
            f"{facts.nonfinite or 'a variance'} has a number that is not finite; nothing can be trained from "
            "here."
        )
    stack = max(totals, key=lambda name: totals[name])
    said = f"the amplification of the {stack} is {number(totals[stack])}"
    trained = _learnt(totals[stack])
    failures, count = evidence.FAILED_ABOVE
    failed = f"from {evidence.UNSTABLE_FROM:g} up {failures} of {count} did not"
    return {
        "stable": f"{said}; {trained}.",
        "borderline": f"{said}; {trained}, {failed}.",
        "unstable": f"{said}, {_beside(facts, stack)}; of reference trainings {failed} learn.",
    }[level]


def _learnt(total: float) -> str:
    """What reference trainings did that were not above the threshold."""
    slow = evidence.SLOW_BELOW
    if total < slow:
        count = evidence.SLOW[1]
        learnt = count - evidence.SLOW_FAILED
        return f"below {slow:g}, {learnt} of {count} reference trainings learnt within 300 steps"
    learnt, count = evidence.LEARNT_BETWEEN
    return f"from {slow:g} to {evidence.STABLE_UP_TO:g} {learnt} of {count} reference trainings learnt"


def _beside(facts: Facts, stack: str) -> str:
    """What it is in the reference models."""
    sums = {name: float(own[stack].sum()) for name, own in facts.references.items()}
    return f"Post-LN's here {number(sums['post_ln'])}, Pre-LN's {number(sums['pre_ln'])}"


# What else was seen


def _findings(facts: Facts) -> tuple[str, ...]:
    return (*_of_gradients(facts), *_of_variances(facts), *_of_slowness(facts), *_of_reading(facts))


def _of_gradients(facts: Facts) -> Iterator[str]:
    for stack, norms in facts.gradients.items():
        inner = norms[1:]
        if not np.isfinite(inner).all():
            continue
        if not inner.any():
            yield (
                f"No gradient reaches the {stack} before the first step: what it feeds is multiplied by 0 at "
                "first."
            )
        elif inner[-1] > VANISHING * inner[0]:
            factor = float(inner[-1] / inner[0]) if inner[0] else np.inf
            yield (
                f"The gradient vanishes towards the bottom of the {stack}: it falls by a factor of "
                f"{number(factor)}. That alone is not what stops training (paper, "
                "section 3)."
            )


def _of_variances(facts: Facts) -> Iterator[str]:
    for stack, values in facts.var_branch.items():
        first = facts.per_layer[stack]
        low, high = float(values[:first].max()), float(values.max())
        if np.isfinite(high) and high > EXPLODING * low > 0:
            yield (
                f"The variance of the {stack}'s branches explodes: {number(low)} in the first layer, "
                f"{number(high)} in sub-layer {int(values.argmax()) + 1} of {len(values)}."
            )


def _of_slowness(facts: Facts) -> Iterator[str]:
    largest = max(float(own.sum()) for own in facts.beta2.values())
    if largest < evidence.SLOW_BELOW:
        late, count = evidence.SLOW
        yield (
            f"The branches add little at first. Below {evidence.SLOW_BELOW:g}, {late} of {count} reference "
            f"trainings had not learnt to use the source after 100 steps, and {evidence.SLOW_FAILED} had not "
            "after 300: expect a slow start."
        )


def _of_reading(facts: Facts) -> Iterator[str]:
    """An encoder that may put out one vector for all tokens for long, under a decoder that can learn."""
    totals = {stack: float(own.sum()) for stack, own in facts.beta2.items()}
    if len(totals) < 2 or totals["decoder"] >= evidence.UNSTABLE_FROM:
        return
    if totals["encoder"] >= evidence.LATE_FROM:
        (late, count), (others, rest) = evidence.LATE, evidence.LATE_BELOW
        yield (
            f"The encoder's amplification is {number(totals['encoder'])}. From {evidence.LATE_FROM:g} up, "
            f"{late} of {count} reference trainings under a calmer decoder made next to no use of the source "
            f"after 100 steps (below, {others} of {rest}), {evidence.LATE_FAILED} after 300, while the loss "
            "fell: ask `ap.analysis.source_use`."
        )


# What to change


def _advice(facts: Facts, level: str, totals: Mapping[str, float]) -> tuple[str, ...]:
    return (*_to_be_finite(facts), *_to_profile(facts), *_to_be_stable(facts, level, totals))


def _to_be_finite(facts: Facts) -> Iterator[str]:
    if facts.nonfinite.startswith("the weight"):
        yield "Load or draw the weights again; `ap.train` refuses these."
    elif facts.nonfinite:
        yield (
            "All weights are finite: the pass itself overflows. Look at the variances of the branches "
            "(`to_dataframe`), and add norms or smaller weights where they grow."
        )


def _to_profile(facts: Facts) -> Iterator[str]:
    if facts.unprofiled:
        sums = {stack: number(float(own.sum())) for stack, own in facts.references["admin"].items()}
        words = ", ".join(f"{stack} {value}" for stack, value in sums.items())
        yield (
            "The scheme profiles omega, but every omega is still 1 as in Post-LN. `ap.train` profiles such a "
            "model on its first batch; to see it here, and before a loop of your own, call "
            f"`model.profile(batch)`. Profiled, Admin's amplification is {words}."
        )


def _to_be_stable(facts: Facts, level: str, totals: Mapping[str, float]) -> Iterator[str]:
    if level not in ("borderline", "unstable"):
        return
    stacks = [stack for stack, total in totals.items() if total > evidence.STABLE_UP_TO]
    offers = []
    for name, how in (("admin", 'scheme="admin" and `model.profile(batch)`'), ("pre_ln", 'scheme="pre_ln"')):
        sums = [float(facts.references[name][stack].sum()) for stack in stacks]
        if max(sums) <= evidence.STABLE_UP_TO and not (name == "admin" and facts.unprofiled):
            offers.append(f"{how} ({' and '.join(map(number, sums))})")
    where = " and ".join(stacks)
    if offers:
        yield f"For the {where}, amplification with the same sizes: {', or '.join(offers)}."
    else:
        limit = evidence.STABLE_UP_TO
        yield f"Fewer layers in the {where}: at this depth Admin and Pre-LN are above {limit:g} too."
    depth = max(facts.layers[stack] for stack in stacks)
    known = [layers for layers in evidence.POST_LN_FAILED if layers <= depth]
    if known:
        failed, count = evidence.POST_LN_FAILED[max(known)]
        yield (
            f"For comparison: at {max(known)} + {max(known)} layers Post-LN did not learn in {failed} of "
            f"{count} reference trainings."
        )


def limits() -> str:
    """How often verdicts were right, on what, and what they do not see."""
    held = evidence.HELD_OUT
    return (
        "Thresholds chosen on trainings of 3 and 12 layers, counted on others of 6 and 18: right in "
        f"{held.right} of {held.decided}; false alarms {held.false_alarms}, misses {held.misses} (slow "
        f"starters {evidence.SLOW_MISSES}), borderline {held.borderline}. To have learnt is to use the "
        "source, too. All were one small task (D 64, Adam, lr 1e-3 and 2e-3, 300 steps, one seed), and all "
        "unstable ones have Post-LN in a stack. The verdict does not see data, learning rate, warm-up or "
        "optimiser, nor how well a model ends."
    )
