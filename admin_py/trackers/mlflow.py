"""MLflow."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import shown
from admin_py.base.extras import installed_by
from admin_py.trackers.tracker import Tracker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 500
"""Characters of a parameter's value that every store takes."""

QUANTILES = {"min": 0.0, "median": 0.5, "max": 1.0}
"""What is kept of a distribution, for which MLflow has no kind of its own."""


@door
class MLflow(Tracker):
    """Runs of an experiment of MLflow; see `Tracker`. Needs ``admin-py[mlflow]``.

    Parameters
    ----------
    uri : str
        Of the store: ``"sqlite:///mlflow.db"``, a folder, or the address of a server.
    experiment : str
    every : int
        Steps between the scalars of training.

    Raises
    ------
    ModuleNotFoundError
        Without mlflow.

    Examples
    --------
    >>> MLflow("sqlite:///mlflow.db", experiment="residuals")
    MLflow('sqlite:///mlflow.db', experiment='residuals', every=1)
    """

    def __init__(self, uri: str | os.PathLike[str], *, experiment: str = "admin-py", every: int = 1) -> None:
        super().__init__(every)
        with installed_by("mlflow"):
            import mlflow  # noqa: F401
        if not isinstance(experiment, str) or not experiment:
            raise ValueError(f"experiment must be a name, got {shown(experiment)}")
        self.uri, self.experiment = os.fspath(uri), experiment

    def _client(self) -> Any:
        from mlflow import MlflowClient

        if "://" not in self.uri:  # a folder, which later versions take only from those who say so
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        return MlflowClient(tracking_uri=self.uri)

    def _open(self, name: str, settings: Mapping[str, Any]) -> Any:
        from mlflow.entities import Param

        client = self._client()
        found = client.get_experiment_by_name(self.experiment)
        number = client.create_experiment(self.experiment) if found is None else found.experiment_id
        run = client.create_run(number, run_name=name).info.run_id
        parameters = [Param(_name(key), str(value)[:LONGEST]) for key, value in settings.items()]
        for begin in range(0, len(parameters), 100):  # as many as a server takes at once
            client.log_batch(run, params=parameters[begin : begin + 100])
        return run

    def _scalars(self, run: Any, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client().log_batch(run, [Metric(_name(key), value, now, step) for key, value in values.items()])

    def _histograms(self, run: Any, values: Mapping[str, NDArray[np.float64]], step: int) -> None:
        found = {
            f"{key}/{told}": float(np.quantile(one, share))
            for key, one in values.items()
            for told, share in QUANTILES.items()
        }
        self._scalars(run, found, step)

    def _figure(self, run: Any, name: str, figure: Figure, step: int) -> None:
        self._client().log_figure(run, figure, f"{name}.png")

    def _close(self, run: Any, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        self._scalars(run, metrics, int(metrics["final/steps"]))
        self._client().set_terminated(run)

    def __repr__(self) -> str:
        return f"MLflow({self.uri!r}, experiment={self.experiment!r}, every={self.every})"


def _name(key: str) -> str:
    """A name of letters that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", key)
