"""One training of a job: the model that it begins with, and the way to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from admin_py import schedules
from admin_py.analysis.unmeasured import Measures
from admin_py.experiments.jobs import Job
from admin_py.experiments.translating import Translating
from admin_py.model.profile import VarianceProfile
from admin_py.model.transformer import Transformer
from admin_py.training.history import History
from admin_py.training.plan import Callback
from admin_py.training.profiling import as_tried
from admin_py.training.train import train

if TYPE_CHECKING:
    from admin_py.data import Dataset
    from admin_py.data.batch import Batch


@dataclass(frozen=True)
class Way:
    """How a job is trained where it is trained; none of it changes its numbers.

    Attributes
    ----------
    checkpoint : str or None
        File from which it goes on and to which it is kept, where whoever trains sees it.
    stop : callable or None
        Asked after every step; True ends the training as Ctrl-C does.
    callbacks : tuple of callable
        As of `admin_py.train`.
    progress : bool
        Whether the training's own progress is shown.
    whole : object
        The run or cell, if it is whole but for its translations: it is not trained again.
    model : str or None
        File of that one's model.
    """

    checkpoint: str | None = None
    stop: Callable[[], bool] | None = None
    callbacks: tuple[Callback, ...] = ()
    progress: bool = False
    whole: Any = None
    model: str | None = None


class Stopped(Exception):
    """A job was not begun, or its translating was left, since Ctrl-C had come."""


class Trained(NamedTuple):
    """What a task gives."""

    result: Any
    """A run or a cell; its history says so if it was stopped."""
    model: Transformer | None
    """Trained, if it is kept."""


class Begun(NamedTuple):
    """A model as it is before its first step."""

    model: Transformer
    batch: Batch
    """The one that its training begins with."""
    profile: VarianceProfile | None
    """None where the weights give no finite one."""
    measures: Measures
    """Which says why, and takes those to come."""


def begin(job: Job, data: Dataset) -> Begun:
    """The job's model, drawn and profiled on the batch that its training begins with."""
    seed = job.values["seed"]
    model = Transformer(job.config, seed=seed, dtype=job.training["dtype"])
    # Training takes epoch e in the order of seed + e.
    batch = next(data.batches(max_tokens=job.training["max_tokens"], seed=seed))
    measures = Measures()
    return Begun(model, batch, measures.take("profile", lambda: model.profile(batch, seed=seed)), measures)


def finish(job: Job, data: Dataset, begun: Begun, way: Way, *, observe: Any = 0) -> History:
    """Train the model to the job's end, or to where it is stopped or diverges."""

    def ask(*_: Any) -> None:
        if way.stop is not None and way.stop():
            raise KeyboardInterrupt

    names = ("steps", "max_tokens", "clip_norm", "label_smoothing", "valid_every")
    with as_tried(begun.profile) as asked:
        return train(
            begun.model,
            data,
            profile=asked,
            optimizer=job.new_optimizer(),
            schedule=schedules.from_dict(job.schedule),
            **{name: job.training[name] for name in names},
            checkpoint=_seen(way.checkpoint),
            observe=observe,
            progress=way.progress,
            callbacks=way.callbacks if way.stop is None else (*way.callbacks, ask),
        )


def translate(model: Transformer, data: Dataset, translating: Translating | None, way: Way) -> Any:
    """The translations of the held-out sentences by a trained model, where they are asked for.

    Raises
    ------
    Stopped
        If it was told to stop before it was through.
    """
    if translating is None:
        return None

    def ask(_: int) -> None:
        if way.stop is not None and way.stop():
            raise Stopped

    return translating(model, data, ask)


def translate_whole(data: Dataset, translating: Translating, way: Way) -> Trained:
    """A run or a cell that is whole, with its translations.

    Raises
    ------
    OSError
        If the file of its model cannot be read here.
    Stopped
        As `translate`.
    """
    model = Transformer.load(str(way.model))
    return Trained(replace(way.whole, translations=translate(model, data, translating, way)), None)


def unfinished(history: History) -> str:
    """Why a training that did not come to its end is without what is measured after it."""
    return "the training was stopped" if history.interrupted else "it diverged"


def _seen(checkpoint: str | None) -> str | None:
    """The checkpoint, where its folder is there: a worker on another machine may not see it."""
    return checkpoint if checkpoint is not None and Path(checkpoint).parent.is_dir() else None
