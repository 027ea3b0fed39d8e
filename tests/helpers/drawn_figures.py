"""Every figure of the package, drawn from results that are made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from made_results import (
    made_attention,
    made_comparison,
    made_dependency,
    made_diagnosis,
    made_gradients,
    made_grid_table,
    made_history,
    made_memory_plan,
    made_observation,
    made_output_change,
    made_profile,
    made_source_use,
    made_updates,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from admin_py import plots
from admin_py.analysis import pool
from admin_py.plots.schedule import plot_schedule


class Case(NamedTuple):
    """What is drawn: models of so many layers of these schemes."""

    layers: int
    schemes: Sequence[str]

    def each(self, make: Callable[..., Any]) -> list[Any]:
        """A result of every scheme, each of a seed of its own."""
        return [make(scheme, layers=self.layers, seed=seed) for seed, scheme in enumerate(self.schemes)]

    def one(self, make: Callable[..., Any]) -> Any:
        """The result of the first scheme."""
        return make(self.schemes[0], layers=self.layers)

    def seeds(self, make: Callable[..., Any]) -> list[Any]:
        """Three results of every scheme."""
        return [
            make(scheme, layers=self.layers, seed=3 * number + seed)
            for number, scheme in enumerate(self.schemes)
            for seed in range(3)
        ]

    def histories(self) -> list[tuple[str, Any]]:
        """A training of every scheme; the second diverged."""
        return [
            (
                scheme,
                made_history(steps=60, seed=seed, diverged_at=30 if seed == 1 else None),
            )
            for seed, scheme in enumerate(self.schemes)
        ]


SMALL = Case(2, ("post_ln", "pre_ln", "admin"))
"""What the stored figures show."""

DRAWN: Mapping[str, Callable[..., Any]] = {
    "plot_attention": lambda case, **into: case.one(made_attention).plot(**into),
    "plot_attention_panels": lambda case, **into: plots.plot_attention_panels(
        case.each(made_attention), **into
    ),
    "plot_curves": lambda case, **into: plots.plot_curves(case.histories(), entropy=2.5, **into),
    "plot_dependency": lambda case, **into: plots.plot_dependency(case.one(made_dependency), **into),
    "plot_dependency_pair": lambda case, **into: plots.plot_dependency_pair(
        case.one(made_dependency), made_dependency(case.schemes[0], layers=case.layers, seed=1), **into
    ),
    "plot_dependency_panels": lambda case, **into: plots.plot_dependency_panels(
        case.each(made_dependency), stack="decoder", **into
    ),
    "plot_diagnosis": lambda case, **into: plots.plot_diagnosis(case.one(made_diagnosis), **into),
    "plot_gradient_bars": lambda case, **into: plots.plot_gradient_bars(
        pool(case.seeds(made_gradients)), **into
    ),
    "plot_gradient_lines": lambda case, **into: plots.plot_gradient_lines(case.seeds(made_gradients), **into),
    "plot_gradients": lambda case, **into: plots.plot_gradients(case.one(made_gradients), **into),
    "plot_grid": lambda case, **into: plots.plot_grid(made_grid_table(), **into),
    "plot_grid_panels": lambda case, **into: plots.plot_grid_panels(
        [made_grid_table(title=scheme) for scheme in case.schemes], **into
    ),
    "plot_history": lambda case, **into: plots.plot_history(made_history(), scheme=case.schemes[0], **into),
    "plot_matrix_gradients": lambda case, **into: plots.plot_matrix_gradients(
        case.one(made_gradients), **into
    ),
    "plot_matrix_gradient_panels": lambda case, **into: plots.plot_matrix_gradient_panels(
        case.each(made_gradients), **into
    ),
    "plot_memory": lambda case, **into: plots.plot_memory(made_memory_plan(layers=case.layers), **into),
    "plot_observation": lambda case, **into: plots.plot_observation(case.one(made_observation), **into),
    "plot_omega_drift": lambda case, **into: plots.plot_omega_drift(case.one(made_updates), **into),
    "plot_omega_drift-var_branch": lambda case, **into: plots.plot_omega_drift(
        case.one(made_updates), stack="decoder", quantity="var_branch", **into
    ),
    "plot_omega_panels": lambda case, **into: plots.plot_omega_panels(case.each(made_updates), **into),
    "plot_output_change": lambda case, **into: plots.plot_output_change(
        case.each(made_output_change), **into
    ),
    "plot_output_change-log": lambda case, **into: plots.plot_output_change(
        case.each(made_output_change), stack="decoder", log=True, **into
    ),
    "plot_own_dependency": lambda case, **into: plots.plot_own_dependency(
        case.seeds(made_dependency), **into
    ),
    "plot_predicted_dependency": lambda case, **into: plots.plot_predicted_dependency(
        case.seeds(made_profile), **into
    ),
    "plot_profile": lambda case, **into: plots.plot_profile(case.one(made_profile), **into),
    "plot_quantity": lambda case, **into: plots.plot_quantity(case.seeds(made_profile), **into),
    "plot_quantity-var_branch": lambda case, **into: plots.plot_quantity(
        case.each(made_profile), quantity="var_branch", **into
    ),
    "plot_schedule": lambda case, **into: plot_schedule(
        [1, 2, 3], [0.5e-3, 1e-3, 0.8e-3], label="warm-up 2", **into
    ),
    "plot_scores": lambda case, **into: plots.plot_scores(made_comparison(case.schemes), **into),
    "plot_source_use": lambda case, **into: plots.plot_source_use(case.each(made_source_use), **into),
    "plot_training": lambda case, **into: plots.plot_training(case.histories(), entropy=2.5, **into),
    "plot_update_histogram": lambda case, **into: plots.plot_update_histogram(
        case.seeds(made_updates), **into
    ),
    "plot_update_panels": lambda case, **into: plots.plot_update_panels(case.each(made_updates), **into),
    "plot_updates": lambda case, **into: plots.plot_updates(case.one(made_updates), stack="decoder", **into),
}
"""Name of a plot function, with what is special about it -> what draws it into `ax` or `axes`."""


def axes_of(name: str, case: Case = SMALL, **into: Any) -> list[Axes]:
    """The axes of the figure of that name."""
    axes: Axes | np.ndarray = DRAWN[name](case, **into)
    return [axes] if isinstance(axes, Axes) else list(axes.ravel())


def draw(name: str, case: Case = SMALL) -> Figure:
    """The figure of that name."""
    figure = axes_of(name, case)[0].figure
    assert isinstance(figure, Figure)
    return figure
