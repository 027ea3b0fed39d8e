"""The command ``admin-py diagnose``: the analysis of that name, which asks the first question of a model."""

from __future__ import annotations

import argparse

from admin_py.cli import analyse
from admin_py.cli.given import note_given, refuse, take_given
from admin_py.cli.options import add_common, add_model

SUMMARY = "a page: is a model likely to train, what speaks against it, what to change"

EXAMPLES = """\
examples:
  admin-py diagnose --scheme post_ln --layers 18
  admin-py diagnose --model opus-mt-en-de --source test.en --target test.de
      a checkpoint, or a folder of Hugging Face or of a training
  admin-py diagnose --model Llama-3.2-1B
      without text: ids drawn from its vocabulary"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    analyse.add_subjects(parser)
    add_model(parser)
    add_common(parser, out="diagnosis")
    note_given(parser)
    parser.set_defaults(analysis="diagnose")


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py diagnose``."""
    given = take_given(options)
    if options.model is not None:
        refuse(given, dict.fromkeys(("schemes", *analyse.MODEL_OPTIONS), analyse.FRESH))
    return analyse.analyse(options, ["diagnose"])
