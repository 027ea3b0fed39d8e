"""From result objects to the series that the figures by sub-layer draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from admin_py.plots.sublayers import Series

if TYPE_CHECKING:
    from admin_py.analysis.gradients import GradientNorms
    from admin_py.history import History
    from admin_py.profiling import VarianceProfile


class Curve(NamedTuple):
    """Loss by step: `steps` [n], `nll` [n] nats per token, without label smoothing."""

    steps: np.ndarray
    nll: np.ndarray


def training_curve(history: History) -> Curve:
    """Of every training batch, dropout on."""
    return Curve(np.arange(1, len(history.nll) + 1), np.asarray(history.nll, float))


def validation_curve(history: History) -> Curve:
    """Of the validation data, dropout off."""
    return Curve(np.asarray(history.valid["step"]), np.asarray(history.valid["nll"], float))


def profile_series(profile: VarianceProfile, column: str) -> Series:
    """One column of a profile: ``"omega"``, ``"var_branch"``, ``"var_input"`` or ``"beta2"``."""
    values = {stack: getattr(profile, column)(stack) for stack in profile.stacks}
    return Series(profile.scheme, values, {stack: profile.kinds(stack) for stack in profile.stacks})


def gradient_series(gradients: GradientNorms) -> Series:
    """|dL/dx_i| of the sub-layers' outputs, relative to the largest of the network."""
    values = {stack: gradients.relative(stack)[1:] for stack in gradients.outputs}
    return Series(gradients.scheme, values, {stack: gradients.kinds(stack) for stack in gradients.outputs})
