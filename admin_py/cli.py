"""The command line: ``admin-py study | profile | train | analyse | grid | info``.

Exit status: 0 done, 1 an error (one line on standard error; ``--debug`` shows where), 2 wrong usage, 130
stopped by Ctrl-C with what was done kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from admin_py import analyse_command, commands, grid_command
from admin_py._version import __version__

OK, ERROR, USAGE, STOPPED = 0, 1, 2, 130

STUDY_EXAMPLES = """\
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

PROFILE_EXAMPLES = """\
examples:
  admin-py profile --layers 18
  admin-py profile --source train.en --target train.de --layers 100 --d-model 512 --d-ff 2048 --heads 8 \\
      --max-tokens 2000 --out profile100"""

TRAIN_EXAMPLES = """\
examples:
  admin-py train --scheme admin --layers 18 --steps 1000 --out run
  admin-py train --text book.txt --layers 4 --d-model 128 --optimizer adamw --steps 2000 --out shakespeare

A run that was stopped, or killed, goes on where it was when the same command is given again."""

INFO_EXAMPLES = """\
examples:
  admin-py info --memory --layers 18
  admin-py info --memory --layers 100 --d-model 512 --d-ff 2048 --heads 8 --max-tokens 4096 \\
      --checkpoint-activations"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="admin-py",
        description="Deep Transformers on a CPU: how Post-LN, Pre-LN, Admin and others train.",
    )
    parser.add_argument("--version", action="version", version=f"admin-py {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    one = _command(
        subparsers,
        "study",
        commands.study,
        "compare schemes: profile, train, validate, report",
        STUDY_EXAMPLES,
    )
    _add_data(one)
    one.add_argument(
        "--schemes",
        nargs="+",
        default=["post_ln", "pre_ln", "admin"],
        metavar="SCHEME",
        help="to compare; a hybrid is ENCODER/DECODER (default: post_ln pre_ln admin)",
    )
    _add_model(one)
    _add_training(one, steps=300)
    one.add_argument(
        "--seeds", nargs="+", type=int, default=[1], metavar="N", help="of each scheme (default: 1)"
    )
    one.add_argument(
        "--samples", type=int, default=4, metavar="N", help="held-out examples to decode (default: 4)"
    )
    _add_common(one, out="study")

    one = _command(
        subparsers,
        "profile",
        commands.profile,
        "omega and branch variances of a model, from one forward pass",
        PROFILE_EXAMPLES,
    )
    _add_data(one)
    _add_single(one)
    one.add_argument(
        "--method",
        choices=("clinic", "paper"),
        default="clinic",
        help="omega set on the way, or all at once from a pass with omega = 1 (default: clinic)",
    )
    one.add_argument("--max-tokens", type=int, default=4096, metavar="N", help="of the batch (default: 4096)")
    _add_common(one, out="profile")

    one = _command(subparsers, "train", commands.train, "train one model, with checkpoints", TRAIN_EXAMPLES)
    _add_data(one)
    _add_single(one)
    _add_training(one, steps=1000)
    one.add_argument(
        "--checkpoint-every",
        type=int,
        default=100,
        metavar="N",
        help="steps between checkpoints (default: 100)",
    )
    _add_common(one, out="run")

    one = _command(
        subparsers, "analyse", analyse_command.run, "analyse models, side by side", analyse_command.EXAMPLES
    )
    _add_data(one)
    analyse_command.add_arguments(one)
    _add_model(one)
    _add_common(one, out="analysis")

    one = _command(
        subparsers, "grid", grid_command.run, "train a cross of settings, resumably", grid_command.EXAMPLES
    )
    _add_data(one)
    grid_command.add_arguments(one)

    one = _command(
        subparsers,
        "info",
        commands.info,
        "versions, processor, BLAS, threads, schemes, memory",
        INFO_EXAMPLES,
    )
    one.add_argument("--schemes", action="store_true", help="list the schemes with formula and source")
    _add_memory(one)
    one.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    one.add_argument("--threads", type=int, metavar="N", help=argparse.SUPPRESS)
    return parser


def _command(
    subparsers: argparse._SubParsersAction, name: str, run: object, text: str, examples: str
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(
        name,
        help=text,
        description=text[:1].upper() + text[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data (default: a task that needs no files)")
    group.add_argument(
        "--task",
        choices=("numbers", "copy"),
        help="numbers in words, English to German, or symbols to be copied",
    )
    group.add_argument(
        "--source", metavar="FILE", help="text to translate from, one sentence a line, plain or .gz"
    )
    group.add_argument("--target", metavar="FILE", help="its translation, line by line")
    group.add_argument(
        "--valid-source", metavar="FILE", help="held-out text (default: a part of the training text)"
    )
    group.add_argument("--valid-target", metavar="FILE", help="its translation")
    group.add_argument("--text", metavar="FILE", help="one text, for language models")
    group.add_argument(
        "--vocab-size",
        type=int,
        metavar="N",
        help="subwords to learn (default: 8000 for sentence pairs; characters for one text)",
    )
    group.add_argument(
        "--pretokenized", action="store_true", help="words are separated by spaces, one id each"
    )
    group.add_argument("--max-lines", type=int, metavar="N", help="read no more lines of a pair of files")
    group.add_argument(
        "--context", type=int, default=256, metavar="N", help="of language models (default: 256)"
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--layers",
        type=_layers,
        default=18,
        metavar="N[,M]",
        help="of encoder and decoder, or N,M of each (default: 18)",
    )
    group.add_argument("--d-model", type=int, default=64, metavar="D", help="width (default: 64)")
    group.add_argument("--d-ff", type=int, default=128, metavar="F", help="feed-forward width (default: 128)")
    group.add_argument("--heads", type=int, default=4, metavar="H", help="of attention (default: 4)")
    group.add_argument("--dropout", type=float, default=0.1, metavar="P", help="(default: 0.1)")
    group.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="(default: float32)"
    )


def _add_memory(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("memory")
    group.add_argument(
        "--memory", action="store_true", help="what a training step of the model below holds, by part"
    )
    group.add_argument(
        "--vocab-size", type=int, default=8000, metavar="V", help="of the model (default: 8000)"
    )
    group.add_argument(
        "--max-tokens", type=int, default=4096, metavar="N", help="of a batch, on either side (default: 4096)"
    )
    group.add_argument("--scheme", default="admin", help="residual scheme (default: admin)")
    group.add_argument("--language-model", action="store_true", help="a decoder alone, which reads one text")
    group.add_argument(
        "--optimizer", choices=tuple(commands.OPTIMIZERS), default="adam", help="(default: adam)"
    )
    group.add_argument(
        "--checkpoint-activations",
        nargs="?",
        type=int,
        const=True,
        default=False,
        metavar="N",
        help="compute activations again by segments of N layers (default N: about the root of the layers)",
    )
    _add_model(parser)


def _add_single(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scheme", default="admin", help="residual scheme, see admin-py info --schemes (default: admin)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="(default: 1)")
    _add_model(parser)


def _add_training(parser: argparse.ArgumentParser, *, steps: int) -> None:
    group = parser.add_argument_group("training")
    group.add_argument("--steps", type=int, default=steps, metavar="N", help=f"(default: {steps})")
    group.add_argument(
        "--optimizer",
        choices=tuple(commands.OPTIMIZERS),
        default="adam",
        help="betas .9 and .98, eps 1e-9; sgd: momentum .9 (default: adam)",
    )
    group.add_argument(
        "--lr", type=float, default=1e-3, metavar="X", help="largest learning rate (default: 0.001)"
    )
    group.add_argument(
        "--warmup",
        type=int,
        default=100,
        metavar="N",
        help="steps of linear warm-up, then inverse square root (default: 100)",
    )
    group.add_argument("--label-smoothing", type=float, default=0.1, metavar="X", help="(default: 0.1)")
    group.add_argument(
        "--max-tokens", type=int, default=512, metavar="N", help="of a batch, on either side (default: 512)"
    )
    group.add_argument(
        "--clip-norm", type=float, metavar="X", help="largest norm of the gradient (default: none)"
    )
    group.add_argument(
        "--valid-every",
        type=int,
        metavar="N",
        help="steps between validations (default: a twelfth of the steps)",
    )


def _add_common(parser: argparse.ArgumentParser, *, out: str) -> None:
    parser.add_argument("--out", default=out, metavar="DIR", help=f"folder for the results (default: {out})")
    parser.add_argument("--threads", type=int, metavar="N", help="(default: one a processor)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")


def _layers(text: str) -> int | tuple[int, int]:
    parts = text.split(",")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, or two as 18,6, got {text!r}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def describe(error: BaseException) -> str:
    """An error in one line.

    Examples
    --------
    >>> describe(FileNotFoundError(2, "No such file or directory", "a.txt"))
    'a.txt: No such file or directory'
    >>> describe(ValueError("heads must divide\\nd_model"))
    'heads must divide d_model'
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"not enough memory{': ' + text if text else ''}"
    if isinstance(error, (ValueError, TypeError, IndexError, OSError, RuntimeError)) and text:
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        ``sys.argv[1:]`` by default.

    Returns
    -------
    int
        The exit status.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("admin-py: stopped", file=sys.stderr)
        return STOPPED
    except commands.UsageError as error:
        print(f"admin-py {options.command}: error: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        # The reader of our output has gone; nothing is left to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except Exception as error:
        if options.debug:
            raise
        print(f"admin-py: error: {describe(error)}", file=sys.stderr)
        return ERROR


if __name__ == "__main__":
    raise SystemExit(main())
