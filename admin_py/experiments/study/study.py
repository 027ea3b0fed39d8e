"""The main job: schemes side by side on one task, profiled, trained, validated, and kept as files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from admin_py.base.arguments import door
from admin_py.base.checks import check_integer
from admin_py.data import number_words
from admin_py.experiments.folder import Engine, Places
from admin_py.experiments.settings import Layers, OneOptimizer, OneScheme, filled, named
from admin_py.experiments.study.results import FILES, Study
from admin_py.experiments.study.runner import TrainRun
from admin_py.experiments.translating import Translating
from admin_py.training.plan import Callback

if TYPE_CHECKING:
    from admin_py.data import Dataset

MAX_SAMPLES = 1000


@door
def study(
    data: Dataset | None = None,
    *,
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
    samples: int = 4,
    bleu: bool | Mapping[str, Any] = False,
    executor: Any = None,
    workers: int | None = None,
    threads: int | None = None,
    callbacks: Iterable[Callback] = (),
    keep_models: bool = True,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Study:
    """Train every scheme from every seed on the same data and keep what happens.

    For each: the model is built and profiled (which sets omega where the scheme asks for it); gradient norms,
    dependency and output change at initialisation are taken; it is trained, observed (norms of gradients,
    weights and updates by matrix, omega, variances) and validated; its dependency after training is taken;
    and it translates, or continues, a few held-out examples by greedy decoding.

    A list is an axis, everything else is one value: ``layers=(6, 12)`` is one model of 6 + 12 layers,
    ``layers=[6, 12, (6, 12)]`` are three. Settings have the names, types and defaults of `admin_py.grid`.

    Parameters
    ----------
    data : Dataset, optional
        Sentence pairs, or one text for language models; by default `admin_py.data.number_words`.
    schemes : str, Scheme, pair, or list of these
        A hybrid is ``"encoder's/decoder's"`` or a pair. Default: Post-LN, Pre-LN, Admin.
    layers : int, pair of int, or list of these
        Of both stacks, or of encoder and decoder; of the one stack of a language model. Default: 18.
    d_model, d_ff, heads : int or list
        D, F and H. Default: 64, 128, 4.
    dropout : float or list
        Default: 0.1.
    activation : {"relu", "gelu", "silu", "gelu_tanh", "quick_gelu", "relu_squared"} or list
        Default: relu.
    init_gain : float or list
        Factor on the standard deviation of the initial weights. Default: 1.
    max_tokens : int or list
        Of a batch, on either side. Default: 512.
    lr : float or list
        Largest learning rate. Default: 0.001, or that of an optimiser that is given as an object.
    beta2 : float or list, optional
        Decay of the second moment. Default: the optimisers' own, .98 of those that are named.
    warmup : int or list
        Steps of linear warm-up. Default: 100.
    optimizer : str, Optimizer, callable, or list of these
        ``"adam"``, ``"sgd"`` (momentum .9), ``"radam"``, ``"adamw"``, ``"novograd"``; an optimiser, whose
        options are taken; or what takes ``lr=`` and returns a fresh one. Default: Adam (.9, .98), eps 1e-9.
    seeds : int or list
        Of weights, dropout and the order of batches. Default: 1.
    steps : int
        Of training. Default: 300.
    schedule : {"inverse_sqrt", "constant", "linear", "cosine"}
        What follows the warm-up. Default: inverse square root.
    label_smoothing : float
        Default: 0.1.
    clip_norm : float, optional
        Gradients of a larger norm are scaled down to it.
    valid_every : int, optional
        Steps between validations; by default about a twelfth of the steps. The last step is validated always.
    dtype : {"float32", "float64"}
        Default: float32.
    scheme, seed : optional
        `schemes` and `seeds` by the names that a run, a cell and `select` have for them.
    samples : int
        Held-out examples to decode.
    bleu : bool or mapping, default False
        After training, translate the held-out sentences (the split "test", or "valid" where there is none) by
        beam search and score them: ``run.bleu`` and ``run.translations``, and columns of the table. A
        mapping gives options: those of `admin_py.generation.beam_search` from ``beam`` to
        ``stop``, ``split``, and ``convention``, see `admin_py.scores`; by default text that was
        cut by words before is scored as "published", any other as "detokenised". In `out` what was trained
        without it is translated, not trained again, where its model was kept.
    executor, workers, threads : object, int, int, optional
        Where runs are trained, as of `admin_py.grid`; by default here, one after another.
    callbacks : iterable of callable
        As of `admin_py.train`: each is called as ``callback(step, model, history)`` after every step of every
        training, where it is trained; the model says which (``model.config``, ``model.seed``).
    keep_models : bool, default True
        Keep the trained models: ``run.model``, and in `out` a file beside each run.
    out : path, optional
        Folder for the results. Each run is written when it is whole, a training that is under way by a
        checkpoint; a study that was stopped goes on where it was when it is called again with the same
        settings, and axes may grow. One process at a time writes it.
    progress : bool
        Bars on a terminal and in notebooks, plain lines elsewhere.

    Returns
    -------
    Study
        With `interrupted` set if it was stopped by Ctrl-C.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was given and what was expected; also where `out` holds a study with other
        settings.
    ModuleNotFoundError
        If `bleu` is asked for without sacreBLEU: ``pip install admin-py[translation]``.
    OSError
        If `out` cannot be written.
    RuntimeError
        If another process writes `out`, a worker has died or a run has failed; whole runs are kept in `out`.

    Notes
    -----
    The defaults are those at which the package was calibrated against an independent implementation; see the
    paper (arXiv 2004.08249, section 4) for the comparison at full size.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> result = study(data, schemes=["post_ln", "admin"], layers=1, d_model=8, d_ff=16, heads=2, steps=2,
    ...                progress=False)
    >>> result.schemes, result.seeds
    (('post_ln', 'admin'), (1,))
    >>> result.run("admin").profile.omega("encoder").shape
    (2,)
    """
    given = named(locals())
    samples = check_integer("samples", samples, 0, MAX_SAMPLES)
    places = Places.checked(
        executor=executor,
        workers=workers,
        threads=threads,
        callbacks=callbacks,
        keep_models=keep_models,
        out=out,
        progress=progress,
    )
    data = number_words() if data is None else data
    translating = Translating.checked(bleu, data)
    told = {} if translating is None else {"bleu": translating.options}
    return Engine(
        data,
        filled(given),
        make=Study,
        more={"samples": samples, **told},
        task=TrainRun(samples=samples, keep_model=places.keep_models, translating=translating),
        kept=FILES,
        places=places,
    ).run()
