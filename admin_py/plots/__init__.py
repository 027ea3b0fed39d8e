"""Figures of results: each function draws into given Axes, or a new figure's, and returns them.

Nothing is computed here but places on the paper; the numbers are those of the results.
"""

from __future__ import annotations

from admin_py.plots.attention import plot_attention, plot_attention_panels
from admin_py.plots.dependency import plot_dependency, plot_dependency_pair, plot_dependency_panels
from admin_py.plots.diagnosis import plot_diagnosis
from admin_py.plots.gradient_bars import plot_gradient_bars
from admin_py.plots.gradients import plot_gradient_lines, plot_gradients
from admin_py.plots.grid import plot_grid, plot_grid_panels
from admin_py.plots.matrix_gradients import plot_matrix_gradient_panels, plot_matrix_gradients
from admin_py.plots.memory import plot_memory
from admin_py.plots.observation import plot_observation
from admin_py.plots.omega_drift import plot_omega_drift, plot_omega_panels
from admin_py.plots.output_change import plot_output_change
from admin_py.plots.own_dependency import plot_own_dependency
from admin_py.plots.predicted_dependency import plot_predicted_dependency
from admin_py.plots.profile import plot_profile, plot_quantity
from admin_py.plots.schedule import plot_schedule
from admin_py.plots.scores import plot_scores
from admin_py.plots.source_use import plot_source_use
from admin_py.plots.style import context, scheme_style
from admin_py.plots.training import plot_curves, plot_history, plot_training
from admin_py.plots.updates import plot_update_histogram, plot_update_panels, plot_updates

__all__ = [
    "context",
    "plot_attention",
    "plot_attention_panels",
    "plot_curves",
    "plot_dependency",
    "plot_dependency_pair",
    "plot_dependency_panels",
    "plot_diagnosis",
    "plot_gradient_bars",
    "plot_gradient_lines",
    "plot_gradients",
    "plot_grid",
    "plot_grid_panels",
    "plot_history",
    "plot_matrix_gradient_panels",
    "plot_matrix_gradients",
    "plot_memory",
    "plot_observation",
    "plot_omega_drift",
    "plot_omega_panels",
    "plot_output_change",
    "plot_own_dependency",
    "plot_predicted_dependency",
    "plot_profile",
    "plot_quantity",
    "plot_schedule",
    "plot_scores",
    "plot_source_use",
    "plot_training",
    "plot_update_histogram",
    "plot_update_panels",
    "plot_updates",
    "scheme_style",
]
