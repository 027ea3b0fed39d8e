"""``admin-py analyse``: its options, and what it writes of one model or of several schemes side by side."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from admin_py.analysis.perturbation import SIZES
from admin_py.analysis.unmeasured import Measures, Unmeasured
from admin_py.base.csv_files import to_csv
from admin_py.base.streams import say
from admin_py.base.whole_files import write_whole
from admin_py.cli.analysis_pictures import PICTURES
from admin_py.cli.given import note_given, refuse, take_given
from admin_py.cli.given_model import open_model, read_batch
from admin_py.cli.options import (
    UsageError,
    add_common,
    add_data,
    add_model,
    fresh_model,
    load_data,
    out_folder,
    set_threads,
    show,
)
from admin_py.experiments.jobs import file_name
from admin_py.experiments.settings import OPTIMIZERS
from admin_py.plots.files import FORMATS, write_picture
from admin_py.results import Result

if TYPE_CHECKING:
    from admin_py.data import Dataset
    from admin_py.data.batch import Batch
    from admin_py.experiments.examination.results import Examination
    from admin_py.model.transformer import Transformer

SUMMARY = "analyse models, side by side"

EXAMPLES = """\
examples:
  admin-py analyse gradients --schemes post_ln pre_ln admin --seeds 1 2 3
      side by side, as in the paper's figure; seeds as error bars
  admin-py analyse dependency --source train.en --target train.de --schemes post_ln/pre_ln
      a hybrid: the encoder's scheme / the decoder's
  admin-py analyse all --layers 18 --format png pdf --out analyses
  admin-py analyse updates --schemes post_ln admin --steps 100
  admin-py analyse output-change --perturbation adam --lr 1e-4 --repeats 10
  admin-py analyse --model Llama-3.2-1B --text book.txt
      all of one model, and a page; a checkpoint, or a folder of Hugging Face or of a training"""

ANALYSES = {
    "dependency": "what the output of every sub-layer is made of",
    "output-change": "how far small moves of the weights move it, at all depths",
    "gradients": "norm per sub-layer and per weight matrix",
    "updates": "norms of gradient and update per matrix, over a short training of a copy",
    "diagnose": "a page: what to expect of the model before it is trained",
    "all": "each of them",
}
"""Name on the command line -> what it finds."""

MODEL_OPTIONS = ("layers", "d_model", "d_ff", "heads", "dropout", "dtype")
"""What `add_model` adds: a saved model has its own."""

FRESH = "fresh models: --model has its own"

OBSERVED = 20
"""Steps of the short training that are looked at, about."""


class Subject(NamedTuple):
    """A model that is analysed, with the seed of its weights or, of one that was given, of its batch."""

    seed: int
    model: Transformer
    batch: Batch
    data: Dataset | None
    """None where ids were drawn."""
    examined: Examination | None = None
    """All of a model that was given, where all of it is asked for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "analysis",
        nargs="?",
        default="all",
        choices=tuple(ANALYSES),
        help="; ".join(f"{name}: {text}" for name, text in ANALYSES.items()) + " (default: all)",
    )
    add_subjects(parser)
    _add_updates(parser)
    _add_output_change(parser)
    add_model(parser)
    add_common(parser, out="analysis")
    note_given(parser)


def add_subjects(parser: argparse.ArgumentParser) -> None:
    """The options that name data, models and pictures."""
    add_data(parser)
    parser.add_argument(
        "--schemes",
        "--scheme",
        nargs="+",
        metavar="SCHEME",
        help="residual schemes side by side, see admin-py info --schemes; a hybrid is ENCODER/DECODER "
        "(default: admin)",
    )
    parser.add_argument(
        "--seeds", "--seed", nargs="+", type=int, default=[1], metavar="N", help="of each scheme (default: 1)"
    )
    parser.add_argument(
        "--model",
        metavar="PATH",
        help="a model instead of fresh ones: a file, the folder of a training, or what convert reads",
    )
    parser.add_argument(
        "--max-tokens", type=int, default=512, metavar="N", help="of the batch (default: 512)"
    )
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, default=["png"], help="of the pictures (default: png)"
    )


def _add_updates(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("updates")
    group.add_argument(
        "--steps", type=int, default=50, metavar="N", help="of the short training (default: 50)"
    )
    group.add_argument(
        "--optimizer", choices=tuple(OPTIMIZERS), default="adam", help="as for train (default: adam)"
    )
    group.add_argument(
        "--lr",
        type=float,
        default=1e-3,
        metavar="X",
        help="from the first step on; of output-change's optimizer, too (default: 0.001)",
    )


def _add_output_change(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output-change")
    group.add_argument(
        "--perturbation",
        choices=(*SIZES, *OPTIMIZERS),
        default="random",
        help="coins, the gradient's signs, or the first step of an optimizer (default: random)",
    )
    sizes = ", ".join(f"{size:g} {name}" for name, size in SIZES.items())
    group.add_argument(
        "--size", type=float, metavar="X", help=f"of the change of a weight, not of optimizers ({sizes})"
    )
    group.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="other coins or other dropout (default: 3)"
    )


def run(options: argparse.Namespace) -> int:
    """Analyse all schemes and seeds; write JSON and tables of each, and pictures of all together."""
    names = [name for name in ANALYSES if name != "all"] if options.analysis == "all" else [options.analysis]
    _refuse_unused(options, take_given(options), names)
    return analyse(options, names)


def analyse(options: argparse.Namespace, names: Sequence[str]) -> int:
    """Take these analyses of all that the options name, and write them; the exit status."""
    subjects = list(_subjects(options))
    written = 0
    with out_folder(options) as folder:
        for name in names:
            found = _take(name, subjects, options)
            if not found:
                continue
            formats = tuple(dict.fromkeys(options.format))
            taken, results = zip(*found, strict=True)
            files = _write(name, taken, results, folder, formats)
            for result in results:
                show(str(result))
            show(f"written to {folder}: {', '.join(files)}")
            written += 1
        for one in subjects:
            if one.examined is not None:
                one.examined.save(folder / "examination.json")
                show(f"written to {one.examined.report(folder)}: all of it as a page")
    return 0 if written else 1


def _take(name: str, subjects: Sequence[Subject], options: argparse.Namespace) -> list[tuple[Subject, Any]]:
    """The results of one analysis; which are missing, and why, is said on the standard error stream.

    Raises
    ------
    ValueError
        If it was asked for one analysis of one model, and that is missing.
    """
    if len(subjects) == 1 and options.analysis != "all":
        return [(subjects[0], _find(name, subjects[0], options))]
    measures = Measures((Unmeasured,))
    found = []
    for one in subjects:
        what = f"{name} of {one.model.config.scheme_name}, seed {one.seed}"
        result = measures.take(what, partial(_find, name, one, options))
        if result is not None:
            found.append((one, result))
        elif what in measures.without:
            say(f"{what}: not measured: {measures.without[what]}")
    return found


def _refuse_unused(options: argparse.Namespace, given: Mapping[str, str], names: Sequence[str]) -> None:
    """UsageError if an option was given that none of these analyses looks at."""
    moved_by_optimizer = options.perturbation in OPTIMIZERS
    unused: dict[str, str] = {}
    if "updates" not in names:
        unused |= {"steps": "updates", "optimizer": "updates"}
        if "output-change" not in names:
            unused["lr"] = "updates, and with output-change --perturbation of an optimizer"
        elif not moved_by_optimizer:
            unused["lr"] = "updates, and with --perturbation of an optimizer"
    if "output-change" not in names:
        unused |= dict.fromkeys(("perturbation", "size", "repeats"), "output-change")
    elif moved_by_optimizer:
        unused["size"] = f"--perturbation {' and '.join(SIZES)}: an optimizer's step has --lr"
    if options.model is not None:
        unused |= dict.fromkeys(("schemes", *MODEL_OPTIONS), FRESH)
    refuse(given, unused)


def _subjects(options: argparse.Namespace) -> Iterator[Subject]:
    """The models that the options name, profiled where they are fresh."""
    set_threads(options)
    if options.model is not None:
        if len(options.seeds) > 1:
            raise UsageError("--model is one model: give one of --seeds with it")
        own, seed = open_model(options.model), options.seeds[0]
        batch, its_data = read_batch(options, own, seed)
        examined = _examine(options, own.model, batch) if options.analysis == "all" else None
        yield Subject(seed, own.model, batch, its_data, examined)
        return
    data = load_data(options)
    for name in ("schemes", "seeds"):
        given = getattr(options, name) or ["admin"]
        if len(set(given)) < len(given):
            twice = next(one for one in given if given.count(one) > 1)
            raise ValueError(f"--{name}: got {twice} twice")
    for scheme in options.schemes or ["admin"]:
        for seed in options.seeds:
            model, batch = fresh_model(options, data, scheme, seed)
            model.profile(batch, seed=seed)
            yield Subject(seed, model, batch, data)


def _examine(options: argparse.Namespace, model: Transformer, batch: Batch) -> Examination:
    """All of one model."""
    from admin_py.experiments.examination.examine import examine

    name, bar = Path(options.model).name, not options.quiet
    return examine(model, batch, name=name, repeats=options.repeats, progress=bar)


def _is_examined(name: str, options: argparse.Namespace) -> bool:
    """Whether an examination has this analysis, as the options say."""
    if name == "output-change":
        return options.perturbation == "random" and options.size is None
    return name != "updates"


def _examined(name: str, found: Examination) -> Any:
    """A result of an examination.

    Raises
    ------
    Unmeasured
        If it has none.
    """
    if name == "diagnose":
        return found.diagnosis
    part = name.replace("-", "_")
    result = getattr(found, part)
    if result is None:
        raise Unmeasured(found.without[part])
    return result


def _find(name: str, one: Subject, options: argparse.Namespace) -> Any:
    """The result of one analysis of one model."""
    from admin_py import analysis
    from admin_py.analysis.diagnosis.diagnose import diagnose

    if one.examined is not None and _is_examined(name, options):
        return _examined(name, one.examined)
    if name == "updates":
        if one.data is None:
            raise Unmeasured("updates train on text: name it by --text, or --source and --target")
        optimizer = OPTIMIZERS[options.optimizer](lr=options.lr)
        return analysis.updates(
            one.model,
            one.data,
            optimizer=optimizer,
            steps=options.steps,
            max_tokens=options.max_tokens,
            observe=max(1, options.steps // OBSERVED),
            progress=not options.quiet,
        )
    if name == "output-change":
        moved_by = OPTIMIZERS.get(options.perturbation)
        return analysis.output_change(
            one.model,
            one.batch,
            perturbation=options.perturbation if moved_by is None else moved_by(lr=options.lr),
            size=options.size,
            repeats=options.repeats,
            progress=not options.quiet,
        )
    calls: dict[str, Callable[[Transformer, Batch], Result]] = {
        "dependency": analysis.dependency,
        "gradients": analysis.gradients,
        "diagnose": diagnose,
    }
    return calls[name](one.model, one.batch)


def _write(
    name: str, subjects: Sequence[Subject], found: Sequence[Any], folder: Path, formats: Sequence[str]
) -> list[str]:
    """The files of one analysis: results as JSON, their tables as one, pictures of all; their names."""
    import pandas as pd

    stem = name.replace("-", "_")
    files = []
    tables: dict[str, list[pd.DataFrame]] = {}
    for one, result in zip(subjects, found, strict=True):
        scheme = one.model.config.scheme_name
        file = f"{stem}.json" if len(found) == 1 else f"{stem}-{file_name(scheme)}-seed{one.seed}.json"
        result.save(folder / file)
        files.append(file)
        for table, rows in _tables(stem, result).items():
            columns = [column for column in rows.columns if column not in ("scheme", "seed")]
            told = rows[columns].assign(scheme=scheme, seed=one.seed)[["scheme", "seed", *columns]]
            tables.setdefault(table, []).append(told)
    for table, parts in tables.items():
        write_whole(folder / f"{table}.csv", to_csv(pd.concat(parts, ignore_index=True)))
        files.append(f"{table}.csv")
    for picture in PICTURES[name](found):
        for kind in formats:
            file = f"{picture.name}.{kind}"
            if write_picture(folder / file, picture.draw, height=picture.height):
                files.append(file)
    return files


def _tables(stem: str, result: Any) -> dict[str, Any]:
    tables = {stem: result.to_dataframe()}
    if stem == "gradients":
        tables["gradients_matrices"] = result.matrices_to_dataframe()
    return tables
