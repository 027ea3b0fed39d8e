"""The main job: schemes side by side on one task, profiled, trained, validated, and kept as files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py import analysis, schedules
from admin_py.analysis import AttentionMap, Dependency, OutputChange, SourceUse
from admin_py.base import defaults
from admin_py.base.checks import check_bool
from admin_py.model.config import SchemeLike, TransformerConfig
from admin_py.analysis.diagnosis.diagnose import diagnose
from admin_py.generation import greedy
from admin_py.model.transformer import Transformer
from admin_py.training.optimizers import Optimizer
from admin_py.results import decode, encode, run_metadata, same
from admin_py.experiments.study.results import (
    RUN_FILE,
    RUNS_FOLDER,
    STUDY_FILE,
    Sample,
    Study,
    StudyRun,
    load_header,
    run_folder,
    save_header,
)
from admin_py.experiments.study.run import clear_run
from admin_py.experiments.settings import (
    CONTINUATION,
    PROMPT,
    check_settings,
    configurations,
    default_optimizer,
    describe,
)
from admin_py.training.train import train
from admin_py.experiments.study.runner import _Runner
from admin_py.experiments.study.runner import _open_folder

if TYPE_CHECKING:
    from admin_py.data.batch import Batch
    from admin_py.data import Dataset






def study(
    data: Dataset | None = None,
    *,
    schemes: Sequence[SchemeLike | tuple[SchemeLike, SchemeLike]] = ("post_ln", "pre_ln", "admin"),
    layers: int | tuple[int, int] = 18,
    d_model: int = 64,
    d_ff: int = 128,
    heads: int = 4,
    steps: int = 300,
    seeds: Sequence[int] = (1,),
    optimizer: Callable[..., Optimizer] | None = None,
    lr: float = 1e-3,
    warmup: int = 100,
    dropout: float = 0.1,
    label_smoothing: float = defaults.LABEL_SMOOTHING,
    max_tokens: int = defaults.MAX_TOKENS,
    clip_norm: float | None = None,
    valid_every: int | None = None,
    samples: int = 4,
    dtype: str = "float32",
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Study:
    """Train every scheme from every seed on the same data and keep what happens.

    For each: the model is built and profiled (which sets omega where the scheme asks for it); gradient norms,
    dependency and output change at initialisation are taken; it is trained, observed (norms of gradients,
    weights and updates by matrix, omega, variances) and validated; its dependency after training is taken;
    and it translates, or continues, a few held-out examples by greedy decoding.

    Parameters
    ----------
    data : Dataset, optional
        Sentence pairs, or one text for language models; by default `admin_py.data.number_words`.
    schemes : sequence
        Names, schemes, or pairs of these (encoder's, decoder's).
    layers : int or pair of int
        Of the encoder and of the decoder; of the one stack of a language model.
    d_model, d_ff, heads : int
        D, F and H.
    steps : int
        Of training.
    seeds : sequence of int
        Of weights, dropout and the order of batches.
    optimizer : callable, optional
        Takes ``lr=``, returns a fresh optimiser, such as ``ap.RAdam``; by default Adam (.9, .98), eps 1e-9.
    lr, warmup : float, int
        Largest learning rate; steps of linear warm-up to it, then it falls as the inverse square root.
    dropout, label_smoothing : float
    max_tokens : int
        Of a batch, on either side.
    clip_norm : float, optional
        Gradients of a larger norm are scaled down to it.
    valid_every : int, optional
        Steps between validations; by default about a twelfth of the steps. The last step is validated always.
    samples : int
        Held-out examples to decode.
    dtype : {"float32", "float64"}
    out : path, optional
        Folder for the results. Each run is written when it is whole; a study that was stopped goes on where
        it was when it is called again with the same settings, and more schemes or seeds may be added.
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
    OSError
        If `out` cannot be written.

    Notes
    -----
    The defaults are those at which the package was calibrated against an independent implementation; see the
    paper (arXiv 2004.08249, section 4) for the comparison at full size.

    Examples
    --------
    >>> import admin_py as ap
    >>> data = ap.data.copy_task(train=50, valid=10)
    >>> result = study(data, schemes=("post_ln", "admin"), layers=1, d_model=8, d_ff=16, heads=2, steps=2,
    ...                progress=False)
    >>> result.schemes, result.seeds
    (('post_ln', 'admin'), (1,))
    >>> result.run("admin").profile.omega("encoder").shape
    (2,)
    """
    if data is None:
        from admin_py.data import number_words

        data = number_words()
    progress = check_bool("progress", progress)
    settings = check_settings(
        data,
        layers=layers,
        d_model=d_model,
        d_ff=d_ff,
        heads=heads,
        steps=steps,
        seeds=seeds,
        optimizer=default_optimizer if optimizer is None else optimizer,
        lr=lr,
        warmup=warmup,
        dropout=dropout,
        label_smoothing=label_smoothing,
        max_tokens=max_tokens,
        clip_norm=clip_norm,
        valid_every=valid_every,
        samples=samples,
        dtype=dtype,
    )
    configs = configurations(data, settings, schemes)
    settings = {"schemes": tuple(configs), **settings}
    about, metadata = describe(data), run_metadata(dtype=dtype)
    folder = None if out is None else Path(out)
    header = dict(settings) if folder is None else _open_folder(folder, settings, about, metadata)
    jobs = [(configs[name], seed) for seed in settings["seeds"] for name in configs]
    runner = _Runner(data, settings, default_optimizer if optimizer is None else optimizer, folder, progress)
    runs, interrupted = runner.run_all(jobs)
    if folder is not None and not interrupted:
        return Study.load(folder)
    runs.sort(key=lambda run: (settings["schemes"].index(run.scheme), settings["seeds"].index(run.seed)))
    return Study(header, about, tuple(runs), metadata, interrupted)


















