"""Results made up for tests of figures and reports: shaped like real ones, with numbers drawn at random."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from admin_py.analysis import (
    AttentionMap,
    Dependency,
    GradientNorms,
    GradientSpread,
    OutputChange,
    SourceUse,
    UpdateNorms,
    pool,
)
from admin_py.analysis.diagnosis.results import Diagnosis
from admin_py.experiments.cross import axes_of
from admin_py.experiments.examination.results import Examination
from admin_py.experiments.grid.cell import GridCell
from admin_py.experiments.grid.results import Grid
from admin_py.experiments.settings import AXES, default_of
from admin_py.experiments.study.results import Sample, SchemeBleu, Study, StudyRun
from admin_py.experiments.translations import Translations
from admin_py.model.config import STACKS, TransformerConfig
from admin_py.model.names import place_of
from admin_py.model.observation import Observation
from admin_py.model.profile import VarianceProfile
from admin_py.plots.tables import GridTable
from admin_py.results import Result
from admin_py.scores import Comparison, Score
from admin_py.training.history import History
from admin_py.training.memory import MemoryPlan, plan_memory
from admin_py.training.recorder import Recorder

KINDS = {
    "encoder": ("self_attn", "feed_forward"),
    "decoder": ("self_attn", "cross_attn", "feed_forward"),
}


def names(layers: int) -> dict[str, tuple[str, ...]]:
    """Names of the sub-layers of an encoder-decoder."""
    return {
        stack: tuple(f"{stack}.{layer}.{kind}" for layer in range(layers) for kind in kinds)
        for stack, kinds in KINDS.items()
    }


def matrix_names(layers: int) -> tuple[str, ...]:
    """Names of the weight matrices of an encoder-decoder that shares its embeddings."""
    parts = {"feed_forward": ("fc1", "fc2")}
    inner = (
        f"{sublayer}.{part}.weight"
        for rows in names(layers).values()
        for sublayer in rows
        for part in parts.get(sublayer.rsplit(".", 1)[-1], ("q", "k", "v", "out"))
    )
    return ("embedding.weight", *inner)


def columns(layers: int, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Positive numbers for each column of a profile, all different."""
    random = np.random.default_rng(seed)
    return {
        stack: {
            column: random.uniform(0.2, 3.0, len(rows)) for column in ("omega", "var_input", "var_branch")
        }
        for stack, rows in names(layers).items()
    }


def made_profile(scheme: str = "admin", *, layers: int = 2, seed: int = 0) -> VarianceProfile:
    """A profile of an encoder-decoder."""
    return VarianceProfile.from_arrays(columns(layers, seed), scheme=scheme, metadata={"seed": seed})


def made_gradients(scheme: str = "admin", *, layers: int = 2, seed: int = 0) -> GradientNorms:
    """Gradient norms of an encoder-decoder."""
    random = np.random.default_rng(seed)
    outputs: Mapping[str, np.ndarray] = {
        stack: random.uniform(1e-3, 1.0, len(rows) + 1) for stack, rows in names(layers).items()
    }
    return GradientNorms(
        scheme=scheme,
        outputs=outputs,
        sublayers=names(layers),
        matrices={name: float(random.uniform(1e-3, 1.0)) for name in matrix_names(layers)},
        loss=4.0,
        num_tokens=100,
        metadata={"seed": seed},
    )


def made_dependency(
    scheme: str = "admin", *, layers: int = 2, seed: int = 0, lost: bool = False
) -> Dependency:
    """Dependency of an encoder-decoder, parts correlated; with `lost` one of each stack is not finite."""
    random = np.random.default_rng(seed)
    rows = names(layers)
    variances = {
        stack: np.tril(random.uniform(0.1, 1.0, (len(row), len(row) + 1)), 1) for stack, row in rows.items()
    }
    if lost:
        for value in variances.values():
            value[-1, 0] = np.inf
    return Dependency(
        scheme=scheme,
        variances=variances,
        bias={stack: np.zeros(len(row)) for stack, row in rows.items()},
        sums={stack: 1.25 * value.sum(axis=1) for stack, value in variances.items()},
        predicted={stack: random.uniform(0.1, 0.9, len(row)) for stack, row in rows.items()},
        sublayers=rows,
        num_tokens=dict.fromkeys(rows, 10),
        metadata={"seed": seed},
    )


def made_output_change(
    scheme: str = "admin", *, layers: int = 2, repeats: int = 3, seed: int = 0
) -> OutputChange:
    """Output change of an encoder-decoder."""
    random = np.random.default_rng(seed)
    rows = names(layers)
    return OutputChange(
        scheme=scheme,
        perturbation="random",
        size=1e-4,
        change={stack: random.uniform(0.5, 2.0, (repeats, len(row))) for stack, row in rows.items()},
        input_change={stack: random.uniform(0.1, 0.2, repeats) for stack in rows},
        beta2={stack: random.uniform(0.1, 0.9, len(row)) for stack, row in rows.items()},
        sublayers=rows,
        metadata={"seed": seed},
    )


def made_attention(scheme: str = "admin", *, layers: int = 2, seed: int = 0) -> AttentionMap:
    """Probabilities of twice as many queries as layers, and a key more; tokens short, long and odd."""
    random = np.random.default_rng(seed)
    values = random.uniform(size=(2 * layers, 2 * layers + 1)) ** 4
    words = ("the", "quick", "$x_", "_", "Donaudampfschiff")
    return AttentionMap(
        scheme=scheme,
        sublayer=f"decoder.{layers - 1}.cross_attn",
        probabilities=values / values.sum(axis=1, keepdims=True),
        queries=tuple(words[i % 5] for i in range(2 * layers)),
        keys=tuple(words[i % 5] for i in range(2 * layers + 1)),
        metadata={"seed": seed},
    )


def made_updates(
    scheme: str = "admin", *, layers: int = 2, steps: Sequence[int] = (1, 2, 5, 10, 20), seed: int = 0
) -> UpdateNorms:
    """Norms of a training of an encoder-decoder at these steps; omega drifts."""
    random = np.random.default_rng(seed)
    matrices, rows, count = matrix_names(layers), names(layers), len(steps)
    places = [place_of(name) for name in matrices]
    sizes = (count, len(matrices))

    def by_stack(low: float, high: float) -> dict[str, np.ndarray]:
        return {stack: random.uniform(low, high, (count, len(row))) for stack, row in rows.items()}

    return UpdateNorms(
        scheme=scheme,
        steps=np.array(steps, np.int64),
        names=matrices,
        matrix_kinds=tuple(place.kind for place in places),
        matrix_stacks=tuple(place.stack for place in places),
        layers=tuple(place.layer for place in places),
        grad_norm=random.uniform(1e-3, 1.0, sizes),
        norm=random.uniform(1.0, 10.0, sizes),
        update_norm=random.uniform(1e-4, 1e-2, sizes),
        sublayers=rows,
        omega=by_stack(1.0, 3.0),
        var_input=by_stack(0.5, 2.0),
        var_branch=by_stack(0.1, 1.0),
        metadata={"seed": seed},
        omega_spread=by_stack(0.0, 0.1),
    )


def made_diagnosis(scheme: str = "post_ln", *, layers: int = 2, seed: int = 0) -> Diagnosis:
    """A diagnosis of an encoder-decoder, with both thresholds in sight."""
    random = np.random.default_rng(seed)
    rows = names(layers)

    def by_stack(low: float, high: float, more: int = 0) -> dict[str, np.ndarray]:
        return {stack: random.uniform(low, high, len(row) + more) for stack, row in rows.items()}

    sizes = {"d_model": 8, "d_ff": 16, "heads": 2}
    own = by_stack(0.2, 0.5)
    top = max(float(values.sum()) for values in own.values())
    return Diagnosis(
        scheme=scheme,
        level="borderline",
        verdict="made up",
        findings=(),
        advice=(),
        limits="made up",
        stable_up_to=round(0.8 * top, 2),
        unstable_from=round(0.9 * top, 2),
        beta2=own,
        references={name: by_stack(0.05, 0.4) for name in ("post_ln", "pre_ln", "admin")},
        var_branch=by_stack(0.1, 1.0),
        var_stream=by_stack(0.5, 2.0, 1),
        gradients=by_stack(1e-3, 1.0, 1),
        loss=4.0,
        nonfinite="",
        sublayers=rows,
        metadata={"seed": seed, **{f"{stack}_layers": layers for stack in rows}, **sizes},
    )


def made_grid_table(**changes: Any) -> GridTable:
    """Two rows: trains, does not, one seed of two diverged; does not read, both diverged, not run."""
    table = GridTable(
        x="beta2",
        y="lr",
        x_values=(0.9, 0.98, None),
        y_values=(1e-3, 2e-3),
        value="valid_nll",
        mean=np.array([[0.25, 2.75, 1.5], [0.5, np.nan, np.nan]]),
        runs=np.array([[2, 2, 2], [2, 2, 0]]),
        diverged=np.array([[0, 0, 1], [0, 2, 0]]),
        blown=np.zeros((2, 3), np.int64),
        stuck=np.array([[0, 2, 0], [0, 0, 0]]),
        blind=np.array([[0, 0, 0], [1, 1, 0]]),
        diverged_at=np.array([[0, 0, 57], [0, 12, 0]]),
        title="post_ln",
    )
    return dataclasses.replace(table, **changes)


def made_history(
    *,
    steps: int = 10,
    valid_every: int = 5,
    seed: int = 0,
    diverged_at: int | None = None,
    last_valid: float | None = None,
    stacks: Sequence[str] = (),
) -> History:
    """A history whose losses fall with noise; at `diverged_at` it ends with nan."""
    random = np.random.default_rng(seed)
    recorder = Recorder()
    for step in range(1, (diverged_at or steps) + 1):
        nll = 3.0 / step + random.uniform(0.1, 0.5) if step != diverged_at else float("nan")
        recorder.add_step(
            loss=nll + 0.5, nll=nll, lr=1e-3, grad_norm=1.0, update_norm=0.1, tokens=100, seconds=0.25
        )
        if step % valid_every == 0 and step != diverged_at:
            nll = 2.5 / step + random.uniform(0.1, 0.5)
            nll = last_valid if last_valid is not None and step == steps else nll
            recorder.add_validation(nll=nll, loss=nll + 0.5)
    recorder.diverged_at = diverged_at
    recorder.diverged_because = None if diverged_at is None else "the loss is nan"
    return recorder.freeze({"seed": seed, "stacks": tuple(stacks)})


SIZES: dict[str, tuple[Any, ...]] = {
    "layers": (2,),
    "d_model": (8,),
    "d_ff": (16,),
    "heads": (2,),
    "optimizer": ("adam",),
}
"""Axes of a made-up study, a value each."""


def made_study(
    ends: Mapping[str, Sequence[float | None]], *, entropy: float | None = 2.8, layers: int = 2, **data: str
) -> Study:
    """A study of these schemes with these last validation losses, one a seed; None diverged."""
    runs = []
    for scheme, losses in ends.items():
        for seed, value in enumerate(losses, start=1):
            samples = tuple(Sample(f"source {n}", f"target {n}", f"output {n * seed}") for n in range(3))
            history = made_history(seed=seed, last_valid=value, diverged_at=7 if value is None else None)
            profile = made_profile(scheme, layers=layers, seed=seed)
            norms = made_gradients(scheme, layers=layers, seed=seed)
            values = {**{axis: own[0] for axis, own in SIZES.items()}, "scheme": scheme, "seed": seed}
            runs.append(
                StudyRun(
                    scheme, seed, history, profile, norms, samples, 1234, {"seed": seed}, values, {}, entropy
                )
            )
    about = {"name": "made up", "kind": "translation", "vocab_size": 20, "unigram_entropy": entropy, **data}
    return Study(
        settings={"steps": 10},
        axes={"scheme": tuple(ends), **SIZES, "seed": tuple(range(1, 1 + max(map(len, ends.values()))))},
        asked=tuple(run.name for run in runs),
        data=about,
        metadata={"threads": 1, "dtype": "float32", "versions": {"admin-py": "0"}},
        runs=tuple(runs),
    )


def made_source_use(scheme: str = "admin", *, layers: int = 2, seed: int = 0) -> SourceUse:
    """Of a model that reads its source where `seed` is even."""
    nll = 1.0 + 0.25 * seed
    return SourceUse(scheme, nll, nll + (0.5 if seed % 2 == 0 else 0.0), 0.1 * layers, 100, {"seed": seed})


def made_observation(scheme: str = "admin", *, layers: int = 2, seed: int = 0) -> Observation:
    """Variances of an encoder-decoder; a few activations, one of an array a sequence, and a gradient."""
    random = np.random.default_rng(seed)
    rows = names(layers)
    heads = tuple(random.uniform(size=(2, length, length)).astype(np.float32) for length in (3, 2))
    return Observation(
        activations={
            "encoder.input": random.normal(size=(5, 4)).astype(np.float32),
            "encoder.0.self_attn.probabilities": heads,
            "logits": np.array([[np.nan, np.inf], [1.0, 0.1]]),
        },
        gradients={"logits": random.normal(size=(2, 2))},
        var_input={stack: random.uniform(0.5, 2.0, len(row)) for stack, row in rows.items()},
        var_branch={stack: random.uniform(0.1, 1.0, len(row)) for stack, row in rows.items()},
        names=rows,
        metadata={"seed": seed, "scheme": scheme},
    )


def made_memory_plan(*, layers: int = 2) -> MemoryPlan:
    """Of a small encoder-decoder; nothing is allocated."""
    config = TransformerConfig(
        vocab_size=100, encoder_layers=layers, decoder_layers=layers, d_model=16, heads=2, d_ff=32
    )
    return plan_memory(config, max_tokens=256)


def made_grid() -> Grid:
    """Two schemes at two learning rates; one diverged."""
    places = [(scheme, lr) for scheme in ("post_ln", "admin") for lr in (1e-3, 1e-2)]
    cells = tuple(
        GridCell(
            values={
                **{axis: default_of(axis) for axis in AXES},
                "scheme": scheme,
                "layers": 2,
                "lr": lr,
                "beta2": 0.98,
                "warmup": 5,
                "seed": 1,
            },
            history=made_history(seed=number, diverged_at=7 if number == 1 else None, stacks=STACKS),
            entropy=2.8,
            num_parameters=1234,
            setup={"config": {"encoder_layers": 2}, "optimizer": {"kind": "adam"}},
            metadata={"seed": 1},
        )
        for number, (scheme, lr) in enumerate(places)
    )
    return Grid(
        settings={"steps": 10},
        axes=axes_of(cell.values for cell in cells),
        asked=tuple(cell.name for cell in cells),
        data={"name": "made up", "kind": "translation", "unigram_entropy": 2.8},
        cells=cells,
        metadata={"dtype": "float32"},
    )


def made_full_study() -> Study:
    """A study of one scheme and two seeds whose runs lack nothing."""
    study = made_study({"admin": [0.5, None]})
    runs = tuple(
        dataclasses.replace(
            run,
            diagnosis=made_diagnosis("admin", seed=run.seed),
            dependency_before=made_dependency(seed=run.seed),
            output_change=made_output_change(seed=run.seed),
            attention=made_attention(seed=run.seed),
            source_use=made_source_use(seed=run.seed),
        )
        for run in study.runs
    )
    return dataclasses.replace(study, runs=runs)


def made_score() -> Score:
    """Of BLEU."""
    return Score(
        metric="bleu",
        score=31.25,
        signature="nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
        convention="detokenised",
        num_sentences=1000,
        precisions=(62.5, 37.5, 25.0, 16.5),
        brevity_penalty=0.98,
        length=12_000,
        reference_length=12_250.0,
        metadata={"seed": None},
    )


def made_comparison(systems: Sequence[str] = ("post_ln", "admin"), *, seed: int = 0) -> Comparison:
    """Of BLEU, with an interval and a p value of every system."""
    random = np.random.default_rng(seed)
    scores = random.uniform(20.0, 40.0, len(systems))
    return Comparison(
        metric="bleu",
        signature="nrefs:1|bs:1000|seed:12345|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
        convention="detokenised",
        systems=tuple(systems),
        scores=scores,
        means=scores + random.uniform(-0.1, 0.1, len(systems)),
        half_widths=random.uniform(0.5, 1.5, len(systems)),
        p_values=np.array([np.nan, *random.uniform(0.0, 0.2, len(systems) - 1)]),
        num_sentences=1000,
        resamples=1000,
        seed=12345,
        metadata={"seed": 12345},
    )


def made_translations() -> Translations:
    """Of two sentences."""
    return Translations(
        split="test",
        sources=("a house", "a tree"),
        references=("ein Haus", "ein Baum"),
        hypotheses=("ein Haus", "ein <Baum>"),
        score=made_score(),
        search={"beam": 5, "length_penalty": 1.0, "max_length": (1.5, 10.0)},
        metadata={"seed": None},
    )


def made_scheme_bleu() -> SchemeBleu:
    """Of two schemes and two seeds."""
    random = np.random.default_rng(0)
    return SchemeBleu(
        together=made_comparison(),
        first=("post_ln",) * 3,
        second=("admin",) * 3,
        seeds=("1", "2", "all"),
        first_bleu=random.uniform(20.0, 30.0, 3),
        second_bleu=random.uniform(30.0, 40.0, 3),
        low=random.uniform(0.0, 1.0, 3),
        high=random.uniform(10.0, 20.0, 3),
        p_values=random.uniform(0.0, 0.2, 3),
        split="test",
        metadata={"seed": 12345},
    )


def made_examination(scheme: str = "post_ln", *, layers: int = 2, seed: int = 0) -> Examination:
    """All of an encoder-decoder."""
    return Examination(
        name="made",
        scheme=scheme,
        config={"d_model": 8},
        num_parameters=1000,
        num_tokens=100,
        diagnosis=made_diagnosis(scheme, layers=layers, seed=seed),
        profile=made_profile(scheme, layers=layers, seed=seed),
        admin=made_profile("admin", layers=layers, seed=seed + 1),
        gradients=made_gradients(scheme, layers=layers, seed=seed),
        dependency=made_dependency(scheme, layers=layers, seed=seed),
        output_change=made_output_change(scheme, layers=layers, seed=seed),
        metadata={"seed": seed},
    )


MADE: Mapping[type[Result], Callable[[], Result]] = {
    AttentionMap: made_attention,
    Comparison: made_comparison,
    Dependency: made_dependency,
    Diagnosis: made_diagnosis,
    Examination: made_examination,
    GradientNorms: made_gradients,
    GradientSpread: lambda: pool(made_gradients(seed=seed) for seed in range(3))[0],
    Grid: made_grid,
    GridCell: lambda: made_grid().cells[0],
    GridTable: lambda: made_grid().table("lr", "scheme"),
    History: lambda: made_history(stacks=STACKS),
    MemoryPlan: made_memory_plan,
    Observation: made_observation,
    OutputChange: made_output_change,
    SchemeBleu: made_scheme_bleu,
    Score: made_score,
    SourceUse: made_source_use,
    Study: made_full_study,
    StudyRun: lambda: made_full_study().runs[0],
    Translations: made_translations,
    UpdateNorms: made_updates,
    VarianceProfile: made_profile,
}
"""Class of results -> one of them."""
