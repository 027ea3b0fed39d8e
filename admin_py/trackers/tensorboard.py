"""TensorBoard, by tensorboardX."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.extras import installed_by
from admin_py.base.paths import absolute_path
from admin_py.trackers.tracker import Tracker

if TYPE_CHECKING:
    from matplotlib.figure import Figure


NUMBERS = itertools.count()
"""Of the files that this process has begun."""


@door
class TensorBoard(Tracker):
    """A folder that ``tensorboard --logdir FOLDER`` shows; see `Tracker`. Needs ``admin-py[tensorboard]``.

    Parameters
    ----------
    folder : path
        Every training has a folder of its own in it.
    every : int
        Steps between the scalars of training.

    Raises
    ------
    ModuleNotFoundError
        Without tensorboardX.

    Examples
    --------
    >>> tracker = TensorBoard("runs", every=10)
    >>> tracker
    TensorBoard('runs', every=10)
    """

    def __init__(self, folder: str | os.PathLike[str], *, every: int = 1) -> None:
        super().__init__(every)
        with installed_by("tensorboard"):
            import tensorboardX  # noqa: F401
        self._given = os.fspath(folder)
        self.folder: Path = absolute_path(folder, "folder")

    def _open(self, name: str, settings: Mapping[str, Any]) -> Any:
        from tensorboardX import SummaryWriter

        # The library names files by the second: another one of the same second would be written over.
        suffix = f".{os.getpid()}.{next(NUMBERS)}"
        return SummaryWriter(str(self.folder / name), filename_suffix=suffix)

    def _scalars(self, run: Any, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            run.add_scalar(name.replace(" ", "_"), value, step)

    def _histograms(self, run: Any, values: Mapping[str, NDArray[np.float64]], step: int) -> None:
        for name, found in values.items():
            run.add_histogram(name.replace(" ", "_"), found, step)

    def _figure(self, run: Any, name: str, figure: Figure, step: int) -> None:
        run.add_figure(name, figure, step, close=False)

    def _close(self, run: Any, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        from tensorboardX.summary import hparams

        named = {name.replace(" ", "_"): value for name, value in metrics.items()}
        for told in hparams(dict(settings), named):  # add_hparams would open another file
            run.file_writer.add_summary(told)
        for name, value in named.items():
            run.add_scalar(name, value, int(metrics["final/steps"]))
        run.close()

    def __repr__(self) -> str:
        return f"TensorBoard({self._given!r}, every={self.every})"
