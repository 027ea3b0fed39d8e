"""Experiments: many trainings, kept in a folder, from which a stopped one goes on."""

from admin_py.experiments.tuning import objective

__all__ = ["objective"]
