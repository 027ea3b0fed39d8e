"""What a study found: one `StudyRun` a scheme and seed, and the `Study` of them all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from admin_py.base.checks import shown
from admin_py.experiments.cross import Cross, check_members
from admin_py.experiments.folder import load, save
from admin_py.experiments.settings import show
from admin_py.experiments.study.bleu import SchemeBleu, compare_schemes
from admin_py.experiments.study.files import StudyFiles
from admin_py.experiments.study.run import Sample, StudyRun
from admin_py.results import figure
from admin_py.scores.comparison import RESAMPLES, SEED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Sample", "SchemeBleu", "SchemeSummary", "Study", "StudyRun"]


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
class Study(Cross):
    """Schemes compared on one task: all runs, and what they were run on. Frozen.

    Its `save` and `load` take a folder.

    Attributes
    ----------
    settings : mapping
        What all runs have in common: steps, schedule, label smoothing, samples, dtype.
    axes : mapping
        Axis -> its values, in order: ``scheme``, ``seed``, ``layers``, ``d_model``, ``lr``, ...
    asked : tuple of str
        Names of the runs that the last call asked for.
    data : mapping
        ``name``, ``kind``, ``vocab_size``, ``unigram_entropy`` (nats per token or None), ``description``.
    metadata : mapping
        Kernels, threads, versions, dtype.
    runs : tuple of StudyRun
        In the order of schemes, then the other axes, then seeds.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> result = ap.study(data, schemes="pre_ln", layers=1, d_model=8, d_ff=16, heads=2, steps=1,
    ...                   progress=False)
    >>> result.run("pre_ln").history.loss.shape
    (1,)
    """

    kind: ClassVar[str] = "study"

    runs: tuple[StudyRun, ...] = ()

    @property
    def members(self) -> tuple[StudyRun, ...]:
        """The runs."""
        return self.runs

    def with_members(self, members: Iterable[Any], **changes: Any) -> Study:
        """The same with other runs."""
        return replace(self, runs=tuple(check_members(members, StudyRun)), **changes)

    @property
    def schemes(self) -> tuple[str, ...]:
        """Names, in the order of the runs."""
        return tuple(dict.fromkeys(run.scheme for run in self.runs))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of all runs, in order."""
        return tuple(dict.fromkeys(run.seed for run in self.runs))

    def run(self, scheme: str, seed: int | None = None, **values: Any) -> StudyRun:
        """The run of a scheme and seed; of its first seed where none is named.

        Parameters
        ----------
        scheme : str
        seed : int, optional
        **values
            Of other axes, where several vary: ``layers=6``.

        Raises
        ------
        ValueError
            If there is none, or an axis varies of which no value is named.
        """
        found = [run for run in self.runs if run.scheme == scheme and seed in (None, run.seed)]
        if not found:
            have = ", ".join(f"{run.scheme} seed {run.seed}" for run in self.runs) or "none"
            raise ValueError(
                f"scheme, seed: no run of {shown(scheme)} with seed {shown(seed)}; the study has {have}"
            )
        some = self.with_members(found)
        some = some.select(**values) if values else some
        some.need_one("seed")
        return some.runs[0]

    def of_scheme(self, scheme: str) -> tuple[StudyRun, ...]:
        """All runs of a scheme, by seed."""
        return tuple(run for run in self.runs if run.scheme == scheme)

    def places(self) -> tuple[tuple[str, Study], ...]:
        """The study by what else varies beside schemes and seeds: words, and the study of those runs.

        One place, without words, where nothing does.
        """
        others = [axis for axis in self.several if axis not in ("scheme", "seed")]
        kept: dict[str, list[StudyRun]] = {}
        for run in self.runs:
            words = ", ".join(f"{axis} {show(run.values[axis])}" for axis in others)
            kept.setdefault(words, []).append(run)
        return tuple((words, self._part(runs)) for words, runs in kept.items())

    def _part(self, runs: Iterable[StudyRun]) -> Study:
        """These runs alone."""
        runs = list(runs)
        names = {run.name for run in runs}
        axes = {axis: tuple(v for v in own if any(run.values.get(axis) == v for run in runs))
                for axis, own in self.axes.items()}  # fmt: skip
        asked = tuple(name for name in self.asked if name in names)
        return self.with_members(runs, axes=axes, asked=asked)

    def summary(self) -> tuple[SchemeSummary, ...]:
        """One `SchemeSummary` a scheme.

        Raises
        ------
        ValueError
            If more than schemes and seeds vary.
        """
        self.need_one("scheme", "seed")
        return tuple(_summarise(self.of_scheme(scheme)) for scheme in self.schemes)

    def bleu(self, *, resamples: int = RESAMPLES, seed: int = SEED) -> SchemeBleu:
        """Compare the translations of the schemes by paired bootstrap: of each seed, and of all together.

        Parameters
        ----------
        resamples : int
            How often as many sentences are drawn as there are, from 1 to 100,000.
        seed : int
            Of the draws, which all runs have in common.

        Raises
        ------
        ValueError
            If fewer than two schemes have translations, or more than schemes and seeds vary.
        """
        self.need_one("scheme", "seed")
        return compare_schemes(self.runs, resamples, seed)

    def to_dataframe(self) -> pd.DataFrame:
        """A row a run: what varies, its losses, outcome, time and speed, and BLEU where it has translated."""
        import pandas as pd

        others = [axis for axis in self.several if axis not in ("scheme", "seed")]
        rows = []
        for run in self.runs:
            row = run.row()
            own = {axis: run.values[axis] for axis in others}
            own = {axis: show(value) if isinstance(value, tuple) else value for axis, value in own.items()}
            rows.append({"scheme": row.pop("scheme"), **own, **row})
        return pd.DataFrame(rows)

    def plot(self, axes: Any = None) -> np.ndarray:
        """Training and validation loss side by side, see `admin_py.plots.plot_training`.

        Raises
        ------
        ValueError
            If more than schemes and seeds vary.
        """
        self.need_one("scheme", "seed")
        curves = [(run.scheme, run.history) for run in self.runs]
        return figure("plot_training")(curves, axes, entropy=self.entropy)

    def report(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``report.html`` into a folder, one file that needs no network; returns its path.

        The one door upwards beside `admin_py.results.figure`: a study lies below the report that tells of it.
        """
        from admin_py.report.page import write_report

        return write_report(self, folder)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the study's files: ``study.json``, and a folder a run under ``runs``.

        Raises
        ------
        OSError
            If a file cannot be written.
        RuntimeError
            If another process writes into the folder.
        ValueError
            If the folder has runs of another study.
        """
        save(FILES, folder, self, name="folder")

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
        return load(FILES, folder)

    def _summary(self) -> str:
        ends = {}
        for scheme in self.schemes:
            values = np.array([run.valid_nll for run in self.of_scheme(scheme)])
            ends[scheme] = values[np.isfinite(values)]
        found = ", ".join(f"{name} {x.mean():.3g}" if len(x) else f"{name} none" for name, x in ends.items())
        missing = len(set(self.asked) - {run.name for run in self.runs})
        tail = f", {missing} not run yet" if missing else ""
        return f"{self.data.get('name')}, {len(self.runs)} runs, validation nats per token: {found}{tail}"


def _summarise(runs: tuple[StudyRun, ...]) -> SchemeSummary:
    return SchemeSummary(
        scheme=runs[0].scheme,
        seeds=tuple(run.seed for run in runs),
        train_nll=np.array([run.train_nll for run in runs]),
        valid_nll=np.array([run.valid_nll for run in runs]),
        outcomes=tuple(run.outcome for run in runs),
        diverged_at=tuple(run.history.diverged_at for run in runs),
        seconds=float(np.mean([run.seconds for run in runs])),
        tokens_per_second=float(np.mean([run.tokens_per_second for run in runs])),
        num_parameters=runs[0].num_parameters,
    )


FILES = StudyFiles(Study.from_dict, StudyRun.load)
"""How studies lie in folders."""
