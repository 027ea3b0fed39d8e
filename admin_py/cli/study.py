"""The command ``admin-py study``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from admin_py.base.whole_files import write_whole
from admin_py.cli.options import (
    STOPPED,
    add_common,
    add_data,
    add_model,
    add_training,
    load_data,
    set_threads,
)
from admin_py.experiments.settings import OPTIMIZERS

SUMMARY = "compare schemes: profile, train, validate, report"

EXAMPLES = """\
examples:
  admin-py study
      the embedded default: numbers in words, English to German, 18-18 layers, 300 steps; report in ./study
  admin-py study --source train.en --target train.de --steps 400 --seeds 1 2 --out multi30k
      your own text, line by line, plain or .gz
  admin-py study --text book.txt --layers 12 --schemes post_ln pre_ln admin deepnorm
      language models of one text
  admin-py study --schemes post_ln/pre_ln pre_ln/post_ln
      hybrids: the encoder's scheme / the decoder's

A study that was stopped goes on where it was when the same command is given again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_data(parser)
    parser.add_argument(
        "--schemes",
        nargs="+",
        default=["post_ln", "pre_ln", "admin"],
        metavar="SCHEME",
        help="to compare; a hybrid is ENCODER/DECODER (default: post_ln pre_ln admin)",
    )
    add_model(parser)
    add_training(parser, steps=300)
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1], metavar="N", help="of each scheme (default: 1)"
    )
    parser.add_argument(
        "--samples", type=int, default=4, metavar="N", help="held-out examples to decode (default: 4)"
    )
    add_common(parser, out="study")


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py study``."""
    from admin_py.experiments.study.study import study as run_study

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
