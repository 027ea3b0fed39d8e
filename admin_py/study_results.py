"""What a study found: one `StudyRun` a scheme and seed, and the `Study` of them all, with their files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from admin_py.analysis.gradients import GradientNorms
from admin_py.history import History
from admin_py.outcomes import last_train_nll, last_valid_nll, outcome_of
from admin_py.profiling import VarianceProfile
from admin_py.results import decode, dump_json, encode, freeze, read_json, same, write_aside

if TYPE_CHECKING:
    import pandas as pd

STUDY_FILE, RUNS_FOLDER, RUN_FILE = "study.json", "runs", "run.json"


class Sample(NamedTuple):
    """One greedy decoding of a validation example: three lines of text."""

    source: str
    expected: str
    output: str


@dataclass(frozen=True, eq=False, repr=False)
class StudyRun:
    """One scheme trained from one seed.

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
    """

    scheme: str
    seed: int
    history: History
    profile: VarianceProfile
    gradients: GradientNorms
    samples: tuple[Sample, ...]
    num_parameters: int
    metadata: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """Name of its folder, of letters that every file system takes."""
        return run_folder(self.scheme, self.seed)

    @property
    def valid_nll(self) -> float:
        """Last validation loss, nats per token; nan where there is none."""
        return last_valid_nll(self.history)

    @property
    def train_nll(self) -> float:
        """Mean loss of the last twentieth of the training batches, without smoothing, dropout on."""
        return last_train_nll(self.history)

    @property
    def seconds(self) -> float:
        """Spent in training steps."""
        return float(np.sum(self.history.seconds))

    @property
    def tokens_per_second(self) -> float:
        """Predicted tokens a second of training."""
        return self.history.tokens_per_second

    def outcome(self, entropy: float | None) -> str:
        """In words: diverged, trains, does not train within this budget; or finished, or was stopped.

        Parameters
        ----------
        entropy : float or None
            Unigram entropy of the data, nats per token.
        """
        return outcome_of(self.history, entropy)

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
        fields = {
            "scheme": self.scheme,
            "seed": self.seed,
            "num_parameters": self.num_parameters,
            "samples": [sample._asdict() for sample in self.samples],
            "metadata": self.metadata,
        }
        write_aside(base / RUN_FILE, dump_json({"kind": "study run", **encode(fields)}))

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
        base = Path(folder)
        fields = _read(
            base / RUN_FILE, "study run", ("scheme", "seed", "num_parameters", "samples", "metadata")
        )
        return cls(
            scheme=fields["scheme"],
            seed=fields["seed"],
            history=History.load(base / "history.json"),
            profile=VarianceProfile.load(base / "profile.json"),
            gradients=GradientNorms.load(base / "gradients.json"),
            samples=tuple(Sample(**sample) for sample in fields["samples"]),
            num_parameters=fields["num_parameters"],
            metadata=freeze(fields["metadata"]),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StudyRun):
            return NotImplemented
        names = ("scheme", "seed", "history", "profile", "gradients", "samples", "num_parameters", "metadata")
        return all(same(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"StudyRun({self.scheme!r}, seed {self.seed}, validation {self.valid_nll:.3g} nats)"


class SchemeSummary(NamedTuple):
    """The runs of one scheme: numbers over its seeds.

    Attributes
    ----------
    scheme : str
    seeds : tuple of int
    train_nll, valid_nll : ndarray
        [number of seeds], nats per token; a diverged run has nan.
    outcomes : tuple of str
        One a seed.
    diverged_at : tuple
        One a seed: step or None.
    seconds, tokens_per_second : float
        Means over seeds.
    num_parameters : int
    """

    scheme: str
    seeds: tuple[int, ...]
    train_nll: np.ndarray
    valid_nll: np.ndarray
    outcomes: tuple[str, ...]
    diverged_at: tuple[int | None, ...]
    seconds: float
    tokens_per_second: float
    num_parameters: int


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """Schemes compared on one task: all runs, and what they were run on.

    Attributes
    ----------
    settings : mapping
        Sizes, optimiser, schedule, steps.
    data : mapping
        ``name``, ``kind``, ``vocab_size``, ``unigram_entropy`` (nats per token or None), ``description``.
    runs : tuple of StudyRun
        In the order of schemes, then seeds.
    metadata : mapping
        Versions, threads, dtype.
    interrupted : bool
        Whether it was stopped before all its runs were whole.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> result = ap.study(data, schemes=("pre_ln",), layers=1, d_model=8, d_ff=16, heads=2, steps=1,
    ...                   progress=False)
    >>> result.run("pre_ln").history.loss.shape
    (1,)
    """

    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    runs: tuple[StudyRun, ...]
    metadata: Mapping[str, Any]
    interrupted: bool = field(default=False)

    def __post_init__(self) -> None:
        for name in ("settings", "data", "metadata"):
            object.__setattr__(self, name, freeze(getattr(self, name)))
        object.__setattr__(self, "runs", tuple(self.runs))

    @property
    def schemes(self) -> tuple[str, ...]:
        """Names, in the order of the runs."""
        return tuple(dict.fromkeys(run.scheme for run in self.runs))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of all runs, in order."""
        return tuple(dict.fromkeys(run.seed for run in self.runs))

    @property
    def entropy(self) -> float | None:
        """Unigram entropy of the data, nats per token."""
        return self.data.get("unigram_entropy")

    def run(self, scheme: str, seed: int | None = None) -> StudyRun:
        """The run of a scheme and seed; of its first seed where none is named.

        Raises
        ------
        ValueError
            If there is none.
        """
        for run in self.runs:
            if run.scheme == scheme and seed in (None, run.seed):
                return run
        have = ", ".join(f"{run.scheme} seed {run.seed}" for run in self.runs) or "none"
        raise ValueError(f"scheme, seed: no run of {scheme!r} with seed {seed}; the study has {have}")

    def of_scheme(self, scheme: str) -> tuple[StudyRun, ...]:
        """All runs of a scheme, by seed."""
        return tuple(run for run in self.runs if run.scheme == scheme)

    def summary(self) -> tuple[SchemeSummary, ...]:
        """One `SchemeSummary` a scheme."""
        return tuple(_summarise(self.of_scheme(scheme), self.entropy) for scheme in self.schemes)

    def to_dataframe(self) -> pd.DataFrame:
        """A row a run: its losses, outcome, time and speed."""
        import pandas as pd

        rows = [
            {
                "scheme": run.scheme,
                "seed": run.seed,
                "train_nll": run.train_nll,
                "valid_nll": run.valid_nll,
                "outcome": run.outcome(self.entropy),
                "diverged_at": run.history.diverged_at,
                "seconds": run.seconds,
                "tokens_per_second": run.tokens_per_second,
                "num_parameters": run.num_parameters,
            }
            for run in self.runs
        ]
        return pd.DataFrame(rows)

    def plot(self, axes: Any = None) -> np.ndarray:
        """Training and validation loss side by side, see `admin_py.plots.plot_training`."""
        from admin_py.plots import plot_training

        return plot_training([(run.scheme, run.history) for run in self.runs], axes, entropy=self.entropy)

    def report(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``report.html`` into a folder, one file that needs no network; returns its path."""
        from admin_py.report import write_report

        return write_report(self, folder)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the study's files: ``study.json``, and a folder a run under ``runs``.

        Raises
        ------
        OSError
            If a file cannot be written.
        """
        save_header(folder, self.settings, self.data, self.metadata)
        for run in self.runs:
            run.save(Path(folder) / RUNS_FOLDER / run.folder)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Study:
        """Read a study's folder; a study that was stopped gives the runs that were whole.

        Raises
        ------
        OSError
            If there is no study in the folder.
        ValueError
            If a file is not what it should be.
        """
        header = load_header(folder)
        order = {name: rank for rank, name in enumerate(header["settings"]["schemes"])}
        found = sorted((Path(folder) / RUNS_FOLDER).glob(f"*/{RUN_FILE}"))
        runs = [StudyRun.load(path.parent) for path in found]
        runs.sort(key=lambda run: (order.get(run.scheme, len(order)), run.scheme, run.seed))
        wanted = {(scheme, seed) for scheme in order for seed in header["settings"]["seeds"]}
        missing = wanted - {(run.scheme, run.seed) for run in runs}
        return cls(header["settings"], header["data"], tuple(runs), header["metadata"], bool(missing))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Study):
            return NotImplemented
        return (
            all(same(getattr(self, name), getattr(other, name)) for name in ("settings", "data", "metadata"))
            and self.interrupted == other.interrupted
            and self.runs == other.runs
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        ends = {one.scheme: one.valid_nll[np.isfinite(one.valid_nll)] for one in self.summary()}
        found = ", ".join(f"{name} {x.mean():.3g}" if len(x) else f"{name} none" for name, x in ends.items())
        return f"Study({self.data.get('name')}, {len(self.runs)} runs, validation nats per token: {found})"

    def _repr_html_(self) -> str:
        """Table of the runs, for notebooks."""
        table = self.to_dataframe().to_html(index=False, border=0, float_format="{:.4g}".format)
        return f"<p><strong>Study</strong> {escape(str(self.data.get('name')))}</p>{table}"


def run_folder(scheme: str, seed: int) -> str:
    """Name of a run's folder; a hybrid's slash becomes ``~``, which no scheme's name has.

    Examples
    --------
    >>> run_folder("post_ln/pre_ln", 2)
    'post_ln~pre_ln-seed2'
    """
    return f"{scheme.replace('/', '~')}-seed{seed}"


def save_header(
    folder: str | os.PathLike[str],
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> None:
    """Write what a study is, before its runs."""
    fields = {"settings": settings, "data": data, "metadata": metadata}
    write_aside(Path(folder) / STUDY_FILE, dump_json({"kind": "study", **encode(fields)}))


def load_header(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read ``study.json``: settings, data, metadata.

    Raises
    ------
    OSError
        If there is none.
    ValueError
        If it is not that of a study.
    """
    return _read(Path(folder) / STUDY_FILE, "study", ("settings", "data", "metadata"))


def _read(path: Path, kind: str, names: tuple[str, ...]) -> dict[str, Any]:
    def parse(data: Any) -> dict[str, Any]:
        if not isinstance(data, dict) or data.get("kind") != kind:
            raise ValueError(f"expected a {kind}")
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"no {missing[0]}")
        return {name: decode(data[name]) for name in names}

    return read_json(path, parse)


def _summarise(runs: tuple[StudyRun, ...], entropy: float | None) -> SchemeSummary:
    return SchemeSummary(
        scheme=runs[0].scheme,
        seeds=tuple(run.seed for run in runs),
        train_nll=np.array([run.train_nll for run in runs]),
        valid_nll=np.array([run.valid_nll for run in runs]),
        outcomes=tuple(run.outcome(entropy) for run in runs),
        diverged_at=tuple(run.history.diverged_at for run in runs),
        seconds=float(np.mean([run.seconds for run in runs])),
        tokens_per_second=float(np.mean([run.tokens_per_second for run in runs])),
        num_parameters=runs[0].num_parameters,
    )
