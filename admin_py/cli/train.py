"""The command ``admin-py train``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from admin_py.base.whole_files import write_whole
from admin_py.cli.options import STOPPED, add_common, add_data, add_single, add_training, model_of
from admin_py.experiments.settings import OPTIMIZERS
from admin_py.plots.files import rendered

SUMMARY = "train one model, with checkpoints"

EXAMPLES = """\
examples:
  admin-py train --scheme admin --layers 18 --steps 1000 --out run
  admin-py train --text book.txt --layers 4 --d-model 128 --optimizer adamw --steps 2000 --out shakespeare

A run that was stopped, or killed, goes on where it was when the same command is given again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_data(parser)
    add_single(parser)
    add_training(parser, steps=1000)
    parser.add_argument(
        "--checkpoint-every",
        type=int,
        default=100,
        metavar="N",
        help="steps between checkpoints (default: 100)",
    )
    add_common(parser, out="run")


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py train``."""
    from admin_py import schedules
    from admin_py.training.train import train as run_train

    folder = Path(options.out)
    model, batch, data = model_of(options)
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
    write_whole(folder / "history.png", rendered(lambda figure: history.plot(figure.subplots()), "png"))
    print(history)
    print(f"written to {folder}: model.safetensors, history.json, history.csv, history.png, profile.json")
    if history.interrupted:
        print(f"stopped; the same command goes on from {folder}", file=sys.stderr)
        return STOPPED
    return 0
