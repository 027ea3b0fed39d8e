"""One run of a study: what was found of a scheme trained from one seed, with its files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from admin_py.analysis.attention import AttentionMap
from admin_py.analysis.dependency import Dependency
from admin_py.analysis.gradients import GradientNorms
from admin_py.analysis.output_change import OutputChange
from admin_py.analysis.source_use import SourceUse
from admin_py.analysis.updates import UpdateNorms, updates
from admin_py.analysis.diagnosis.results import Diagnosis
from admin_py.training.history import History
from admin_py.experiments.outcomes import outcome_of
from admin_py.model.profile import VarianceProfile
from admin_py.results import Result, decode, dump_json, encode, figure, freeze, read_json
from admin_py.base.whole_files import clear_aside, write_whole

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

RUN_FILE = "run.json"

ANALYSES: Mapping[str, type[Result]] = {
    "diagnosis": Diagnosis,
    "dependency_before": Dependency,
    "dependency_after": Dependency,
    "output_change": OutputChange,
    "attention": AttentionMap,
    "source_use": SourceUse,
}
"""Result that a run may be without -> its class; its file is ``<name>.json``."""

NOT_COMPUTED = "it was not computed"
OLD = "the run was made before the package took it down"


class Sample(NamedTuple):
    """One greedy decoding of a validation example: three lines of text.

    Examples
    --------
    >>> Sample("two", "zwei", "drei").output
    'drei'
    """

    source: str
    expected: str
    output: str


@dataclass(frozen=True, eq=False, repr=False)
class StudyRun(Result):
    """One scheme trained from one seed. Frozen; its `save` and `load` take a folder.

    Attributes
    ----------
    scheme : str
        Its name; a hybrid is ``"encoder's/decoder's"``.
    seed : int
    history : History
        Of the training.
    profile : VarianceProfile
        At initialisation.
    gradients : GradientNorms
        At initialisation, after profiling.
    samples : tuple of Sample
        Greedy decodings of validation examples after training; none where it diverged or was stopped.
    num_parameters : int
        Trained ones.
    metadata : mapping
        Versions, threads, dtype.
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
    without : mapping of str to str
        Name of a result that is None to why it is.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> found = ap.study(data, schemes=("pre_ln",), layers=1, d_model=8, d_ff=16, heads=2, steps=1,
    ...                  progress=False)
    >>> run = found.runs[0]
    >>> run.scheme, run.seed, run.stacks, run.diagnosis.level
    ('pre_ln', 1, ('encoder', 'decoder'), 'stable')
    """

    kind: ClassVar[str] = "study run"

    scheme: str
    seed: int
    history: History
    profile: VarianceProfile
    gradients: GradientNorms
    samples: tuple[Sample, ...]
    num_parameters: int
    metadata: Mapping[str, Any]
    diagnosis: Diagnosis | None = None
    dependency_before: Dependency | None = None
    dependency_after: Dependency | None = None
    output_change: OutputChange | None = None
    attention: AttentionMap | None = None
    source_use: SourceUse | None = None
    without: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Name of its folder, of letters that every file system takes."""
        return run_folder(self.scheme, self.seed)

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
    def stacks(self) -> tuple[str, ...]:
        """The stacks of the model."""
        return self.profile.stacks

    def row(self, entropy: float | None) -> dict[str, Any]:
        """Its row of a study's table.

        Parameters
        ----------
        entropy : float or None
            As for `outcome`.
        """
        return {
            "scheme": self.scheme,
            "seed": self.seed,
            "train_nll": self.train_nll,
            "valid_nll": self.valid_nll,
            "outcome": self.outcome(entropy),
            "diverged_at": self.history.diverged_at,
            "seconds": self.seconds,
            "tokens_per_second": self.tokens_per_second,
            "num_parameters": self.num_parameters,
        }

    def to_dataframe(self) -> pd.DataFrame:
        """One row, as of a study's table, but for the outcome's words that rest on the data's entropy."""
        import pandas as pd

        return pd.DataFrame([self.row(None)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Training and validation loss over the steps, see `admin_py.plots.plot_history`."""
        return figure("plot_history")(self.history, ax, scheme=self.scheme)

    def outcome(self, entropy: float | None) -> str:
        """In words: diverged, trains, does not train or read its source; or finished, or was stopped.

        Parameters
        ----------
        entropy : float or None
            Unigram entropy of the data, nats per token.
        """
        return outcome_of(self.history, entropy, None if self.source_use is None else self.source_use.reads)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the run's files; ``run.json`` comes last and says that the run is whole.

        Raises
        ------
        OSError
            If a file cannot be written.
        """
        base = Path(folder)
        self.history.save(base / "history.json")
        self.profile.save(base / "profile.json")
        self.gradients.save(base / "gradients.json")
        for name in ANALYSES:
            result = getattr(self, name)
            if result is not None:
                result.save(base / f"{name}.json")
        kept = {
            "scheme": self.scheme,
            "seed": self.seed,
            "num_parameters": self.num_parameters,
            "samples": [sample._asdict() for sample in self.samples],
            "metadata": self.metadata,
            "without": self.without,
        }
        write_whole(base / RUN_FILE, dump_json({"kind": self.kind, **encode(kept)}))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> StudyRun:
        """Read what `save` wrote; equal to what was saved.

        A run of an earlier version, which took down less, is without what it lacks.

        Raises
        ------
        OSError
            If a file is missing.
        ValueError
            If a file is not what it should be.
        """
        base = Path(folder)
        found = read_kind(
            base / RUN_FILE,
            cls.kind,
            ("scheme", "seed", "num_parameters", "samples", "metadata"),
            optional=("without",),
        )
        return cls(
            scheme=found["scheme"],
            seed=found["seed"],
            history=History.load(base / "history.json"),
            profile=VarianceProfile.load(base / "profile.json"),
            gradients=GradientNorms.load(base / "gradients.json"),
            samples=tuple(Sample(**sample) for sample in found["samples"]),
            num_parameters=found["num_parameters"],
            metadata=freeze(found["metadata"]),
            **_load_analyses(base, found.get("without")),
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "samples", tuple(Sample(*one) for one in self.samples))
        lacking = [name for name in ANALYSES if getattr(self, name) is None]
        reasons = {name: self.without.get(name, NOT_COMPUTED) for name in lacking}
        object.__setattr__(self, "without", freeze(reasons))

    def _summary(self) -> str:
        return f"{self.scheme!r}, seed {self.seed}, validation {self.valid_nll:.3g} nats"


def clear_run(folder: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed while it saved a run has left aside."""
    for name in ("history", "profile", "gradients", *ANALYSES):
        clear_aside(Path(folder) / f"{name}.json")
    clear_aside(Path(folder) / RUN_FILE)


def run_folder(scheme: str, seed: int) -> str:
    """Name of a run's folder; a hybrid's slash becomes ``~``, which no scheme's name has.

    Examples
    --------
    >>> run_folder("post_ln/pre_ln", 2)
    'post_ln~pre_ln-seed2'
    """
    return f"{file_name(scheme)}-seed{seed}"


def file_name(scheme: str) -> str:
    """A scheme's name as a part of a file's.

    Examples
    --------
    >>> file_name("post_ln/pre_ln")
    'post_ln~pre_ln'
    """
    return scheme.replace("/", "~")


def _load_analyses(base: Path, without: Mapping[str, str] | None) -> dict[str, Any]:
    """The results that a run may be without, and why it is without those that it is."""
    told = without or {}
    missing = [name for name in ANALYSES if name not in told and not (base / f"{name}.json").exists()]
    without = {**told, **dict.fromkeys(missing, OLD)}
    found = {name: kind.load(base / f"{name}.json") for name, kind in ANALYSES.items() if name not in without}
    return {**found, "without": freeze(without)}


def read_kind(
    path: Path, kind: str, names: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The fields of a file of this kind; those that are optional only where they are there.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is of another kind or a field is missing.
    """

    def parse(data: Any) -> dict[str, Any]:
        if not isinstance(data, dict) or data.get("kind") != kind:
            raise ValueError(f"expected a {kind}")
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"no {missing[0]}")
        wanted = [*names, *(name for name in optional if name in data)]
        return {name: decode(data[name]) for name in wanted}

    return read_json(path, parse)
