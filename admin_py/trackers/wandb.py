"""Weights & Biases."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import check_choice, shown
from admin_py.base.extras import installed_by
from admin_py.base.paths import absolute_path
from admin_py.plots.files import saved
from admin_py.trackers.tracker import Tracker

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@door
class WandB(Tracker):
    """Runs of a project of Weights & Biases; see `Tracker`. Needs ``admin-py[wandb]``.

    Parameters
    ----------
    project : str
    folder : path
        Where the library keeps its files, in ``wandb``.
    mode : {"offline", "online"}
        Offline runs are sent later by ``wandb sync``.
    every : int
        Steps between the scalars of training.

    Raises
    ------
    ModuleNotFoundError
        Without wandb.

    Examples
    --------
    >>> WandB("residuals", every=10)
    WandB('residuals', mode='offline', every=10)
    """

    def __init__(
        self,
        project: str,
        *,
        folder: str | os.PathLike[str] = ".",
        mode: Literal["offline", "online"] = "offline",
        every: int = 1,
    ) -> None:
        super().__init__(every)
        with installed_by("wandb"):
            import wandb  # noqa: F401
        if not isinstance(project, str) or not project:
            raise ValueError(f"project must be a name, got {shown(project)}")
        self.project = project
        self.folder: Path = absolute_path(folder, "folder")
        self.mode: Any = check_choice("mode", mode, ("offline", "online"))

    def _open(self, name: str, settings: Mapping[str, Any]) -> Any:
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=self.project, name=name, dir=str(self.folder), mode=self.mode, config=dict(settings),
            reinit="create_new", settings=wandb.Settings(silent=True),
        )  # fmt: skip

    def _scalars(self, run: Any, values: Mapping[str, float], step: int) -> None:
        run.log(dict(values), step=step)

    def _histograms(self, run: Any, values: Mapping[str, NDArray[np.float64]], step: int) -> None:
        import wandb

        run.log({name: wandb.Histogram(found) for name, found in values.items()}, step=step)

    def _figure(self, run: Any, name: str, figure: Figure, step: int) -> None:
        import wandb
        from PIL import Image

        picture = Image.open(io.BytesIO(saved(figure, "png")))  # of a figure itself it would ask pyplot
        run.log({name: wandb.Image(picture)}, step=step)

    def _close(self, run: Any, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        run.summary.update(dict(metrics))
        run.finish()

    def __repr__(self) -> str:
        return f"WandB({self.project!r}, mode={self.mode!r}, every={self.every})"
