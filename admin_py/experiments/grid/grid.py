"""Grids of trainings: any cross of settings, a training a cell."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from admin_py.base.arguments import door
from admin_py.data import number_words
from admin_py.experiments.folder import Engine, Places
from admin_py.experiments.grid import presets as grid_presets
from admin_py.experiments.grid.results import FILES, Grid
from admin_py.experiments.grid.train_cell import TrainCell
from admin_py.experiments.settings import Layers, OneOptimizer, OneScheme, filled, named
from admin_py.experiments.translating import Translating
from admin_py.training.plan import Callback

if TYPE_CHECKING:
    from admin_py.data import Dataset


@door
def grid(
    data: Dataset | None = None,
    *,
    preset: str | None = None,
    schemes: OneScheme | list[OneScheme] | None = None,
    layers: Layers | list[Layers] | None = None,
    d_model: int | list[int] | None = None,
    d_ff: int | list[int] | None = None,
    heads: int | list[int] | None = None,
    dropout: float | list[float] | None = None,
    activation: str | list[str] | None = None,
    init_gain: float | list[float] | None = None,
    max_tokens: int | list[int] | None = None,
    lr: float | list[float] | None = None,
    beta2: float | list[float] | None = None,
    warmup: int | list[int] | None = None,
    optimizer: OneOptimizer | list[OneOptimizer] | None = None,
    seeds: int | list[int] | None = None,
    steps: int | None = None,
    schedule: str | None = None,
    label_smoothing: float | None = None,
    clip_norm: float | None = None,
    valid_every: int | None = None,
    dtype: str | None = None,
    scheme: OneScheme | list[OneScheme] | None = None,
    seed: int | list[int] | None = None,
    bleu: bool | Mapping[str, Any] = False,
    executor: Any = None,
    workers: int | None = None,
    threads: int | None = None,
    callbacks: Iterable[Callback] = (),
    keep_models: bool = False,
    out: str | os.PathLike[str] | None = None,
    shard: str | tuple[int, int] | None = None,
    progress: bool = True,
) -> Grid:
    """Train every cell of a cross, each from its beginning, and keep what happens.

    A list is an axis, everything else is one value: ``layers=(6, 12)`` is one model of 6 + 12 layers,
    ``layers=[6, 12, (6, 12)]`` are three. What is not given comes from the preset, or is as in a study. A
    cell is the same bit for bit wherever it is trained and on however many threads.

    Parameters
    ----------
    data : Dataset, optional
        Sentence pairs, or one text for language models; by default `admin_py.data.number_words`.
    preset : {"lr_beta2", "optimisers", "hybrids", "depth"}, optional
        One of the paper's questions at a small size, see `admin_py.experiments.grid.presets`; arguments that
        are given take the place of the preset's.
    schemes : str, Scheme, pair, or list of these
        Axis. A hybrid is ``"encoder's/decoder's"`` or a pair. Default: Post-LN, Pre-LN, Admin.
    layers : int, pair of int, or list of these
        Axis: of both stacks, or of encoder and decoder. Default: 18.
    d_model, d_ff, heads : int or list
        Axes: D, F and H. Default: 64, 128, 4.
    dropout : float or list
        Axis. Default: 0.1.
    activation : {"relu", "gelu", "silu", "gelu_tanh", "quick_gelu", "relu_squared"} or list
        Axis. Default: relu.
    init_gain : float or list
        Axis: factor on the standard deviation of the initial weights. Default: 1.
    max_tokens : int or list
        Axis: of a batch, on either side. Default: 512.
    lr : float or list
        Axis: largest learning rate. Default: 0.001, or that of an optimiser that is given as an object.
    beta2 : float or list, optional
        Axis: decay of the second moment. Default: the optimisers' own, .98 of those that are named. One that
        has none (SGD) is trained once for all values.
    warmup : int or list
        Axis: steps of linear warm-up. Default: 100.
    optimizer : str, Optimizer, callable, or list of these
        Axis: ``"adam"``, ``"sgd"`` (momentum .9), ``"radam"``, ``"adamw"``, ``"novograd"``; an optimiser,
        whose options are taken; or what takes ``lr=`` and returns a fresh one. Default: Adam (.9, .98), eps
        1e-9.
    seeds : int or list
        Axis: of weights, dropout and the order of batches. Default: 1.
    steps : int
        Of each training. Default: 300.
    schedule : {"inverse_sqrt", "constant", "linear", "cosine"}
        What follows the warm-up; the last two end at 0 with the last step. Default: inverse square root.
    label_smoothing : float
        Default: 0.1.
    clip_norm : float, optional
        Gradients of a larger norm are scaled down to it.
    valid_every : int, optional
        Steps between validations; by default about a twelfth of the steps.
    dtype : {"float32", "float64"}
        Default: float32.
    scheme, seed : optional
        `schemes` and `seeds` by the names that a run, a cell and `select` have for them.
    bleu : bool or mapping, default False
        After training, translate the held-out sentences (the split "test", or "valid" where there is none) by
        beam search and score them: ``cell.bleu`` and ``cell.translations``, and columns of the table. A
        mapping gives options: those of `admin_py.generation.beam_search` from ``beam`` to
        ``stop``, ``split``, and ``convention``, see `admin_py.scores`; by default text that was
        cut by words before is scored as "published", any other as "detokenised". In `out` what was trained
        without it is translated, not trained again, where its model was kept.
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
    callbacks : iterable of callable
        As of `admin_py.train`: each is called as ``callback(step, model, history)`` after every step of every
        training, where it is trained; the model says which (``model.config``, ``model.seed``).
    keep_models : bool, default False
        Keep the trained models: ``cell.model``, and in `out` a file beside each cell.
    out : path, optional
        Folder in which every cell is kept when it is whole, and a training that is under way by a checkpoint.
        The same call again, after Ctrl-C or a kill, goes on where it was, and axes may grow. One process at a
        time writes it, but for `shard`.
    shard : str or pair of int, optional
        Train one part of the cells, ``"3/16"`` or ``(3, 16)`` the third of sixteen, into an `out` that all
        parts share, at the same time if they like: on machines that have nothing in common but a folder. A
        file comes into it whole, by its name; nothing else has to be agreed upon. What is returned has all
        cells that are whole by then.
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
    ModuleNotFoundError
        If `bleu` is asked for without sacreBLEU: ``pip install admin-py[translation]``.
    OSError
        If `out` cannot be written.
    RuntimeError
        If a worker has died or a cell has failed; cells that were whole are kept in `out`. Also if another
        process writes `out`.

    Notes
    -----
    After Ctrl-C the workers of `workers` end after their current step; cells that are running in an executor
    of one's own run to their end there, and those that wait are cancelled.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> found = ap.grid(data, schemes=["post_ln", "post_ln/pre_ln"], layers=1, lr=[1e-3, 1e-2], d_model=8,
    ...                 d_ff=16, heads=2, steps=2, progress=False)
    >>> found
    Grid(copy_task, 4 cells (2 scheme x 2 lr), 4 does not train within this budget)
    >>> found.to_dataframe()[["scheme", "lr", "outcome"]].shape
    (4, 3)
    """
    given = named(locals())
    chosen = grid_presets.get(preset).options if preset is not None else {}
    places = Places.checked(
        executor=executor,
        workers=workers,
        threads=threads,
        callbacks=callbacks,
        keep_models=keep_models,
        out=out,
        progress=progress,
        shard=shard,
    )
    data = number_words() if data is None else data
    translating = Translating.checked(bleu, data)
    return Engine(
        data,
        filled({**chosen, **given}),
        make=Grid,
        more={} if translating is None else {"bleu": translating.options},
        task=TrainCell(keep_model=places.keep_models, translating=translating),
        kept=FILES,
        places=places,
    ).run()
