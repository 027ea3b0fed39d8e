"""Training one cell, here or in another process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from admin_py.analysis.source_use import source_use
from admin_py.experiments.grid.cell import GridCell
from admin_py.experiments.jobs import Job
from admin_py.experiments.train_job import (
    Trained,
    Way,
    begin,
    finish,
    translate,
    translate_whole,
    unfinished,
)
from admin_py.experiments.translating import Translating
from admin_py.results import run_metadata

if TYPE_CHECKING:
    from admin_py.data import Dataset
    from admin_py.model.transformer import Transformer


@dataclass(frozen=True)
class TrainCell:
    """What a grid does with every job.

    Attributes
    ----------
    keep_model : bool
    translating : Translating or None
        How held-out sentences are translated, where they are.
    """

    shows_training: ClassVar[bool] = False

    keep_model: bool = False
    translating: Translating | None = None

    @property
    def needs_text(self) -> bool:
        """Whether it compares translations."""
        return self.translating is not None

    def __call__(self, job: Job, data: Dataset, way: Way) -> Trained:
        """Train one cell; its history says so if it was stopped."""
        if way.whole is not None and self.translating is not None:
            return translate_whole(data, self.translating, way)
        begun = begin(job, data)
        model, measures = begun.model, begun.measures
        history = finish(job, data, begun, way)
        whole = history.diverged_at is None and not history.interrupted
        other = None
        if whole:
            other = measures.take("other_source_nll", lambda: _other_nll(model, data, job))
        else:
            measures.leave_out(unfinished(history), "other_source_nll")
        cell = GridCell(
            values=job.values,
            history=history,
            entropy=job.entropy,
            num_parameters=model.num_parameters,
            setup=job.setup,
            metadata=run_metadata(seed=job.values["seed"], dtype=model.dtype),
            other_source_nll=other,
            without=measures.without,
            translations=translate(model, data, self.translating, way) if whole else None,
        )
        return Trained(cell, model if self.keep_model else None)


def _other_nll(model: Transformer, data: Dataset, job: Job) -> float:
    return source_use(model, data, max_tokens=job.training["max_tokens"]).other_nll
