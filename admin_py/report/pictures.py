"""The pictures of a study's report, in their order."""

from __future__ import annotations

from admin_py.experiments.study.results import Study
from admin_py.report.attention import attention
from admin_py.report.dependency import dependency_after, dependency_before
from admin_py.report.gradients import gradient_bars, gradient_lines, matrix_gradients
from admin_py.report.losses import losses
from admin_py.report.output_change import output_change
from admin_py.report.picture import Picture
from admin_py.report.profile import profile
from admin_py.report.updates import updates

TOPICS = (
    losses,
    updates,
    profile,
    gradient_lines,
    gradient_bars,
    matrix_gradients,
    dependency_before,
    output_change,
    dependency_after,
    attention,
)
"""Each gives the pictures of its topic that a study's results allow."""


def pictures(study: Study) -> list[Picture]:
    """All pictures that the study's results allow, in the order of the report."""
    return [picture for topic in TOPICS for picture in topic(study)]
