"""What commands have in common: options, and the data and models that they name."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin_py.base.locks import locked
from admin_py.base.paths import path_of
from admin_py.base.streams import say, say_result
from admin_py.base.whole_files import clear_all_aside
from admin_py.experiments.configuration import configuration
from admin_py.experiments.settings import SETTINGS, Setting
from admin_py.experiments.train_settings import model_settings
from admin_py.experiments.train_settings import setting as row_of

if TYPE_CHECKING:
    from admin_py.data import Dataset
    from admin_py.data.batch import Batch
    from admin_py.model.transformer import Transformer

STOPPED = 130


def show(text: str) -> None:
    """Print what was found; it lies in files already, so where it cannot be printed a line says why."""
    lost = say_result(text)
    if lost is not None:
        say(f"the standard output stream cannot be written: {lost}")


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
    if options.tokenizer is not None and options.vocab_size is not None:
        raise UsageError("--tokenizer has a vocabulary: --vocab-size learns another one")
    held_out = {name: _held_out(options, name) for name in ("valid", "test")}
    for kind, used, names in (
        ("--source and --target", source is not None, ("pretokenized", "moses", "max_lines")),
        ("--moses", options.moses is not None, ("codes",)),
        ("--text", options.text is not None, ("context", "valid_text", "test_text")),
        ("--source or --text", any(named[1:]), ("vocab_size", "tokenizer")),
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
            tokenizer=options.tokenizer,
            pretokenized=options.pretokenized,
            moses=None if options.moses is None else tuple(options.moses),
            codes=options.codes,
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
        return data.text(options.text, vocab_size=options.vocab_size, tokenizer=options.tokenizer, **given)
    return data.copy_task() if options.task == "copy" else data.number_words()


def _held_out(options: argparse.Namespace, name: str) -> tuple[str, str] | None:
    """The pair of files of a split, or none."""
    source, target = (getattr(options, f"{name}_{side}") for side in ("source", "target"))
    both = getattr(options, name)
    if both is not None:
        if source is not None or target is not None:
            raise UsageError(f"--{name} is --{name}-source and --{name}-target, give one or the other")
        source, target = both
    if source is None and target is None:
        return None
    if source is None or target is None or options.source is None:
        typed = f"--{name} goes" if both is not None else f"--{name}-source and --{name}-target go together,"
        raise UsageError(f"{typed} with --source and --target")
    return source, target


def set_threads(options: argparse.Namespace) -> None:
    """The number of threads that the options give, if they do."""
    if options.threads is not None:
        from admin_py.base.threads import set_num_threads

        set_num_threads(options.threads)


@contextmanager
def out_folder(options: argparse.Namespace) -> Iterator[Path]:
    """The folder of ``--out`` for this process alone, made if it is not there, without what killed ones left.

    Raises
    ------
    InUse
        If another process has it.
    OSError
        If it cannot be written.
    """
    folder = path_of(options.out, "--out")
    with locked(folder, "--out"):
        clear_all_aside(folder)
        yield folder


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

    values = {**vars(options), "scheme": scheme}
    more = model_settings(values, data.longest)
    config = configuration(values, data.kind, vocab_size=data.vocab_size, **more)
    model = Transformer(config, seed=seed, dtype=options.dtype)
    return model, next(data.batches(max_tokens=options.max_tokens, seed=seed))


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
    group.add_argument("--valid", nargs=2, metavar=("SRC", "TGT"), help="the two at once")
    group.add_argument(
        "--test-source", metavar="FILE", help="text for a split that no training looks at (default: none)"
    )
    group.add_argument("--test-target", metavar="FILE", help="its translation")
    group.add_argument("--test", nargs=2, metavar=("SRC", "TGT"), help="the two at once")
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
        "--tokenizer",
        metavar="FILE",
        help="a saved vocabulary, such as the tokenizer.json of train, instead of learning one",
    )
    group.add_argument(
        "--pretokenized", action="store_true", help="words are separated by spaces, one id each"
    )
    group.add_argument(
        "--moses",
        nargs=2,
        metavar="CODE",
        help="languages of source and target, such as en de: cut into tokens in lower case, as Moses does",
    )
    group.add_argument(
        "--codes", metavar="FILE", help="cut these tokens into subwords by codes of subword-nmt"
    )
    group.add_argument("--max-lines", type=int, metavar="N", help="read no more lines of a pair of files")
    group.add_argument(
        "--context", type=int, metavar="N", help="tokens that a language model reads (default: 256)"
    )


MODEL = ("layers", "d_model", "d_ff", "heads", "dropout", "activation", "init_gain", "dtype")
TRAINING = (
    "steps",
    "optimizer",
    "lr",
    "beta2",
    "warmup",
    "schedule",
    "label_smoothing",
    "max_tokens",
    "clip_norm",
    "valid_every",
)
"""Settings by group of the help."""


def add_setting(
    parser: Any, name: str, *, axis: bool = False, optional: bool = False, alias: str = ""
) -> None:
    """A setting of the table as an option.

    Parameters
    ----------
    parser : ArgumentParser or group
    name : str
        As in `admin_py.experiments.settings.SETTINGS` or `TRAIN_SETTINGS`.
    axis : bool
        Whether it takes several values.
    optional : bool
        Whether it is None where it is not given, and not the table's default, which the help tells.
    alias : str
        Another name.
    """
    setting = row_of(name)
    usual = setting.default
    told = "none" if usual is None else " ".join(map(str, usual)) if isinstance(usual, list) else str(usual)
    words = (
        f"{setting.words} (default: {told})"
        if usual is not None or "(" not in setting.words
        else setting.words
    )
    options: dict[str, Any] = {"nargs": "+"} if axis else {}
    if setting.kind is bool:  # None where it is not given, so that argparse tells no default itself
        options["action"] = argparse.BooleanOptionalAction
    elif setting.choices:
        options["choices"] = setting.choices
    else:
        options |= {"type": _typed(setting), "metavar": setting.metavar}
    flags = [f"--{name.replace('_', '-')}", *([f"--{alias}"] if alias else [])]
    parser.add_argument(*flags, dest=name, help=words.strip(), default=None if optional else usual, **options)


def _typed(setting: Setting) -> Callable[[str], Any]:
    """Its type, with an error that says what was expected."""

    def read(text: str) -> Any:
        try:
            return setting.kind(text)
        except ValueError:
            wanted = {"N[,M]": "a number from 1, or two as 18,6"}.get(setting.metavar, "a number")
            raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}") from None

    return read


ALIASES = {"schemes": "scheme", "seeds": "seed", "layers": "depth"}
"""Other names of settings that may vary."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """All settings of studies and grids: those that may vary take several values."""

    def add(group: Any, name: str) -> None:
        may_vary = bool(SETTINGS[name].axis)
        add_setting(group, name, axis=may_vary, optional=True, alias=ALIASES.get(name, ""))

    add(parser, "schemes")
    add(parser, "seeds")
    for title, names in {"model": MODEL, "training": TRAINING}.items():
        group = parser.add_argument_group(title)
        for name in names:
            add(group, name)


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were typed, as arguments of `study` and `grid`: several values are a list."""
    return {name: getattr(options, name) for name in SETTINGS if getattr(options, name) is not None}


def add_places(parser: argparse.ArgumentParser, *, workers: str) -> None:
    """Where trainings are done and what is kept of them."""
    parser.add_argument("--workers", type=int, metavar="N", help=f"processes (default: {workers})")
    parser.add_argument(
        "--keep-models",
        action=argparse.BooleanOptionalAction,
        help="keep the trained models beside the results",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Sizes of a model."""
    group = parser.add_argument_group("model")
    for name in MODEL:
        add_setting(group, name)


def add_single(parser: argparse.ArgumentParser) -> None:
    """Scheme, seed and sizes of one model."""
    parser.add_argument(
        "--scheme", default="admin", help="residual scheme, see admin-py info --schemes (default: admin)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="(default: 1)")
    add_model(parser)


def add_training(parser: argparse.ArgumentParser) -> None:
    """How to train."""
    group = parser.add_argument_group("training")
    for name in TRAINING:
        add_setting(group, name)


def add_common(parser: argparse.ArgumentParser, *, out: str) -> None:
    """Where to, threads, progress, errors."""
    parser.add_argument("--out", default=out, metavar="DIR", help=f"folder for the results (default: {out})")
    add_running(parser)


def add_running(parser: argparse.ArgumentParser) -> None:
    """Threads, progress, errors."""
    parser.add_argument("--threads", type=int, metavar="N", help="(default: one a processor)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
