"""The pictures of a study's report, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from admin_py.experiments.study.results import Study
from admin_py.report.attention import attention
from admin_py.report.dependency import dependency_after, dependency_before
from admin_py.report.gradients import gradient_bars, gradient_lines, matrix_gradients
from admin_py.report.losses import losses
from admin_py.report.output_change import output_change
from admin_py.report.picture import Absent, Picture
from admin_py.report.profile import profile
from admin_py.report.updates import updates

TOPICS: tuple[Callable[[Study], Iterable[Picture | Absent]], ...] = (
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
"""Each gives the pictures of its topic that a study's results allow, and says what there is not."""


def entries(study: Study) -> list[Picture | Absent]:
    """All pictures, and what stands in the place of those that the results do not allow, in order."""
    return [entry for topic in TOPICS for entry in topic(study)]


def pictures(study: Study) -> list[Picture]:
    """All pictures that the study's results allow, in the order of the report."""
    return [entry for entry in entries(study) if isinstance(entry, Picture)]
