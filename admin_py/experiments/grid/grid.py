"""Grids of trainings: any cross of scheme, depth, learning rate, beta2, warm-up, optimiser and seed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin_py.base import defaults
from admin_py.base.checks import check_bool, check_integer
from admin_py.base.threads import MAX_THREADS
from admin_py.base.threads import threads as threads_of_core
from admin_py.base.whole_files import clear_aside
from admin_py.experiments.grid import presets as grid_presets
from admin_py.experiments.grid.axes import AXES, Job, plan_jobs
from admin_py.experiments.grid.cell import GridCell
from admin_py.experiments.grid.progress import Progress
from admin_py.experiments.grid.results import (
    GRID_FILE,
    Grid,
    axes_of,
    cell_file,
    in_order,
    load_header,
    save_header,
)
from admin_py.experiments.grid.workers import check_sendable, pool, run_here, run_in
from admin_py.experiments.settings import check_training, describe
from admin_py.model.config import SchemeLike
from admin_py.results import decode, encode, run_metadata, same
from admin_py.training.optimizers import Optimizer

if TYPE_CHECKING:
    from admin_py.data import Dataset

OneScheme = SchemeLike | tuple[SchemeLike, SchemeLike]

DEFAULTS: Mapping[str, Any] = {
    "scheme": ("post_ln", "pre_ln", "admin"),
    "layers": 18,
    "lr": 1e-3,
    "beta2": None,
    "warmup": 100,
    "optimizer": "adam",
    "seed": 1,
    "d_model": 64,
    "d_ff": 128,
    "heads": 4,
    "steps": 300,
    "max_tokens": defaults.MAX_TOKENS,
    "dropout": 0.1,
    "label_smoothing": defaults.LABEL_SMOOTHING,
    "clip_norm": None,
    "schedule": "inverse_sqrt",
    "valid_every": None,
    "dtype": "float32",
}
"""What is neither given nor named by a preset; as in a study."""

SIZES = ("d_model", "d_ff", "heads", "schedule")
"""Settings that are checked with the configurations; the others with the training."""

MAX_WORKERS = 1024


def grid(
    data: Dataset | None = None,
    *,
    preset: str | None = None,
    scheme: OneScheme | Sequence[OneScheme] | None = None,
    layers: int | Sequence[int | tuple[int, int]] | None = None,
    lr: float | Sequence[float] | None = None,
    beta2: float | Sequence[float] | None = None,
    warmup: int | Sequence[int] | None = None,
    optimizer: str | Callable[..., Optimizer] | Sequence[str | Callable[..., Optimizer]] | None = None,
    seed: int | Sequence[int] | None = None,
    d_model: int | None = None,
    d_ff: int | None = None,
    heads: int | None = None,
    steps: int | None = None,
    max_tokens: int | None = None,
    dropout: float | None = None,
    label_smoothing: float | None = None,
    clip_norm: float | None = None,
    schedule: str | None = None,
    valid_every: int | None = None,
    dtype: str | None = None,
    executor: Any = None,
    workers: int | None = None,
    threads: int | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Grid:
    """Train every cell of a cross, each from its beginning, and keep what happens.

    An axis takes one value or a sequence of values. What is not given comes from the preset, or is as in a
    study. A cell is the same bit for bit wherever it is trained and on however many threads.

    Parameters
    ----------
    data : Dataset, optional
        Sentence pairs, or one text for language models; by default `admin_py.data.number_words`.
    preset : {"lr_beta2", "optimisers", "hybrids", "depth"}, optional
        One of the paper's questions at a small size, see `admin_py.experiments.grid.presets`; arguments that
        are given
        take the place of the preset's.
    scheme : str, Scheme, pair, or sequence of these
        Axis. A hybrid is ``"encoder's/decoder's"`` or, inside a sequence, a pair. Default: Post-LN, Pre-LN,
        Admin.
    layers : int, or sequence of int and pairs of int
        Axis. ``(6, 12)`` are two depths, ``[(18, 6)]`` is one model of 18 encoder and 6 decoder layers.
        Default: 18.
    lr : float or sequence
        Axis: largest learning rate. Default: 0.001.
    beta2 : float or sequence, optional
        Axis: decay of the second moment. Default: the optimisers' own, .98 of those that are named. One that
        has none (SGD) is trained once for all values.
    warmup : int or sequence
        Axis: steps of linear warm-up. Default: 100.
    optimizer : str, callable, or sequence of these
        Axis: ``"adam"``, ``"sgd"`` (momentum .9), ``"radam"``, ``"adamw"``, ``"novograd"``, or what takes
        ``lr=`` and returns a fresh optimiser. Default: Adam (.9, .98), eps 1e-9.
    seed : int or sequence
        Axis: of weights, dropout and the order of batches. Default: 1.
    d_model, d_ff, heads : int
        D, F and H. Default: 64, 128, 4.
    steps : int
        Of each training. Default: 300.
    max_tokens : int
        Of a batch, on either side. Default: 512.
    dropout, label_smoothing : float
        Default: 0.1.
    clip_norm : float, optional
        Gradients of a larger norm are scaled down to it.
    schedule : {"inverse_sqrt", "constant", "linear", "cosine"}
        What follows the warm-up; the last two end at 0 with the last step. Default: inverse square root.
    valid_every : int, optional
        Steps between validations; by default about a twelfth of the steps.
    dtype : {"float32", "float64"}
        Default: float32.
    executor : object, optional
        Whatever has ``submit(function, *arguments)`` and returns futures, such as a
        ``concurrent.futures.ProcessPoolExecutor`` (in the context "spawn": processes that are forked after
        threads were used may hang) or the ``get_executor()`` of a Dask client. By default cells are trained
        here, one after another.
    workers : int, optional
        Instead of `executor`: train in so many processes, made for this call. A script must then do its work
        under ``if __name__ == "__main__":``.
    threads : int, optional
        Of each worker, default 1; where there is none, of this process while the grid runs.
    out : path, optional
        Folder in which every cell is kept when it is whole. The same call again, after Ctrl-C or a kill,
        trains only what is missing, and axes may grow.
    progress : bool
        A bar on a terminal and in notebooks, elsewhere a line a cell.

    Returns
    -------
    Grid
        All cells; those of earlier calls in `out` too. After Ctrl-C the cells that were whole, and
        ``interrupted`` is set.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was given and what was expected, before anything is trained; also where
        `out` holds a grid with other settings or data, or an optimiser cannot be sent to another process.
    OSError
        If `out` cannot be written.
    RuntimeError
        If a worker has died or a cell has failed; cells that were whole are kept in `out`.

    Notes
    -----
    After Ctrl-C the workers of `workers` end after their current step; cells that are running in an executor
    of one's own run to their end there, and those that wait are cancelled.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> found = ap.grid(data, scheme=("post_ln", "post_ln/pre_ln"), layers=1, lr=(1e-3, 1e-2), d_model=8,
    ...                 d_ff=16, heads=2, steps=2, progress=False)
    >>> found
    Grid(copy_task, 4 cells (2 scheme x 2 lr), 4 does not train within this budget)
    >>> found.to_dataframe()[["scheme", "lr", "outcome"]].shape
    (4, 3)
    """
    given = {name: value for name, value in locals().items() if name in DEFAULTS and value is not None}
    progress = check_bool("progress", progress)
    chosen = grid_presets.get(preset).options if preset is not None else {}
    options = {**DEFAULTS, **chosen, **given}
    if workers is not None:
        workers = check_integer("workers", workers, 1, MAX_WORKERS)
        if executor is not None:
            raise ValueError("give executor or workers, not both")
    if threads is not None:
        threads = check_integer("threads", threads, 1, MAX_THREADS)
    if data is None:
        from admin_py.data import number_words

        data = number_words()
    training = check_training(data, options)
    sizes = {name: options[name] for name in SIZES}
    jobs = plan_jobs(
        data,
        {axis: options[axis] for axis in AXES},
        {**sizes, "dropout": training["dropout"]},
        training,
    )
    run = _Run(data, jobs, {**sizes, **training}, None if out is None else Path(out), progress)
    return run.run(executor, workers, threads)


class _Run:
    """One call of `grid`: the cells that are there, those to be trained, and where they are kept."""

    def __init__(
        self, data: Dataset, jobs: list[Job], settings: dict[str, Any], folder: Path | None, progress: bool
    ) -> None:
        self.data, self.jobs, self.folder, self.progress = data, jobs, folder, progress
        self.grid = Grid(
            settings=settings,
            axes=axes_of(job.values for job in jobs),
            asked=tuple(job.name for job in jobs),
            data=describe(data),
            cells=(),
            metadata=run_metadata(dtype=settings["dtype"]),
        )
        self.cells: dict[str, GridCell] = {}
        self._shown: Progress | None = None

    def run(self, executor: Any, workers: int | None, threads: int | None) -> Grid:
        """Train what is missing."""
        if executor is not None:
            check_sendable(executor, self.jobs)
        old = None if self.folder is None else self._open(self.folder)
        missing = [job for job in self.jobs if job.name not in self.cells]
        if workers is not None and missing:
            with pool(min(workers, len(missing))) as processes:
                check_sendable(processes, missing)
                self._begin(old)
                self._train(processes, missing, threads)
        else:
            self._begin(old)
            self._train(executor, missing, threads)
        if self.folder is not None:
            return Grid.load(self.folder)
        return replace(self.grid, cells=in_order(self.cells.values(), self.grid.axes))

    def _train(self, executor: Any, jobs: list[Job], threads: int | None) -> None:
        self._shown = Progress(len(self.jobs), len(self.jobs) - len(jobs), enabled=self.progress)
        try:
            with nullcontext() if threads is None else threads_of_core(threads):
                if executor is None:
                    stopped = run_here(jobs, self.data, self._done)
                else:
                    stopped = run_in(executor, jobs, self.data, threads, self._done)
        finally:
            self._shown.close()
        if stopped and self.progress:
            print(f"stopped: {len(self.cells)} of {len(self.jobs)} cells are whole", file=sys.stderr)

    def _done(self, job: Job, cell: GridCell) -> None:
        """Keep a cell that is whole."""
        if self.folder is not None:
            cell.save(cell_file(self.folder, job.name))
        self.cells[job.name] = cell
        if self._shown is not None:
            self._shown.done(f"{job.title}: {cell.last_words()}")

    # The folder

    def _open(self, folder: Path) -> Grid | None:
        """Check that the folder is of this grid, and read the cells that were asked for and are there."""
        if not (folder / GRID_FILE).exists():
            return None
        old, grid = load_header(folder), self.grid
        if old.data.get("fingerprint") != grid.data["fingerprint"]:
            raise ValueError(
                f"out: {str(folder)!r} holds a grid of other data, {old.data.get('name')!r}, not "
                f"{grid.data['name']!r}"
            )
        for name, value in grid.settings.items():
            if not same(old.settings.get(name), decode(encode(value))):
                was = old.settings.get(name)
                raise ValueError(f"out: {str(folder)!r} holds a grid with {name} {was!r}, not {value!r}")
        for job in self.jobs:
            path = cell_file(folder, job.name)
            if path.exists():
                cell = GridCell.load(path)
                _check_same(folder, job, cell)
                self.cells[job.name] = cell
            else:
                clear_aside(path)
        return old

    def _begin(self, old: Grid | None) -> None:
        """Say in the folder what was asked for, before the first cell."""
        if self.folder is None:
            return
        if old is not None:
            axes = {axis: tuple(dict.fromkeys((*old.axes[axis], *self.grid.axes[axis]))) for axis in AXES}
            self.grid = replace(self.grid, axes=axes)
        save_header(self.folder, self.grid)


def _check_same(folder: Path, job: Job, cell: GridCell) -> None:
    """That a cell of an earlier call was trained as this job says."""
    for what, mine in job.setup.items():
        if not same(cell.setup.get(what), mine):
            named = f"the {'scheme' if what == 'config' else what} of {job.title!r}"
            raise ValueError(
                f"out: {str(folder)!r} holds a cell of the same name in which {named} was another one"
            )
