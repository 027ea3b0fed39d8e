"""The option ``--track``: trackers by their names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from admin_py.cli.options import UsageError

if TYPE_CHECKING:
    from admin_py.trackers import Tracker


def _tensorboard(where: str) -> Any:
    from admin_py.trackers import TensorBoard

    return TensorBoard(where)


def _wandb(where: str) -> Any:
    from admin_py.trackers import WandB

    return WandB(where)


def _mlflow(where: str) -> Any:
    from admin_py.trackers import MLflow

    return MLflow(where)


KINDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "tensorboard": ("FOLDER", _tensorboard),
    "wandb": ("PROJECT", _wandb),
    "mlflow": ("STORE", _mlflow),
}
"""Name -> what follows it, and what makes the tracker."""


def add_track(parser: argparse.ArgumentParser) -> None:
    """The option."""
    forms = ", ".join(f"{name}:{where}" for name, (where, _) in KINDS.items())
    parser.add_argument(
        "--track",
        action="append",
        default=[],
        metavar="KIND:WHERE",
        help=f"keep what trainings show: {forms}",
    )


def trackers_of(options: argparse.Namespace) -> list[Tracker]:
    """Those that were asked for.

    Raises
    ------
    UsageError
        For one that there is not.
    """
    return [_tracker(text) for text in options.track]


def _tracker(text: str) -> Any:
    kind, _, where = text.partition(":")
    if kind not in KINDS or not where:
        forms = ", ".join(f"{name}:{where}" for name, (where, _) in KINDS.items())
        raise UsageError(f"--track must be one of {forms}, got {text!r}")
    return KINDS[kind][1](where)
