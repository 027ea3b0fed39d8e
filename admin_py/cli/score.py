"""The command ``admin-py score``: scores of translations in files, and whether systems differ."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from admin_py import scores
from admin_py.base.printable import printable
from admin_py.base.streams import say, say_result
from admin_py.cli.given import note_given, refuse, take_given
from admin_py.data.reading import read_lines
from admin_py.scores import Comparison, Score
from admin_py.scores.comparison import RESAMPLES, SEED

SUMMARY = "BLEU, chrF and TER of translations, and whether systems differ"

EXAMPLES = """\
examples:
  admin-py score --system translated.txt --reference test.de
  admin-py score --system admin.txt --against post_ln.txt --reference test.de --metrics bleu chrf
      and how often a difference as large comes by chance
  admin-py score --system admin.tok --reference test.tok.de --convention published
      text that is tokenised, in lower case, its subwords joined"""

SCORERS = {"bleu": scores.bleu, "chrf": scores.chrf, "ter": scores.ter}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "--system", nargs="+", required=True, metavar="FILE", help="translations, one a line, plain or .gz"
    )
    parser.add_argument(
        "--reference",
        nargs="+",
        required=True,
        metavar="FILE",
        help="what they should be, line by line; where there are several files, a blank line is none",
    )
    parser.add_argument(
        "--against", metavar="FILE", help="what systems are compared with (default: the first of several)"
    )
    parser.add_argument(
        "--convention",
        choices=scores.CONVENTIONS,
        default="detokenised",
        help="plain text, or text that is tokenised already (default: detokenised)",
    )
    parser.add_argument(
        "--metrics", nargs="+", choices=tuple(scores.METRICS), default=["bleu"], help="(default: bleu)"
    )
    parser.add_argument(
        "--resamples",
        type=int,
        default=RESAMPLES,
        metavar="N",
        help=f"of the sentences, by which systems are compared (default: {RESAMPLES})",
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, metavar="N", help=f"of the resamples (default: {SEED})"
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    note_given(parser)


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py score``."""
    given = take_given(options)
    names = list(dict.fromkeys([*([options.against] if options.against else []), *options.system]))
    if len(names) == 1:
        refuse(given, dict.fromkeys(("against", "resamples", "seed"), "several systems"))
    references = _references(options.reference)
    systems = {printable(name): _lines(name, len(references)) for name in names}
    found: dict[str, list[Score]] = {}
    compared = []
    with _said_warnings():
        for metric in dict.fromkeys(options.metrics):
            for name, lines in systems.items():
                score = SCORERS[metric](lines, references, convention=options.convention)
                found.setdefault(name, []).append(score)
            if len(systems) > 1:
                compared.append(_compare(systems, references, metric, options))
    lost = say_result((_as_json if options.json else _as_text)(found, compared))
    if lost is not None:
        raise OSError(f"the standard output stream cannot be written: {lost}")
    return 0


def _compare(
    systems: Mapping[str, list[str]],
    references: Sequence[Sequence[str]],
    metric: str,
    options: argparse.Namespace,
) -> Comparison:
    return scores.paired_bootstrap(
        systems,
        references,
        metric=metric,  # type: ignore[arg-type]  # one of the choices
        convention=options.convention,
        resamples=options.resamples,
        seed=options.seed,
    )


def _references(paths: Sequence[str]) -> list[list[str]]:
    """The references of each sentence, from files that match line by line."""
    files = {path: list(read_lines(path, "--reference")) for path in dict.fromkeys(paths)}
    first = paths[0]
    for path, lines in files.items():
        if len(lines) != len(files[first]):
            raise ValueError(
                f"--reference: {first!r} has {len(files[first])} lines and {path!r} has {len(lines)}"
            )
    return [list(one) for one in zip(*files.values(), strict=True)]


def _lines(path: str, count: int) -> list[str]:
    lines = list(read_lines(path, "--system"))
    if len(lines) != count:
        raise ValueError(f"--system: {path!r} has {len(lines)} lines, the reference {count}")
    return lines


@contextmanager
def _said_warnings() -> Iterator[None]:
    """Each warning inside the block as one line on the standard error stream."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(one.message) for one in caught):
        say(f"admin-py: warning: {text}")


def _as_text(found: Mapping[str, Sequence[Score]], compared: Sequence[Comparison]) -> str:
    lines = []
    for name, of_system in found.items():
        lines += [name, *(f"    {one._summary()}" for one in of_system)]
    return "\n".join([*lines, *(f"\n{one!r}" for one in compared)])


def _as_json(found: Mapping[str, Sequence[Score]], compared: Sequence[Comparison]) -> str:
    told = {
        "scores": {name: [one.to_dict() for one in of_system] for name, of_system in found.items()},
        "comparisons": [one.to_dict() for one in compared],
    }
    return json.dumps(told, indent=2, ensure_ascii=False)
