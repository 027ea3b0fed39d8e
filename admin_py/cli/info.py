"""The command ``admin-py info``."""

from __future__ import annotations

import argparse

from admin_py import schemes
from admin_py.base import defaults
from admin_py.base.streams import say_result
from admin_py.cli.given import note_given, refuse, take_given
from admin_py.cli.options import UsageError, add_model
from admin_py.experiments.configuration import configuration
from admin_py.experiments.settings import OPTIMIZERS

SUMMARY = "versions, processor, BLAS, threads, schemes, memory"

EXAMPLES = """\
examples:
  admin-py info --memory --layers 18
  admin-py info --memory --layers 100 --d-model 512 --d-ff 2048 --heads 8 --max-tokens 4096 \\
      --checkpoint-activations"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--schemes", action="store_true", help="list the schemes with formula and source")
    _add_memory(parser)
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    note_given(parser)


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py info``."""
    from admin_py.base.versions import versions_table

    given = take_given(options)
    if options.schemes and options.memory:
        raise UsageError("give one of --schemes and --memory")
    if not options.memory:
        refuse(given, {name: "--memory" for name in given if name not in ("schemes", "debug")})
    if options.memory:
        refuse(given, dict.fromkeys(("dropout", "init_gain"), "trainings: it takes no memory"))
    if options.schemes:
        return _told(_schemes())
    if options.memory:
        return _told(_memory(options))
    return _told(versions_table())


def _told(text: str) -> int:
    """Print what was asked for, which is nowhere else; the exit status."""
    lost = say_result(text)
    if lost is None:
        return 0
    raise OSError(f"the standard output stream cannot be written: {lost}")


def _schemes() -> str:
    found = map(schemes.get, schemes.names())
    return "\n".join(f"{one.name}\n    {one.summary}\n    {one.source}" for one in found)


def _memory(options: argparse.Namespace) -> str:
    from admin_py.training.memory import plan_memory

    kind = "language_model" if options.language_model else "translation"
    config = configuration(vars(options), kind, vocab_size=options.vocab_size)
    plan = plan_memory(
        config,
        max_tokens=options.max_tokens,
        optimizer=OPTIMIZERS[options.optimizer](lr=0.0),
        checkpoint_activations=options.checkpoint_activations,
        accumulate=options.accumulate,
        ranks=options.ranks,
        dtype=options.dtype,
    )
    return f"{config.num_parameters:,} parameters\n{plan!r}"


def _add_memory(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("memory")
    group.add_argument(
        "--memory", action="store_true", help="what a training step of the model below holds, by part"
    )
    group.add_argument(
        "--vocab-size", type=int, default=8000, metavar="V", help="of the model (default: 8000)"
    )
    group.add_argument(
        "--max-tokens",
        type=int,
        default=defaults.MAX_TOKENS,
        metavar="N",
        help="of a batch, on either side (default: %(default)s)",
    )
    group.add_argument("--scheme", default="admin", help="residual scheme (default: admin)")
    group.add_argument("--language-model", action="store_true", help="a decoder alone, which reads one text")
    group.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="adam", help="(default: adam)")
    group.add_argument(
        "--checkpoint-activations",
        nargs="?",
        type=int,
        const=True,
        default=False,
        metavar="N",
        help="compute activations again by segments of N layers (default N: about the root of the layers)",
    )
    group.add_argument(
        "--accumulate",
        type=int,
        default=1,
        metavar="N",
        help="batches whose gradients are summed for a step (default: 1)",
    )
    group.add_argument(
        "--ranks", type=int, default=1, metavar="N", help="processes that share the training (default: 1)"
    )
    add_model(parser)
