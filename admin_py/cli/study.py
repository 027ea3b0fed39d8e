"""The command ``admin-py study``."""

from __future__ import annotations

import argparse
from typing import Any

from admin_py.base.csv_files import to_csv
from admin_py.base.paths import path_of
from admin_py.base.streams import say
from admin_py.base.whole_files import write_whole
from admin_py.cli.bleu_options import TOLD, add_bleu, bleu_words, given_bleu
from admin_py.cli.options import (
    STOPPED,
    add_common,
    add_data,
    add_places,
    add_settings,
    given_settings,
    load_data,
    set_threads,
    show,
)
from admin_py.cli.track import add_track, trackers_of

SUMMARY = "compare schemes: profile, train, validate, report"

EXAMPLES = """\
examples:
  admin-py study
      the embedded default: numbers in words, English to German, 18-18 layers, 300 steps; report in ./study
  admin-py study --source train.en --target train.de --steps 400 --seeds 1 2 --out multi30k
      your own text, line by line, plain or .gz
  admin-py study --source train.en --target train.de --test test.en test.de --bleu
      and how well each run translates the text of --test, by beam search, scored by sacreBLEU
  admin-py study --text book.txt --layers 12 --schemes post_ln pre_ln admin deepnorm
      language models of one text
  admin-py study --schemes post_ln/pre_ln pre_ln/post_ln
      hybrids: the encoder's scheme / the decoder's

A study that was stopped goes on where it was when the same command is given again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_data(parser)
    add_settings(parser)
    parser.add_argument(
        "--samples", type=int, default=4, metavar="N", help="held-out examples to decode (default: 4)"
    )
    add_bleu(parser)
    add_track(parser)
    add_places(parser, workers="none: one run after another, here")
    add_common(parser, out="study")


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py study``."""
    from admin_py.experiments.study.study import study as run_study

    set_threads(options)
    data = load_data(options)
    found = run_study(
        data,
        **given_settings(options),
        samples=options.samples,
        bleu=given_bleu(options),
        workers=options.workers,
        keep_models=options.keep_models is not False,
        out=options.out,
        callbacks=trackers_of(options),
        progress=not options.quiet,
    )
    folder = path_of(options.out, "--out")
    if found.runs:
        write_whole(folder / "results.csv", to_csv(found.to_dataframe()))
        page = found.report(folder)
        show("\n".join([_study_table(found), *bleu_words(found.runs)]))
        show(f"report: {page}")
    if found.interrupted:
        say(f"stopped; the same command goes on from {folder}")
        return STOPPED
    return 0


def _study_table(found: Any) -> str:
    """What varies, losses, time, outcome and BLEU of every run."""
    left_out = ["diverged_at", "tokens_per_second", "num_parameters", *TOLD]
    table = found.to_dataframe().drop(columns=left_out, errors="ignore")
    return str(table.to_string(index=False, float_format="{:.3f}".format))
