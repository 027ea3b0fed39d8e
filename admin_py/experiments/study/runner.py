"""One run of a study: profiled, looked at, trained, looked at again, and its words on held-out examples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from admin_py import analysis
from admin_py.analysis.diagnosis.diagnose import diagnose
from admin_py.experiments.jobs import Job
from admin_py.experiments.settings import CONTINUATION, PROMPT
from admin_py.experiments.study.run import Sample, StudyRun
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
from admin_py.generation import greedy
from admin_py.model.transformer import Transformer
from admin_py.results import run_metadata

if TYPE_CHECKING:
    from admin_py.data import Dataset

OBSERVED = "log"
"""Steps of a run's training at which norms of matrices, omega and variances are taken down."""

REPEATS = 3
"""Of the weights' random change whose effect on the output is measured."""


@dataclass(frozen=True)
class TrainRun:
    """What a study does with every job.

    Attributes
    ----------
    samples : int
        Held-out examples to decode.
    keep_model : bool
    translating : Translating or None
        How held-out sentences are translated, where they are.
    """

    needs_text: ClassVar[bool] = True
    shows_training: ClassVar[bool] = True

    samples: int = 4
    keep_model: bool = True
    translating: Translating | None = None

    def __call__(self, job: Job, data: Dataset, way: Way) -> Trained:
        """Train one scheme from one seed; its history says so if it was stopped."""
        if way.whole is not None and self.translating is not None:
            return translate_whole(data, self.translating, way)
        begun = begin(job, data)
        model, batch, profile, measures = begun
        smoothing = job.training["label_smoothing"]
        gradients = analysis.gradients(model, batch, label_smoothing=smoothing)
        # Not every scheme's formula can be taken apart, not all data have all measures.
        calls: dict[str, Callable[[], Any]] = {
            "diagnosis": lambda: diagnose(model, batch, label_smoothing=smoothing),
            "dependency_before": lambda: analysis.dependency(model, batch),
            "output_change": lambda: analysis.output_change(model, batch, repeats=REPEATS),
        }
        found = {name: measures.take(name, call) for name, call in calls.items()}
        history = finish(job, data, begun, way, observe=OBSERVED)
        whole = not history.interrupted and history.diverged_at is None
        later: dict[str, Callable[[], Any]] = {
            "dependency_after": lambda: analysis.dependency(model, batch),
            "attention": lambda: analysis.attention(model, data),
            "source_use": lambda: _source_use(model, data, job),
            "samples": lambda: decode_samples(model, data, self.samples),
        }
        if whole:
            found |= {name: measures.take(name, call) for name, call in later.items()}
        else:
            measures.leave_out(unfinished(history), *later)
        samples = found.pop("samples", None) or ()
        run = StudyRun(
            scheme=job.values["scheme"],
            seed=job.values["seed"],
            history=history,
            profile=profile,
            gradients=gradients,
            samples=samples,
            num_parameters=model.num_parameters,
            metadata=run_metadata(seed=job.values["seed"], dtype=model.dtype),
            values=job.values,
            setup=job.setup,
            entropy=job.entropy,
            translations=translate(model, data, self.translating, way) if whole else None,
            **found,
            without=measures.without,
        )
        return Trained(run, model if self.keep_model and whole else None)


def _source_use(model: Transformer, data: Dataset, job: Job) -> analysis.SourceUse:
    return analysis.source_use(model, data, max_tokens=job.training["max_tokens"])


def decode_samples(model: Transformer, data: Dataset, count: int) -> tuple[Sample, ...]:
    """Greedy decodings of the first held-out examples.

    Parameters
    ----------
    model : Transformer
        An encoder-decoder or a language model.
    data : Dataset
        Of the model's kind; a translation's sources are decoded, the beginnings of one text are continued.
    count : int
        Of examples, at most as many as there are.

    Returns
    -------
    tuple of Sample
    """
    count = min(count, data.num_sequences("valid"))
    if count == 0:
        return ()
    if data.kind == "translation":
        pairs = data.pairs("valid")[:count]
        sources = data.encode([source for source, _ in pairs])
        limit = model.config.max_length
        found = greedy(model, sources, max_new_tokens=limit, bos=data.bos, eos=data.eos)
        outputs = [data.decode(ids) for ids in found]
        return tuple(Sample(*pair, output) for pair, output in zip(pairs, outputs, strict=True))
    texts = [ids[: PROMPT + CONTINUATION] for ids in data.split("valid").source.take(np.arange(count))]
    prompts = [ids[: max(1, min(PROMPT, len(ids) // 2))] for ids in texts]
    found = greedy(model, prompts, max_new_tokens=CONTINUATION, bos=data.bos, eos=data.eos)
    return tuple(
        Sample(data.decode(prompt), data.decode(text[len(prompt) :]), data.decode(ids[len(prompt) :]))
        for prompt, text, ids in zip(prompts, texts, found, strict=True)
    )
