"""What the commands do: options to data, models and calls of the package, results to files and lines."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin_py import schemes
from admin_py.config import TransformerConfig
from admin_py.study_settings import OPTIMIZERS, layers_of
from admin_py.whole_files import write_whole

if TYPE_CHECKING:
    from admin_py.batch import Batch
    from admin_py.data import Dataset
    from admin_py.model import Transformer

STOPPED = 130


class UsageError(Exception):
    """Options that do not go together."""


def load_data(options: argparse.Namespace) -> Dataset:
    """The dataset that the options name.

    Raises
    ------
    UsageError
        If they name none, or more than one.
    ValueError, OSError
        As the functions of `admin_py.data`.
    """
    from admin_py import data

    pair = (options.source, options.target)
    named = [options.task is not None, any(pair), options.text is not None]
    if sum(named) > 1:
        raise UsageError("give one of --task, --source with --target, and --text")
    if any(pair) != all(pair):
        raise UsageError("--source and --target go together")
    valid = (options.valid_source, options.valid_target)
    if any(valid) and not (all(valid) and all(pair)):
        raise UsageError("--valid-source and --valid-target go together, with --source and --target")
    if all(pair):
        return data.parallel_text(
            options.source,
            options.target,
            vocab_size=options.vocab_size,
            valid=valid if all(valid) else None,
            pretokenized=options.pretokenized,
            max_lines=options.max_lines,
        )
    if options.text is not None:
        return data.text(options.text, vocab_size=options.vocab_size, context=options.context)
    return data.copy_task() if options.task == "copy" else data.number_words()


def study(options: argparse.Namespace) -> int:
    """``admin-py study``."""
    from admin_py.study import study as run_study

    set_threads(options)
    data = load_data(options)
    found = run_study(
        data,
        schemes=options.schemes,
        layers=options.layers,
        d_model=options.d_model,
        d_ff=options.d_ff,
        heads=options.heads,
        steps=options.steps,
        seeds=options.seeds,
        optimizer=OPTIMIZERS[options.optimizer],
        lr=options.lr,
        warmup=options.warmup,
        dropout=options.dropout,
        label_smoothing=options.label_smoothing,
        max_tokens=options.max_tokens,
        clip_norm=options.clip_norm,
        valid_every=options.valid_every,
        samples=options.samples,
        dtype=options.dtype,
        out=options.out,
        progress=not options.quiet,
    )
    if found.runs:
        write_whole(Path(options.out) / "results.csv", found.to_dataframe().to_csv(index=False))
        print(_study_table(found))
        print(f"report: {found.report(options.out)}")
    if found.interrupted:
        print(f"stopped; the same command goes on from {options.out}", file=sys.stderr)
        return STOPPED
    return 0


def _study_table(found: Any) -> str:
    table = found.to_dataframe()[["scheme", "seed", "train_nll", "valid_nll", "seconds", "outcome"]]
    return str(table.to_string(index=False, float_format="{:.3f}".format))


def profile(options: argparse.Namespace) -> int:
    """``admin-py profile``."""
    model, batch, _ = _fresh_model(options)
    found = model.profile(batch, method=options.method, seed=options.seed)
    folder = Path(options.out)
    found.save(folder / "profile.json")
    found.to_clinic(folder / "profile.txt")
    write_whole(folder / "profile.csv", found.to_dataframe().to_csv(index=False))
    _draw(folder / "profile.png", found.plot)
    print(found)
    print(f"written to {folder}: profile.json, profile.csv, profile.txt (lines 'index omega'), profile.png")
    return 0


def train(options: argparse.Namespace) -> int:
    """``admin-py train``."""
    from admin_py import schedules
    from admin_py.training import train as run_train

    folder = Path(options.out)
    model, batch, data = _fresh_model(options)
    profile = model.profile(batch, seed=options.seed)
    valid_every = options.valid_every
    if valid_every is None:
        valid_every = max(1, options.steps // 12)
    history = run_train(
        model,
        data,
        optimizer=OPTIMIZERS[options.optimizer](lr=options.lr),
        schedule=schedules.inverse_sqrt(lr=options.lr, warmup=options.warmup),
        steps=options.steps,
        max_tokens=options.max_tokens,
        clip_norm=options.clip_norm,
        label_smoothing=options.label_smoothing,
        valid_every=valid_every,
        checkpoint=folder / "checkpoint.safetensors",
        checkpoint_every=options.checkpoint_every,
        progress=not options.quiet,
    )
    profile.save(folder / "profile.json")
    history.save(folder / "history.json")
    write_whole(folder / "history.csv", history.to_dataframe().to_csv(index=False))
    model.save(folder / "model.safetensors")
    _draw(folder / "history.png", history.plot)
    print(history)
    print(f"written to {folder}: model.safetensors, history.json, history.csv, history.png, profile.json")
    if history.interrupted:
        print(f"stopped; the same command goes on from {folder}", file=sys.stderr)
        return STOPPED
    return 0


def info(options: argparse.Namespace) -> int:
    """``admin-py info``."""
    from admin_py.versions import show_versions

    if options.schemes:
        for name in schemes.names():
            scheme = schemes.get(name)
            print(f"{name}\n    {scheme.summary}\n    {scheme.source}")
        return 0
    if options.memory:
        print(_memory(options))
        return 0
    show_versions()
    return 0


def _memory(options: argparse.Namespace) -> str:
    from admin_py.memory import plan_memory

    kind = "language_model" if options.language_model else "translation"
    encoder_layers, decoder_layers = layers_of(options.layers, kind)
    config = TransformerConfig(
        vocab_size=options.vocab_size,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        d_model=options.d_model,
        d_ff=options.d_ff,
        heads=options.heads,
        dropout=options.dropout,
        scheme=options.scheme,
    )
    plan = plan_memory(
        config,
        max_tokens=options.max_tokens,
        optimizer=OPTIMIZERS[options.optimizer](lr=0.0),
        checkpoint_activations=options.checkpoint_activations,
        dtype=options.dtype,
    )
    return f"{config.num_parameters:,} parameters\n{plan!r}"


def set_threads(options: argparse.Namespace) -> None:
    """The number of threads that the options give, if they do."""
    if options.threads is not None:
        from admin_py.threads import set_num_threads

        set_num_threads(options.threads)


def _fresh_model(options: argparse.Namespace) -> tuple[Transformer, Batch, Dataset]:
    """A model of the options, the batch that its training begins with, and the data."""
    set_threads(options)
    data = load_data(options)
    return *fresh_model(options, data, options.scheme, options.seed), data


def fresh_model(
    options: argparse.Namespace, data: Dataset, scheme: str, seed: int
) -> tuple[Transformer, Batch]:
    """A model of a scheme with the sizes of the options, and the batch that its training begins with."""
    from admin_py.model import Transformer

    encoder_layers, decoder_layers = layers_of(options.layers, data.kind)
    config = TransformerConfig(
        vocab_size=data.vocab_size,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        d_model=options.d_model,
        d_ff=options.d_ff,
        heads=options.heads,
        dropout=options.dropout,
        max_length=data.longest,
        scheme=scheme,
    )
    model = Transformer(config, seed=seed, dtype=options.dtype)
    return model, next(data.batches(max_tokens=options.max_tokens, seed=seed))


def saved_model(options: argparse.Namespace, seed: int) -> tuple[Transformer, Batch, Dataset]:
    """A model of a file, and a batch of the data that the options name, which must have its vocabulary."""
    from admin_py.model import Transformer

    model = Transformer.load(options.model)
    data = load_data(options)
    if data.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"--model: {options.model} has a vocabulary of {model.config.vocab_size} ids, the data "
            f"{data.name} one of {data.vocab_size}"
        )
    return model, next(data.batches(max_tokens=options.max_tokens, seed=seed)), data


def _draw(path: Path, plot: Callable[[Any], Any]) -> None:
    """Write a figure, by way of no screen; `plot` is given its Axes."""
    import io

    from matplotlib.figure import Figure

    from admin_py.plots.style import WIDTH, context

    with context():
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        plot(figure.subplots())
        stream = io.BytesIO()
        figure.savefig(stream, format="png")
    write_whole(path, stream.getvalue())
