"""One run of a study: what was found of a scheme trained from one seed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from admin_py.analysis.attention import AttentionMap
from admin_py.analysis.dependency import Dependency
from admin_py.analysis.diagnosis.results import Diagnosis
from admin_py.analysis.gradients import GradientNorms
from admin_py.analysis.output_change import OutputChange
from admin_py.analysis.source_use import SourceUse
from admin_py.analysis.updates import UpdateNorms, updates
from admin_py.base.checks import check_listed, check_mapping
from admin_py.experiments.jobs import job_name, title_of
from admin_py.experiments.kept_models import kept_model
from admin_py.experiments.outcomes import outcome_of
from admin_py.experiments.study import files
from admin_py.experiments.told import check_setup, check_values
from admin_py.experiments.translations import Translated, Translations
from admin_py.model.profile import VarianceProfile
from admin_py.results import FORMAT, Result, encode, figure
from admin_py.training.history import History

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from admin_py.model.transformer import Transformer

ALWAYS: Mapping[str, type[Result]] = {
    "history": History,
    "gradients": GradientNorms,
}
"""Result that every run has -> its class; its file is ``<name>.json``."""

ANALYSES: Mapping[str, type[Result]] = {
    "profile": VarianceProfile,
    "diagnosis": Diagnosis,
    "dependency_before": Dependency,
    "dependency_after": Dependency,
    "output_change": OutputChange,
    "attention": AttentionMap,
    "source_use": SourceUse,
}
"""Result that a run may be without -> its class."""

NOT_COMPUTED = "it was not computed"


class Sample(NamedTuple):
    """One greedy decoding of a validation example: three lines of text.

    Examples
    --------
    >>> Sample("two", "zwei", "zwei").output
    'zwei'
    """

    source: str
    expected: str
    output: str


@dataclass(frozen=True, eq=False, repr=False)
class StudyRun(Translated):
    """One scheme trained from one seed.

    Attributes
    ----------
    scheme : str
        Its name; a hybrid is ``"encoder's/decoder's"``.
    seed : int
    history : History
        Of the training.
    profile : VarianceProfile or None
        At initialisation.
    gradients : GradientNorms
        At initialisation, after profiling.
    samples : tuple of Sample
        Greedy decodings of validation examples after training; none where it diverged or was stopped.
    num_parameters : int
        Trained ones.
    metadata : mapping
        Kernels, threads, versions, dtype.
    values : mapping
        Axis -> value, scheme and seed among them, see `admin_py.grid`.
    setup : mapping
        What decided the numbers beside data and seed: configuration, optimiser, schedule, training.
    entropy : float or None
        Unigram entropy of the data, nats per token, on which the outcome's words rest.
    diagnosis : Diagnosis or None
        After profiling, before training.
    dependency_before, dependency_after : Dependency or None
        After profiling, and after training.
    output_change : OutputChange or None
        Of random changes of the weights, after profiling.
    attention : AttentionMap or None
        Of the last layer in a held-out example, after training.
    source_use : SourceUse or None
        Losses with right and with others' sources, after training; None for language models.
    translations : Translations or None
        Of held-out sentences, where they were asked for (``bleu=True``) and it was trained to its end.
    without : mapping of str to str
        Name of a result that is None, or of samples that there are none of, to why it is so.

    Examples
    --------
    >>> import admin_py as ap
    >>> found = ap.study(ap.data.copy_task(train=50, valid=10), schemes="admin", layers=1, d_model=8, d_ff=16,
    ...                  heads=2, steps=1, progress=False)
    >>> found.runs[0].scheme, found.runs[0].model.config.scheme_name
    ('admin', 'admin')
    """

    kind: ClassVar[str] = "study run"

    scheme: str
    seed: int
    history: History
    profile: VarianceProfile | None
    gradients: GradientNorms
    samples: tuple[Sample, ...]
    num_parameters: int
    metadata: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict)
    setup: Mapping[str, Any] = field(default_factory=dict)
    entropy: float | None = None
    diagnosis: Diagnosis | None = None
    dependency_before: Dependency | None = None
    dependency_after: Dependency | None = None
    output_change: OutputChange | None = None
    attention: AttentionMap | None = None
    source_use: SourceUse | None = None
    without: Mapping[str, str] = field(default_factory=dict)
    translations: Translations | None = None

    def __post_init__(self) -> None:
        samples = tuple(map(_sample, check_listed("samples", self.samples)))
        lacking = [name for name in ANALYSES if getattr(self, name) is None]
        without = check_mapping("without", self.without)
        reasons = {name: without.get(name, NOT_COMPUTED) for name in lacking}
        if not samples and "samples" in without:
            reasons["samples"] = without["samples"]
        object.__setattr__(self, "without", reasons)
        object.__setattr__(self, "samples", samples)
        object.__setattr__(
            self, "values", check_mapping("values", self.values) or {"scheme": self.scheme, "seed": self.seed}
        )
        super().__post_init__()

    def _check_told(self) -> None:
        check_values(self.values)
        check_setup(self.setup)

    @property
    def name(self) -> str:
        """Of its folder, of letters that every file system takes."""
        return job_name(self.values)

    @property
    def model(self) -> Transformer | None:
        """The trained model, if it was kept; read from its file when it is asked for."""
        return kept_model(self)

    @property
    def stacks(self) -> tuple[str, ...]:
        """Stacks of its model."""
        return tuple(self.gradients.outputs)

    @property
    def valid_nll(self) -> float:
        """Last validation loss, nats per token; nan where there is none."""
        return self.history.valid_nll

    @property
    def train_nll(self) -> float:
        """Mean loss of the last twentieth of the training batches, without smoothing, dropout on."""
        return self.history.train_nll

    @property
    def updates(self) -> UpdateNorms | None:
        """Norms of gradients, weights and updates by matrix over the training; None if none was observed."""
        try:
            return updates(self.history)
        except ValueError:
            return None

    @property
    def seconds(self) -> float:
        """Spent in training steps."""
        return float(np.sum(self.history.seconds))

    @property
    def tokens_per_second(self) -> float:
        """Predicted tokens a second of training."""
        return self.history.tokens_per_second

    @property
    def outcome(self) -> str:
        """What became of it, in words, see `admin_py.experiments.outcomes`."""
        reads = None if self.source_use is None else self.source_use.reads
        return outcome_of(self.history, self.entropy, reads)

    def last_words(self) -> str:
        """How it ended, in a line."""
        if self.history.interrupted:
            return f"stopped after step {self.history.num_steps}"
        if self.history.diverged_at is not None:
            return f"diverged at step {self.history.diverged_at}: {self.history.diverged_because}"
        bleu = "" if self.translations is None else f", BLEU {self.bleu:.2f}"
        return f"{self.outcome}, validation nll {self.valid_nll:.3f}{bleu}, {self.seconds:.0f} s"

    def row(self) -> dict[str, Any]:
        """Its row of a study's table."""
        names = ("train_nll", "valid_nll", "outcome")
        more = ("seconds", "tokens_per_second", "num_parameters")
        return {
            "scheme": self.scheme,
            "seed": self.seed,
            **{name: getattr(self, name) for name in names},
            "diverged_at": self.history.diverged_at,
            **{name: getattr(self, name) for name in more},
            **self.bleu_row(),
        }

    def to_dataframe(self) -> pd.DataFrame:
        """One row: losses, outcome, time and speed."""
        import pandas as pd

        return pd.DataFrame([self.row()])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Training and validation loss over the steps, see `admin_py.plots.plot_history`."""
        return figure("plot_history")(self.history, ax, scheme=self.scheme)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the run's files; ``run.json`` comes last and says that the run is whole.

        Raises
        ------
        OSError
            If a file cannot be written.
        """
        results = {name: getattr(self, name) for name in (*ALWAYS, *ANALYSES)}
        apart = (*results, "translations")
        rest = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in apart}
        own = {"kind": self.kind, "format": FORMAT, **encode(rest), **dict.fromkeys(results)}
        there = {name: one for name, one in results.items() if one is not None}
        files.save_run(folder, own, there, self.translations)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> StudyRun:
        """Read what `save` wrote; equal to what was saved.

        Raises
        ------
        OSError
            If a file is missing.
        ValueError
            If a file is not what it should be.
        """
        return files.load_run(folder, cls.from_dict, {**ALWAYS, **ANALYSES}, ANALYSES)

    def _summary(self) -> str:
        return f"{title_of(self.values)}: {self.last_words()}"


def _sample(given: Any) -> Sample:
    texts = check_listed("samples", given, "three texts")
    if len(texts) != len(Sample._fields):
        raise ValueError(f"samples must be of {', '.join(Sample._fields)}, got {len(texts)} texts")
    return Sample(*texts)
