"""The command ``admin-py train``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin_py.analysis.unmeasured import Measures
from admin_py.base.csv_files import to_csv
from admin_py.base.paths import path_of
from admin_py.base.streams import say
from admin_py.base.whole_files import write_whole
from admin_py.cli.given import note_given, take_given
from admin_py.cli.options import (
    STOPPED,
    UsageError,
    add_common,
    add_data,
    add_single,
    add_training,
    model_of,
    out_folder,
    show,
)
from admin_py.cli.ranks import one_of, processors_of, world
from admin_py.cli.recipe_options import (
    add_decoding,
    add_recipe,
    add_train_settings,
    decoding_settings,
    take_recipe,
)
from admin_py.cli.track import add_track, trackers_of
from admin_py.experiments.settings import describe, usual_valid_every
from admin_py.experiments.train_settings import meaningless, optimizer_of, schedule_of
from admin_py.experiments.trained import FILES, TRAINED_FILE, TrainedModel, write_files
from admin_py.plots.files import write_picture
from admin_py.results import run_metadata
from admin_py.training.optimizers import Optimizer
from admin_py.training.profiling import as_tried

if TYPE_CHECKING:
    from mpi4py import MPI

    from admin_py.data import Dataset
    from admin_py.data.batch import Batch
    from admin_py.model.transformer import Transformer
    from admin_py.training.history import History

SUMMARY = "train one model, with checkpoints"

KEPT = "kept"
"""The folder of the weights that are kept."""

EXAMPLES = """\
examples:
  admin-py train --scheme admin --layers 18 --steps 1000 --out run
  admin-py train --text book.txt --layers 4 --d-model 128 --optimizer adamw --steps 2000 --out shakespeare
  admin-py train --steps 4000 --average 5 --patience 10 --out averaged
  admin-py train --recipe multi30k-tiny --source train.en --target train.de --valid val.en val.de --out run
  mpiexec -n 4 admin-py train --accumulate 4 --steps 1000 --out shared

A run that was stopped, or killed, goes on where it was when the same command is given again. In Python
admin_py.load("run") opens the folder: .translate(texts), .generate(texts), .model, .tokenizer, .history."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_recipe(parser)
    add_data(parser)
    add_single(parser)
    add_training(parser)
    add_train_settings(parser)
    parser.add_argument(
        "--checkpoint-every",
        type=int,
        default=100,
        metavar="N",
        help="steps between checkpoints (default: 100)",
    )
    add_averages(parser)
    add_decoding(parser)
    add_track(parser)
    add_common(parser, out="run")
    note_given(parser)


def add_averages(parser: argparse.ArgumentParser) -> None:
    """Which weights are kept and written."""
    group = parser.add_argument_group("averages and stopping (default: the last weights are written)")
    group.add_argument(
        "--ema", type=float, metavar="D", help="write the moving average of the weights, of this decay: 0.999"
    )
    group.add_argument(
        "--average", type=int, metavar="N", help="write the mean of the weights of the last N epochs"
    )
    group.add_argument(
        "--keep-last",
        type=int,
        metavar="N",
        help="keep the weights of the last N epochs in the folder kept (default: those to be averaged)",
    )
    group.add_argument(
        "--keep-every", type=int, metavar="N", help="keep them every N steps instead of every epoch"
    )
    group.add_argument(
        "--patience",
        type=int,
        metavar="N",
        help="stop after N validations since the best one, and write the best weights",
    )


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py train``."""
    given = take_given(options)
    recipe = take_recipe(options, given)
    options.decoding = decoding_settings(options, recipe)
    _check_averages(options)
    comm = world()
    if comm is None:
        return _run(options)
    with one_of(comm):
        options.threads = options.threads or processors_of(comm)
        return _run(options, comm)


def _run(options: argparse.Namespace, comm: MPI.Intracomm | None = None) -> int:
    made, optimizer = model_of(options), _optimizer(options)
    if comm is not None and comm.Get_rank() > 0:  # rank 0 has the folder, and writes
        return _train(options, *made, optimizer, path_of(options.out, "--out"), comm)
    with out_folder(options) as folder:
        return _train(options, *made, optimizer, folder, comm)


def _train(
    options: argparse.Namespace,
    model: Transformer,
    batch: Batch,
    data: Dataset,
    optimizer: Optimizer,
    folder: Path,
    comm: MPI.Intracomm | None,
) -> int:
    """Train, and write all of it into the folder where this is no other rank than 0; the exit status."""
    from admin_py.training.train import train as run_train

    trackers = trackers_of(options)

    measures = Measures()
    profile = measures.take("profile", lambda: model.profile(batch, seed=options.seed))
    if profile is None:
        say(f"not profiled: {measures.without['profile']}")
    valid_every = options.valid_every
    if valid_every is None:
        valid_every = usual_valid_every(options.steps)
    with as_tried(profile) as asked:
        history = run_train(
            model,
            data,
            optimizer=optimizer,
            schedule=schedule_of(vars(options)),
            steps=options.steps,
            profile=asked,
            max_tokens=options.max_tokens,
            accumulate=options.accumulate,
            clip_norm=options.clip_norm,
            label_smoothing=options.label_smoothing,
            z_loss=options.z_loss,
            valid_every=valid_every,
            checkpoint=folder / "checkpoint.safetensors",
            checkpoint_every=options.checkpoint_every,
            progress=not options.quiet,
            ema=options.ema,
            patience=options.patience,
            restore_best=options.patience is not None and options.average is None,
            comm=comm,
            callbacks=trackers,
            observe="log" if trackers else 0,
            **_keeping(options, folder),
        )
    if comm is not None and comm.Get_rank() > 0:
        return STOPPED if history.interrupted else 0
    written, told = _written(options, model, history, folder)
    averages = {name: value for name, value in _given(options, add_averages).items() if value is not None}
    trained = TrainedModel(
        written,
        data.tokenizer,
        history=history,
        profile=profile,
        settings={**_settings(options), "valid_every": valid_every, **averages},
        data={**describe(data), "options": _given(options, add_data)},
        metadata=run_metadata(seed=options.seed, dtype=model.dtype, **told),
    )
    write_files(trained, folder)
    write_whole(folder / "history.csv", to_csv(history.to_dataframe()))
    files = [*FILES.values(), TRAINED_FILE, "history.csv"]
    if write_picture(folder / "history.png", lambda figure: history.plot(figure.subplots())):
        files.append("history.png")
    show(str(history))
    show(f"written to {folder}: {', '.join(files)}")
    show(f"in Python, admin_py.load({str(folder)!r}) opens all of it")
    if history.interrupted:
        say(f"stopped; the same command goes on from {folder}")
        return STOPPED
    return 0


def _check_averages(options: argparse.Namespace) -> None:
    """That the options which say what is kept and written go together."""
    if options.ema is not None and options.average is not None:
        raise UsageError("give one of --ema and --average: each says which weights are written")
    if options.keep_every is not None and options.keep_last is None and options.average is None:
        raise UsageError("--keep-every goes with --average or --keep-last")
    if None not in (options.keep_last, options.average) and options.keep_last < options.average:
        raise UsageError(f"--average {options.average} needs --keep-last {options.average} at least")


def _keeping(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Which weights are kept, as arguments of `train`."""
    last = options.average if options.keep_last is None else options.keep_last
    if last is None:
        return {}
    every = {} if options.keep_every is None else {"keep_every": options.keep_every}
    return {"keep_last": last, "keep": folder / KEPT, **every}


def _written(
    options: argparse.Namespace, model: Transformer, history: History, folder: Path
) -> tuple[Transformer, dict[str, str]]:
    """The model that is written, and for the metadata which weights it has, where these are not the last."""
    from admin_py.training.average import average
    from admin_py.training.kept import LAST, kept_files

    if options.average is not None:
        files = kept_files(folder / KEPT, LAST)[-options.average :]
        if not files:
            say("no epoch is over yet, so there is nothing to be averaged: the last weights are written")
            return model, {}
        told = f"mean of those after steps {', '.join(str(one.step) for one in files)}"
        return average([one.path for one in files]), {"weights": told}
    best = options.patience is not None and not history.interrupted and history.best_step is not None
    told = "moving average of those" if options.ema is not None else "those"
    if best:
        return model, {"weights": f"{told} after step {history.best_step}, the best"}
    if history.ema is not None:
        return history.ema, {"weights": f"{told} after step {history.num_steps}"}
    return model, {}


def _optimizer(options: argparse.Namespace) -> Optimizer:
    without = meaningless(vars(options))
    if without is not None:
        name = without.replace("_", "-")
        raise UsageError(f"--{name} has no meaning for --optimizer {options.optimizer}, which has none")
    return optimizer_of(vars(options))


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """How the model is trained and translates, as plain values."""
    told = _given(options, add_single, add_training, add_train_settings)
    if options.recipe is not None:
        told["recipe"] = options.recipe
    return {**told, "decoding": options.decoding} if options.decoding else told


def _given(options: argparse.Namespace, *add: Callable[[argparse.ArgumentParser], None]) -> dict[str, Any]:
    """The values of the options that these functions add to a command."""
    parser = argparse.ArgumentParser(add_help=False)
    for one in add:
        one(parser)
    return {name: getattr(options, name) for name in vars(parser.parse_args([]))}
