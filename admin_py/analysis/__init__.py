"""Analyses of a model: each a function that returns a frozen result with numbers, table, figure and file."""

from __future__ import annotations

from admin_py.analysis.attention import AttentionMap, attention
from admin_py.analysis.dependency import Dependency, dependency
from admin_py.analysis.gradients import GradientNorms, GradientSpread, gradients
from admin_py.analysis.output_change import OutputChange, output_change
from admin_py.analysis.pool import pool
from admin_py.analysis.source_use import SourceUse, source_use
from admin_py.analysis.theory import Fit, Fits
from admin_py.analysis.updates import UpdateNorms, updates

__all__ = [
    "AttentionMap",
    "Dependency",
    "Fit",
    "Fits",
    "GradientNorms",
    "GradientSpread",
    "OutputChange",
    "SourceUse",
    "UpdateNorms",
    "attention",
    "dependency",
    "gradients",
    "output_change",
    "pool",
    "source_use",
    "updates",
]
