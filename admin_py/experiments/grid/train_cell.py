"""Training one cell, here or in another process."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin_py import schedules
from admin_py.analysis.source_use import source_use
from admin_py.experiments.grid.axes import Job
from admin_py.experiments.grid.cell import GridCell
from admin_py.model.transformer import Transformer
from admin_py.results import run_metadata
from admin_py.training.train import train

if TYPE_CHECKING:
    from admin_py.data import Dataset


@dataclass(frozen=True)
class DataFile:
    """A dataset for other processes: each reads it once.

    Attributes
    ----------
    fingerprint : str
        Of the dataset.
    path : str or None
        File that holds it, where the processes see the same files.
    payload : bytes or None
        The dataset itself, where they may not.
    """

    fingerprint: str
    path: str | None = None
    payload: bytes | None = None

    def load(self) -> Dataset:
        """The dataset, kept until another one is asked for."""
        if self.fingerprint not in _LOADED:
            payload = self.payload
            if payload is None:
                payload = Path(str(self.path)).read_bytes()
            _LOADED.clear()
            _LOADED[self.fingerprint] = pickle.loads(zlib.decompress(payload))
        return _LOADED[self.fingerprint]


_LOADED: dict[str, Any] = {}
"""The dataset of this process's last cell."""


def pack(data: Dataset) -> bytes:
    """What a `DataFile` holds: ids without text, which training does not read."""
    from admin_py.data.dataset import Dataset, Split

    splits = {name: Split(data.split(name).source, data.split(name).target) for name in data.splits}
    return zlib.compress(pickle.dumps(Dataset(data.name, data.kind, data.tokenizer, splits)), level=1)


def run_cell(
    job: Job,
    data: Dataset | DataFile,
    threads: int | None = None,
    stop: Callable[[], bool] | None = None,
) -> GridCell:
    """Train one cell from its beginning.

    Parameters
    ----------
    job : Job
    data : Dataset or DataFile
    threads : int, optional
        Of the core; as they are by default.
    stop : callable, optional
        Asked after every step; True ends the training as Ctrl-C does.

    Returns
    -------
    GridCell
        Its history says so if it was stopped.
    """
    if threads is not None:
        from admin_py.base.threads import set_num_threads

        set_num_threads(threads)
    if isinstance(data, DataFile):
        data = data.load()
    training, seed = job.training, job.values["seed"]
    model = Transformer(job.config, seed=seed, dtype=training["dtype"])
    # The batch that training begins with, as in a study.
    model.profile(next(data.batches(max_tokens=training["max_tokens"], seed=seed)), seed=seed)

    def ask(*_: Any) -> None:
        if stop is not None and stop():
            raise KeyboardInterrupt

    history = train(
        model,
        data,
        optimizer=job.new_optimizer(),
        schedule=schedules.from_dict(job.schedule),
        steps=training["steps"],
        max_tokens=training["max_tokens"],
        clip_norm=training["clip_norm"],
        label_smoothing=training["label_smoothing"],
        valid_every=training["valid_every"],
        progress=False,
        callbacks=() if stop is None else (ask,),
    )
    paired = (
        model.config.kind == "encoder_decoder" and history.diverged_at is None and not history.interrupted
    )
    return GridCell(
        **job.values,
        history=history,
        entropy=job.entropy,
        num_parameters=model.num_parameters,
        setup=job.setup,
        metadata=run_metadata(seed=seed, dtype=model.dtype),
        other_source_nll=source_use(model, data, max_tokens=training["max_tokens"]).other_nll
        if paired
        else None,
    )
