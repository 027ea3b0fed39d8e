"""What the analyses of a study say, in words: two sentences a picture, each made from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from admin_py.findings import label, listing, number, spread
from admin_py.matrices import place_of

if TYPE_CHECKING:
    from admin_py.analysis import AttentionMap, Dependency, GradientNorms, UpdateNorms
    from admin_py.study_results import Study
    from admin_py.study_run import StudyRun

NEAR = 4
"""Branches just below an output, its own included, whose share in it is told."""

DRIFT = 1e-3
"""Relative change from which omega is said to have moved."""


def heatmap(
    shown: Sequence[Dependency], stack: str, when: str, missing: Mapping[str, str]
) -> tuple[str, str]:
    """On the heatmaps of one stack: the share of the nearest branches in the last output."""
    read = (
        f"Row i tells what the output of sub-layer i is made of {when} training: its dependency on the input "
        "of the stack (column 0) and on each branch below; dark cells at the diagonal mean that an output is "
        "mostly its latest branches."
    )
    parts = []
    for one in shown:
        last = one.beta(stack)[-1] ** 2
        near = float(last[max(1, len(last) - NEAR) :].sum())
        parts.append(f"{label(one.scheme)} {100 * near:.0f} %")
    count = min(NEAR, len(shown[0].sublayers[stack]))
    found = f"Share of the last {count} branches in the last output: {'; '.join(parts)}"
    reasons = [f"{label(scheme)} has none ({why})" for scheme, why in missing.items()]
    return read, f"{'; '.join([found, *reasons])}."


def own_dependency(runs: Sequence[StudyRun]) -> tuple[str, str]:
    """On the measured and predicted beta_ii^2."""
    read = (
        "β² here is measured: the share that a sub-layer's own branch has in its output when the output is "
        "taken apart exactly; rings are what the variances of the profile predict."
    )
    parts = []
    for scheme in dict.fromkeys(run.scheme for run in runs):
        those = [run.dependency_before for run in runs if run.scheme == scheme]
        differences = [
            np.abs(one.own(stack) - one.predicted[stack]).max()
            for one in those
            if one is not None
            for stack in one.variances
        ]
        totals = {
            stack: np.array([one.amplification(stack)[-1] for one in those if one is not None])
            for stack in next(one for one in those if one is not None).variances
        }
        told = listing(f"{spread(total)} ({stack})" for stack, total in totals.items())
        parts.append(
            f"{label(scheme)} {told}, at most {number(float(np.max(differences)))} from the prediction"
        )
    return read, f"Measured totals over a stack: {'; '.join(parts)}."


def output_change(runs: Sequence[StudyRun], stack: str) -> tuple[str, str]:
    """On the output change of one stack."""
    first = runs[0].output_change
    assert first is not None
    read = (
        f"How far the normalised output of each sub-layer moves, per token, when every weight moves by "
        f"{first.size:g} in a random direction ({len(first.change[stack])} draws; line and band of the first "
        "seed), with the better of a linear and a logarithmic fit and the theory's C Σβ²."
    )
    parts = []
    for scheme in dict.fromkeys(run.scheme for run in runs):
        those = [run.output_change for run in runs if run.scheme == scheme]
        ends = np.array([one.mean(stack)[-1] for one in those if one is not None])
        kinds = [one.better(stack) for one in those if one is not None]
        counts = listing(
            f"{kind} ({kinds.count(kind)} of {len(kinds)} seeds)" if len(set(kinds)) > 1 else kind
            for kind in dict.fromkeys(kinds)
        )
        parts.append(f"{label(scheme)} {spread(ends)}, fits better: {counts}")
    return read, f"At the last sub-layer: {'; '.join(parts)}."


def gradient_bars(study: Study) -> tuple[str, str]:
    """On the bars of gradient norms."""
    read = (
        "The same norms as bars, a panel a scheme, shaded by kind of sub-layer; whiskers are the range over "
        "seeds."
    )
    parts = []
    for scheme in study.schemes:
        smallest: dict[str, list[float]] = {}
        for run in study.of_scheme(scheme):
            for stack in run.gradients.outputs:
                smallest.setdefault(stack, []).append(float(run.gradients.relative(stack)[1:].min()))
        told = listing(f"{number(min(values))} ({stack})" for stack, values in smallest.items())
        parts.append(f"{label(scheme)} {told}")
    return read, f"Smallest relative norm of each stack: {'; '.join(parts)}."


def matrix_gradients(shown: Sequence[GradientNorms]) -> tuple[str, str]:
    """On the gradient norms of weight matrices: how far apart those of a stack are."""
    read = (
        "Norm of the loss's gradient with respect to each weight matrix before training, by layer (first "
        "seed): Q, K, V, O of attention, 1 and 2 of the feed-forward."
    )
    parts = []
    for one in shown:
        ratios = []
        for stack in one.outputs:
            places = ((place_of(name), norm) for name, norm in one.matrices.items())
            norms = np.array([norm for place, norm in places if place.stack == stack and place.layer >= 0])
            positive = norms[np.isfinite(norms) & (norms > 0)]
            if len(positive):
                ratios.append(f"{number(float(positive.max() / positive.min()))} ({stack})")
        parts.append(f"{label(one.scheme)} {listing(ratios) if ratios else 'none'}")
    return read, f"Largest over smallest norm within a stack: {'; '.join(parts)}."


def attention(shown: Sequence[AttentionMap], missing: Mapping[str, str]) -> tuple[str, str]:
    """On the attention maps: how much of a row its largest probability takes."""
    first = shown[0]
    which = "cross-attention" if first.sublayer.endswith("cross_attn") else "self-attention"
    read = (
        f"How much each token that is read (row) takes from each other token (column) by the {which} of the "
        "last layer, mean over heads, in a held-out example after training: dark cells in a pale row mean "
        "that it looks at few."
    )
    parts = [f"{label(one.scheme)} {number(float(one.probabilities.max(axis=1).mean()))}" for one in shown]
    found = (
        f"Largest probability of a row, mean over rows, where an even spread over the {len(first.keys)} "
        f"tokens has {number(1 / len(first.keys))}: {'; '.join(parts)}"
    )
    reasons = [f"{label(scheme)} has none ({why})" for scheme, why in missing.items()]
    return read, f"{'; '.join([found, *reasons])}."


def updates(shown: Sequence[UpdateNorms]) -> tuple[str, str]:
    """On the norms of updates by kind."""
    read = (
        "Norm of each step's change of the weights divided by the norm of the weights, root of the mean "
        "square over the matrices of a kind: Q, K, V, O of attention, 1 and 2 of the feed-forward."
    )
    parts = []
    for one in shown:
        largest = {kind: float(np.nanmax(values)) for kind, values in one.by_kind("relative").items()}
        kind = max(largest, key=lambda name: largest[name])
        parts.append(f"{label(one.scheme)} {number(largest[kind])} ({kind})")
    return read, f"The largest seen: {'; '.join(parts)}."


def update_histogram(shown: Sequence[UpdateNorms]) -> tuple[str, str]:
    """On the histogram of relative updates beside that of gradients."""
    read = (
        "All weight matrices at all observed steps of the first seed, by the size of their relative update; "
        "a narrow hump means that the optimiser moves all matrices alike."
    )
    parts = []
    for one in shown:
        widths = []
        for values in (one.grad_norm, one.relative()):
            finite = values[np.isfinite(values) & (values > 0)]
            low, high = np.percentile(finite, [5, 95]) if len(finite) else (np.nan, np.nan)
            widths.append(number(float(high / low)))
        parts.append(f"{label(one.scheme)} gradients {widths[0]}, updates {widths[1]}")
    return read, f"Ratio of the 95th to the 5th percentile of the norms: {'; '.join(parts)}."


def drifts(one: UpdateNorms) -> bool:
    """Whether omega moved while it was observed."""
    return any(_drift(values) > DRIFT for values in one.omega.values() if len(values) > 1)


def omega_drift(shown: Sequence[UpdateNorms]) -> tuple[str, str]:
    """On the way of omega."""
    read = "The skip scale of each sub-layer, mean over its features, from its profile on, coloured by depth."
    parts = []
    for one in shown:
        moved = [f"{100 * _drift(values):.2g} % ({stack})" for stack, values in one.omega.items()]
        parts.append(f"{label(one.scheme)} {listing(moved)}")
    return read, f"Largest change against the first observed step: {'; '.join(parts)}."


def _drift(values: np.ndarray) -> float:
    """Largest relative change of a sub-layer's omega between the first and any later step."""
    start = np.where(values[0] == 0, 1.0, np.abs(values[0]))
    return float(np.nanmax(np.abs(values - values[0]) / start))
