"""What a study found: one `StudyRun` a scheme and seed, and the `Study` of them all, with their files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from admin_py.results import Result, dump_json, encode, figure
from admin_py.experiments.study.run import RUN_FILE, Sample, StudyRun, read_kind, run_folder
from admin_py.base.whole_files import write_whole
from admin_py.model.config import STACKS

if TYPE_CHECKING:
    import pandas as pd

STUDY_FILE, RUNS_FOLDER = "study.json", "runs"

__all__ = [
    "RUNS_FOLDER",
    "RUN_FILE",
    "STUDY_FILE",
    "Sample",
    "SchemeSummary",
    "Study",
    "StudyRun",
    "load_header",
    "run_folder",
    "save_header",
]


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
class Study(Result):
    """Schemes compared on one task: all runs, and what they were run on.

    Its `save` and `load` take a folder.

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

    kind: ClassVar[str] = "study"

    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    runs: tuple[StudyRun, ...]
    metadata: Mapping[str, Any]
    interrupted: bool = field(default=False)

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks of its models, which have the same sizes."""
        return tuple(stack for stack in STACKS if self.settings[f"{stack}_layers"])

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

        return pd.DataFrame([run.row(self.entropy) for run in self.runs])

    def plot(self, axes: Any = None) -> np.ndarray:
        """Training and validation loss side by side, see `admin_py.plots.plot_training`."""
        return figure("plot_training")([(run.scheme, run.history) for run in self.runs], axes, entropy=self.entropy)

    def report(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``report.html`` into a folder, one file that needs no network; returns its path."""
        from admin_py.report.page import write_report

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

    def _summary(self) -> str:
        ends = {one.scheme: one.valid_nll[np.isfinite(one.valid_nll)] for one in self.summary()}
        found = ", ".join(f"{name} {x.mean():.3g}" if len(x) else f"{name} none" for name, x in ends.items())
        return f"{self.data.get('name')}, {len(self.runs)} runs, validation nats per token: {found}"

    def _repr_html_(self) -> str:
        """Table of the runs, for notebooks."""
        table = self.to_dataframe().to_html(index=False, border=0, float_format="{:.4g}".format)
        return f"<p><strong>Study</strong> {escape(str(self.data.get('name')))}</p>{table}"


def save_header(
    folder: str | os.PathLike[str],
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> None:
    """Write what a study is, before its runs."""
    fields = {"settings": settings, "data": data, "metadata": metadata}
    write_whole(Path(folder) / STUDY_FILE, dump_json({"kind": Study.kind, **encode(fields)}))


def load_header(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read ``study.json``: settings, data, metadata.

    Raises
    ------
    OSError
        If there is none.
    ValueError
        If it is not that of a study.
    """
    return read_kind(Path(folder) / STUDY_FILE, Study.kind, ("settings", "data", "metadata"))


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
