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
from admin_py.checks import check_bool
from admin_py.config import SchemeLike, TransformerConfig
from admin_py.diagnose import diagnose
from admin_py.generation import greedy
from admin_py.model import Transformer
from admin_py.optimizers import Optimizer
from admin_py.results import decode, encode, run_metadata, same
from admin_py.study_results import (
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
from admin_py.study_run import clear_run
from admin_py.study_settings import (
    CONTINUATION,
    PROMPT,
    check_settings,
    configurations,
    default_optimizer,
    describe,
)
from admin_py.training import train

if TYPE_CHECKING:
    from admin_py.batch import Batch
    from admin_py.data import Dataset

GROWS = ("schemes", "seeds")
"""Settings that a study's folder may grow in; all others must stay as they were."""

CHECKPOINT = "checkpoint.safetensors"

OBSERVED = "log"
"""Steps of a run's training at which norms of matrices, omega and variances are taken down."""

REPEATS = 3
"""Of the weights' random change whose effect on the output is measured."""


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
    label_smoothing: float = 0.1,
    max_tokens: int = 512,
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


class _Runner:
    """The runs of a study, one after the other."""

    def __init__(
        self,
        data: Dataset,
        settings: Mapping[str, Any],
        optimizer: Callable[..., Optimizer],
        folder: Path | None,
        progress: bool,
    ) -> None:
        self.data, self.settings, self.optimizer = data, settings, optimizer
        self.folder, self.progress = folder, progress

    def run_all(self, jobs: Sequence[tuple[TransformerConfig, int]]) -> tuple[list[StudyRun], bool]:
        """All runs, those of earlier calls taken from the folder; and whether Ctrl-C came in between."""
        runs: list[StudyRun] = []
        for number, (config, seed) in enumerate(jobs, start=1):
            head = f"[{number}/{len(jobs)}] {config.scheme_name}, seed {seed}"
            try:
                run = self._load(config, seed)
                if run is None:
                    self._say(f"{head}: begins")
                    run = self.run(config, seed)
            except KeyboardInterrupt:
                return runs, True
            runs.append(run)
            self._say(f"{head}: {_last_words(run, self.data.unigram_entropy())}")
            if run.history.interrupted:
                return runs, True
        return runs, False

    def run(self, config: TransformerConfig, seed: int) -> StudyRun:
        """One run from its beginning, or from its checkpoint."""
        settings = self.settings
        model = Transformer(config, seed=seed, dtype=settings["dtype"])
        # The batch that training begins with: it takes epoch e in the order of seed + e.
        batch: Batch = next(self.data.batches(max_tokens=settings["max_tokens"], seed=seed))
        profile = model.profile(batch, seed=seed)
        gradients = analysis.gradients(model, batch, label_smoothing=settings["label_smoothing"])
        diagnosis = diagnose(model, batch, label_smoothing=settings["label_smoothing"])
        without: dict[str, str] = {}
        before = _dependency(model, batch, "dependency_before", without)
        output_change = _output_change(model, batch, without)
        place = (
            None if self.folder is None else self.folder / RUNS_FOLDER / run_folder(config.scheme_name, seed)
        )
        history = train(
            model,
            self.data,
            optimizer=self.optimizer(lr=settings["lr"]),
            schedule=schedules.from_dict(settings["schedule"]),
            steps=settings["steps"],
            max_tokens=settings["max_tokens"],
            clip_norm=settings["clip_norm"],
            label_smoothing=settings["label_smoothing"],
            valid_every=settings["valid_every"],
            checkpoint=None if place is None else place / CHECKPOINT,
            observe=OBSERVED,
            progress=self.progress,
        )
        whole = not history.interrupted and history.diverged_at is None
        after, attention, source_use = None, None, None
        if whole:
            after = _dependency(model, batch, "dependency_after", without)
            attention = _attention(model, self.data, without)
            source_use = _source_use(model, self.data, without)
        else:
            why = "the training was stopped" if history.interrupted else "it diverged"
            without.update(dependency_after=why, attention=why, source_use=why)
        run = StudyRun(
            scheme=config.scheme_name,
            seed=seed,
            history=history,
            profile=profile,
            gradients=gradients,
            samples=decode_samples(model, self.data, settings["samples"]) if whole else (),
            num_parameters=model.num_parameters,
            metadata=run_metadata(seed=seed, dtype=model.dtype, config=config.to_dict()),
            diagnosis=diagnosis,
            dependency_before=before,
            dependency_after=after,
            output_change=output_change,
            attention=attention,
            source_use=source_use,
            without=without,
        )
        if place is not None and not history.interrupted:
            run.save(place)
            (place / CHECKPOINT).unlink()
        return run

    def _load(self, config: TransformerConfig, seed: int) -> StudyRun | None:
        """The run if an earlier call made it whole."""
        place = self._place(config, seed)
        if place is None:
            return None
        if not (place / RUN_FILE).exists():
            clear_run(place)
            return None
        run = StudyRun.load(place)
        if not same(run.metadata["config"], decode(encode(config.to_dict()))):
            raise ValueError(
                f"out: {str(place)!r} holds a run of another scheme that was named {config.scheme_name!r} too"
            )
        return run

    def _place(self, config: TransformerConfig, seed: int) -> Path | None:
        """The folder of a run."""
        if self.folder is None:
            return None
        return self.folder / RUNS_FOLDER / run_folder(config.scheme_name, seed)

    def _say(self, text: str) -> None:
        if self.progress:
            print(text, file=sys.stderr, flush=True)


def _dependency(model: Transformer, batch: Batch, name: str, without: dict[str, str]) -> Dependency | None:
    """The dependency, or None and the reason noted: not every scheme's formula can be taken apart."""
    try:
        return analysis.dependency(model, batch)
    except ValueError as error:
        without[name] = str(error)
        return None


def _output_change(model: Transformer, batch: Batch, without: dict[str, str]) -> OutputChange | None:
    """The output change under random moves of the weights, or None and the reason noted."""
    try:
        return analysis.output_change(model, batch, repeats=REPEATS)
    except ValueError as error:
        without["output_change"] = str(error)
        return None


def _attention(model: Transformer, data: Dataset, without: dict[str, str]) -> AttentionMap | None:
    """The attention in a held-out example, or None and the reason noted: there may be none."""
    try:
        return analysis.attention(model, data)
    except ValueError as error:
        without["attention"] = str(error)
        return None


def _source_use(model: Transformer, data: Dataset, without: dict[str, str]) -> SourceUse | None:
    """Whether the model reads its source, or None and the reason noted: language models have none."""
    try:
        return analysis.source_use(model, data)
    except ValueError as error:
        without["source_use"] = str(error)
        return None


def _last_words(run: StudyRun, entropy: float) -> str:
    """How a run ended, in a line."""
    history = run.history
    if history.interrupted:
        return f"stopped after step {history.num_steps}"
    if history.diverged_at is not None:
        return f"diverged at step {history.diverged_at}: {history.diverged_because}"
    return f"{run.outcome(entropy)}, validation nll {run.valid_nll:.3f}, {run.seconds:.0f} s"


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
        found = greedy(model, sources, max_length=limit, bos=data.bos, eos=data.eos)
        outputs = [data.decode(ids) for ids in found]
        return tuple(Sample(*pair, output) for pair, output in zip(pairs, outputs, strict=True))
    texts = [ids[: PROMPT + CONTINUATION] for ids in data.split("valid").source.take(np.arange(count))]
    prompts = [ids[: max(1, min(PROMPT, len(ids) // 2))] for ids in texts]
    found = greedy(model, prompts, max_length=CONTINUATION, bos=data.bos, eos=data.eos)
    return tuple(
        Sample(data.decode(prompt), data.decode(text[len(prompt) :]), data.decode(ids[len(prompt) :]))
        for prompt, text, ids in zip(prompts, texts, found, strict=True)
    )


def _open_folder(
    folder: Path, settings: dict[str, Any], about: dict[str, Any], metadata: dict[str, Any]
) -> dict[str, Any]:
    """Begin a study in a folder, or go on with the one that is there if it is the same."""
    if (folder / STUDY_FILE).exists():
        header = load_header(folder)
        if header["data"].get("fingerprint") != about["fingerprint"]:
            raise ValueError(
                f"out: {str(folder)!r} holds a study of other data, {header['data'].get('name')!r}"
            )
        old = header["settings"]
        odd = [
            name
            for name in settings
            if name not in GROWS and not same(old.get(name), decode(encode(settings[name])))
        ]
        if odd:
            was, now = old.get(odd[0]), settings[odd[0]]
            raise ValueError(f"out: {str(folder)!r} holds a study with {odd[0]} {was!r}, not {now!r}")
        settings = {**settings, **_grown(folder, settings, old)}
    save_header(folder, settings, about, metadata)
    return settings


def _grown(folder: Path, new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Schemes and seeds asked for now, and those that have whole runs from before."""
    whole = [
        (scheme, seed)
        for scheme in old["schemes"]
        for seed in old["seeds"]
        if (folder / RUNS_FOLDER / run_folder(scheme, seed) / RUN_FILE).exists()
    ]
    return {
        "schemes": tuple(dict.fromkeys((*(scheme for scheme, _ in whole), *new["schemes"]))),
        "seeds": tuple(dict.fromkeys((*(seed for _, seed in whole), *new["seeds"]))),
    }
