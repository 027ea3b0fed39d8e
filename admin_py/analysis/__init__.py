"""Analyses of a model: each a function that returns a frozen result with numbers, table, figure and file."""

from __future__ import annotations

from admin_py.analysis.gradients import GradientNorms, gradients

__all__ = ["GradientNorms", "gradients"]
