"""Trackers of experiments: callbacks that keep what a training shows with another library.

Every one is given to `admin_py.train`, `admin_py.study` or `admin_py.grid` as a callback, or named on the
command line, ``--track tensorboard:DIR``. A training goes on where its tracker fails.
"""

from admin_py.trackers.mlflow import MLflow
from admin_py.trackers.tensorboard import TensorBoard
from admin_py.trackers.tracker import Tracker
from admin_py.trackers.wandb import WandB

__all__ = ["MLflow", "TensorBoard", "Tracker", "WandB"]
