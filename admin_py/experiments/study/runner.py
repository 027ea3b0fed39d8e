"""The runs of a study, one after the other."""

from __future__ import annotations
from admin_py.results import decode
from admin_py.results import run_metadata
from admin_py.experiments.study.results import RUN_FILE
from admin_py.experiments.study.results import run_folder
from admin_py.results import encode
from collections.abc import Sequence
from admin_py.experiments.study.run import clear_run
import sys
from admin_py.training.train import train
from admin_py.experiments.study.results import StudyRun
from collections.abc import Callable
from admin_py import schedules
from admin_py import analysis
from admin_py.training.optimizers import Optimizer
from typing import Any
from admin_py.model.config import TransformerConfig
from collections.abc import Mapping
from pathlib import Path
from admin_py.model.transformer import Transformer
from admin_py.experiments.study.results import RUNS_FOLDER
from admin_py.results import same
from admin_py.analysis.diagnosis.diagnose import diagnose
from admin_py.analysis import Dependency
from admin_py.analysis import OutputChange
from admin_py.analysis import AttentionMap
from admin_py.analysis import SourceUse
from admin_py.experiments.settings import CONTINUATION
import numpy as np
from admin_py.experiments.settings import PROMPT
from admin_py.generation import greedy
from admin_py.experiments.study.results import Sample
from admin_py.experiments.study.results import load_header
from admin_py.experiments.study.results import STUDY_FILE
from admin_py.experiments.study.results import save_header
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from admin_py.data import Dataset
    from admin_py.data.batch import Batch


GROWS = ("schemes", "seeds")
"""Settings that a study's folder may grow in; all others must stay as they were."""


CHECKPOINT = "checkpoint.safetensors"


OBSERVED = "log"
"""Steps of a run's training at which norms of matrices, omega and variances are taken down."""


REPEATS = 3
"""Of the weights' random change whose effect on the output is measured."""


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
        found = greedy(model, sources, max_new_tokens=limit, bos=data.bos, eos=data.eos)
        outputs = [data.decode(ids) for ids in found]
        return tuple(Sample(*pair, output) for pair, output in zip(pairs, outputs, strict=True))
    texts = [ids[: PROMPT + CONTINUATION] for ids in data.split("valid").source.take(np.arange(count))]
    prompts = [ids[: max(1, min(PROMPT, len(ids) // 2))] for ids in texts]
    found = greedy(model, prompts, max_new_tokens=CONTINUATION, bos=data.bos, eos=data.eos)
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
