"""What commands have in common: options, and the data and models that they name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from admin_py.experiments.settings import OPTIMIZERS, layers_of
from admin_py.model.config import TransformerConfig

if TYPE_CHECKING:
    from admin_py.data import Dataset
    from admin_py.data.batch import Batch
    from admin_py.model.transformer import Transformer

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

    source, target = (options.source, options.target)
    named = [options.task is not None, source is not None or target is not None, options.text is not None]
    if sum(named) > 1:
        raise UsageError("give one of --task, --source with --target, and --text")
    if (source is None) != (target is None):
        raise UsageError("--source and --target go together")
    held_out = {name: _held_out(options, name) for name in ("valid", "test")}
    for kind, used, names in (
        ("--source and --target", source is not None, ("pretokenized", "max_lines")),
        ("--text", options.text is not None, ("context", "valid_text", "test_text")),
        ("--source or --text", any(named[1:]), ("vocab_size",)),
    ):
        for name in names:
            value = getattr(options, name)
            if not used and value is not None and value is not False:
                raise UsageError(f"--{name.replace('_', '-')} goes with {kind}")
    if source is not None:
        return data.parallel_text(
            source,
            target,
            vocab_size=options.vocab_size,
            pretokenized=options.pretokenized,
            max_lines=options.max_lines,
            valid=held_out["valid"],
            test=held_out["test"],
        )
    if options.text is not None:
        given: dict[str, Any] = {
            "context": options.context,
            "valid": options.valid_text,
            "test": options.test_text,
        }
        given = {name: value for name, value in given.items() if value is not None}
        return data.text(options.text, vocab_size=options.vocab_size, **given)
    return data.copy_task() if options.task == "copy" else data.number_words()


def _held_out(options: argparse.Namespace, name: str) -> tuple[str, str] | None:
    """The pair of files of a split, or none."""
    source, target = (getattr(options, f"{name}_{side}") for side in ("source", "target"))
    if source is None and target is None:
        return None
    if source is None or target is None or options.source is None:
        raise UsageError(f"--{name}-source and --{name}-target go together, with --source and --target")
    return source, target


def set_threads(options: argparse.Namespace) -> None:
    """The number of threads that the options give, if they do."""
    if options.threads is not None:
        from admin_py.base.threads import set_num_threads

        set_num_threads(options.threads)


def model_of(options: argparse.Namespace) -> tuple[Transformer, Batch, Dataset]:
    """A model of the options, the batch that its training begins with, and the data."""
    set_threads(options)
    data = load_data(options)
    return *fresh_model(options, data, options.scheme, options.seed), data


def fresh_model(
    options: argparse.Namespace, data: Dataset, scheme: str, seed: int
) -> tuple[Transformer, Batch]:
    """A model of a scheme with the sizes of the options, and the batch that its training begins with."""
    from admin_py.model.transformer import Transformer

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
    from admin_py.model.transformer import Transformer

    model = Transformer.load(options.model)
    data = load_data(options)
    if data.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"--model: {options.model} has a vocabulary of {model.config.vocab_size} ids, the data "
            f"{data.name} one of {data.vocab_size}"
        )
    return model, next(data.batches(max_tokens=options.max_tokens, seed=seed)), data


def add_data(parser: argparse.ArgumentParser) -> None:
    """Options that name the data."""
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
    group.add_argument(
        "--test-source", metavar="FILE", help="text for a split that no training looks at (default: none)"
    )
    group.add_argument("--test-target", metavar="FILE", help="its translation")
    group.add_argument("--text", metavar="FILE", help="one text, for language models")
    group.add_argument(
        "--valid-text", metavar="FILE", help="held-out text (default: the last tenth of the text)"
    )
    group.add_argument(
        "--test-text", metavar="FILE", help="text for a split that no training looks at (default: none)"
    )
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
        "--context", type=int, metavar="N", help="tokens that a language model reads (default: 256)"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Sizes of a model."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--layers",
        type=layers,
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


def add_single(parser: argparse.ArgumentParser) -> None:
    """Scheme, seed and sizes of one model."""
    parser.add_argument(
        "--scheme", default="admin", help="residual scheme, see admin-py info --schemes (default: admin)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="(default: 1)")
    add_model(parser)


def add_training(parser: argparse.ArgumentParser, *, steps: int) -> None:
    """How to train."""
    group = parser.add_argument_group("training")
    group.add_argument("--steps", type=int, default=steps, metavar="N", help=f"(default: {steps})")
    group.add_argument(
        "--optimizer",
        choices=tuple(OPTIMIZERS),
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


def add_common(parser: argparse.ArgumentParser, *, out: str) -> None:
    """Where to, threads, progress, errors."""
    parser.add_argument("--out", default=out, metavar="DIR", help=f"folder for the results (default: {out})")
    parser.add_argument("--threads", type=int, metavar="N", help="(default: one a processor)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")


def layers(text: str) -> int | tuple[int, int]:
    """A number of layers, or two, from an option."""
    parts = text.split(",")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, or two as 18,6, got {text!r}")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])
