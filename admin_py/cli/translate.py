"""The command ``admin-py translate``: a filter, lines in and lines out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from admin_py.base.progress import Bar, shows_bars
from admin_py.base.streams import is_terminal, say
from admin_py.cli.given import note_given, refuse, take_given
from admin_py.cli.input_lines import windows
from admin_py.cli.lines_out import LinesOut, ReaderGone
from admin_py.cli.options import add_running, set_threads
from admin_py.cli.search_options import SEARCH_OPTIONS, add_search, search_of
from admin_py.cli.train import KEPT
from admin_py.generation.limits import BATCH_SIZE

if TYPE_CHECKING:
    from admin_py.cli.translated_lines import TranslatedLines
    from admin_py.experiments.decoding import Translation
    from admin_py.experiments.trained import TrainedModel

SUMMARY = "translate lines, or continue them: a filter"

EXAMPLES = """\
examples:
  admin-py translate run < test.en > test.de
  admin-py translate --beam 5 --lenpen 0.6 --average 10 run < test.en > test.de
  admin-py translate run --beam 5 --nbest 3 < test.en
      lines as Moses writes them: number ||| translation ||| LogProb= sum ||| score
  admin-py translate shakespeare --sample --temperature 0.8 --seed 3 --max-new-tokens 200 < prompts.txt

RUN is a folder of admin-py train. Every line has its line, in order, as soon as it is there; an empty one
stays empty. A language model continues the lines. What --beam and the others of the search are by default the
recipe of the training says; without one the likeliest token is taken each time. Ends of lines inside of what
is found are written as \\n."""

WINDOW = 8
"""Batches whose lines are sorted by their length together."""

DRAW_OPTIONS = ("temperature", "top_k", "top_p", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run_folder", metavar="RUN", help="folder of a trained model")
    group = parser.add_argument_group("search (default: as the recipe of the training says)")
    add_search(group)
    group.add_argument(
        "--nbest", type=int, metavar="N", help="write so many for each line, with their scores"
    )
    _add_draw(parser)
    parser.add_argument(
        "--average",
        type=int,
        metavar="N",
        help="take the mean of the weights of the last N epochs, where train has kept so many",
    )
    parser.add_argument(
        "--max-new-tokens", type=int, metavar="N", help="of each line at most (default: as many as fit)"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=BATCH_SIZE,
        metavar="N",
        help="lines that are read at once (default: %(default)s)",
    )
    parser.add_argument(
        "--split",
        action="store_true",
        help="cut a line that is too long for the model at ends of sentences and translate each part, "
        "instead of its beginning alone",
    )
    parser.add_argument(
        "--errors",
        choices=("strict", "replace"),
        default="strict",
        help="bytes that are not UTF-8 are an error, or unknown letters (default: strict)",
    )
    add_running(parser)
    note_given(parser)


def _add_draw(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("draw")
    group.add_argument("--sample", action="store_true", help="draw tokens instead of searching")
    group.add_argument("--temperature", type=float, default=1.0, metavar="X", help="(default: 1)")
    group.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens alone")
    group.add_argument(
        "--top-p", type=float, metavar="P", help="draw from the fewest tokens with P of the probability"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py translate``."""
    given = take_given(options)
    if options.sample:
        refuse(given, dict.fromkeys(("beam", "nbest", *SEARCH_OPTIONS), "a search: --sample draws"))
    else:
        refuse(given, dict.fromkeys(DRAW_OPTIONS, "--sample"))
    if options.nbest is not None:
        refuse(given, {"split": "one translation a line, without --nbest"})
    set_threads(options)
    trained = _opened(options.run_folder, options.average)
    lines = _translated(options, given, trained)
    return _filter(options, lines)


def _opened(path: str, last: int | None) -> TrainedModel:
    """The trained model of a folder, whose weights are finite, or with the mean of the last ones."""
    from admin_py.base.checks import with_article
    from admin_py.base.paths import path_of
    from admin_py.experiments.trained import TrainedModel
    from admin_py.loading import load
    from admin_py.model.state import check_weights
    from admin_py.training.average import average

    trained = load(path)
    if not isinstance(trained, TrainedModel):
        raise ValueError(
            f"RUN: {path!r} holds {with_article(type(trained).__name__)}, expected the folder of a trained "
            "model, as admin-py train and TrainedModel.save write it"
        )
    if last is not None:
        return replace(trained, model=average(path_of(path, "RUN") / KEPT, last=last))
    check_weights(trained.model.parameters, f"RUN: {path!r}")
    return trained


def _translated(
    options: argparse.Namespace, given: Mapping[str, str], trained: TrainedModel
) -> TranslatedLines:
    """What finds the translations of lines, as the options say."""
    from admin_py.cli.translated_lines import TranslatedLines
    from admin_py.experiments.decoding import decoding_of, told_search

    told = told_search(trained.settings)
    if options.beam is None and not told:
        refuse(given, dict.fromkeys(("nbest", *SEARCH_OPTIONS), "--beam"))
    asked: dict[str, Any] = {"n_best": options.nbest, **search_of(options, told)}
    asked["max_new_tokens"] = options.max_new_tokens
    if options.sample:
        asked |= {name: getattr(options, name) for name in DRAW_OPTIONS}
    decoding = decoding_of(trained.settings, asked)
    return TranslatedLines(trained, decoding, batch_size=options.batch_size, split=options.split)


def _filter(options: argparse.Namespace, lines: TranslatedLines) -> int:
    """Translate the lines of the standard input stream; the exit status."""
    bar = None
    if not options.quiet and shows_bars() and not is_terminal(sys.stdout):
        bar = Bar(None, 0, what="translating", unit="line")
    out = LinesOut(None if bar is None else lambda count: bar.update(count=count))
    first = 0
    try:
        for window in windows(0, WINDOW * options.batch_size, errors=options.errors):
            try:
                for number, found in lines.find(window, first, (bar.note if bar is not None else say)):
                    out.put(number, _shown(number, found, nbest=options.nbest is not None))
                    out.write()
            except KeyboardInterrupt:
                out.write()
                raise
            first += len(window)
    except ReaderGone:
        pass
    finally:
        if bar is not None:
            bar.close()
    return 0


def _shown(number: int, found: list[Translation], *, nbest: bool) -> list[str]:
    """The lines that stand for one."""
    if not nbest:
        return [found[0].text]
    return [
        f"{number} ||| {one.text} ||| LogProb= {one.log_probability:.6f} ||| {one.score:.6f}" for one in found
    ]
