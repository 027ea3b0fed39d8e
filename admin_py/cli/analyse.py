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
from admin_py.cli.given import note_given, refuse, take_given
from admin_py.cli.options import (
    UsageError,
    add_common,
    add_data,
    add_model,
    fresh_model,
    load_data,
    out_folder,
    saved_model,
    set_threads,
    show,
)
from admin_py.experiments.jobs import file_name
from admin_py.experiments.settings import OPTIMIZERS
from admin_py.plots.files import FORMATS, HEIGHT, Picture, write_picture
from admin_py.plots.output_change import height_for
from admin_py.plots.panels import panels
from admin_py.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from admin_py.analysis import Dependency, GradientNorms, OutputChange, UpdateNorms
    from admin_py.analysis.diagnosis.results import Diagnosis
    from admin_py.data import Dataset
    from admin_py.data.batch import Batch
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
  admin-py analyse gradients --model run/model.safetensors --out after"""

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

OBSERVED = 20
"""Steps of the short training that are looked at, about."""

PANELS = 3
"""Heatmaps in a row."""


class Subject(NamedTuple):
    """A model that is analysed, with the seed of its weights and batch."""

    seed: int
    model: Transformer
    batch: Batch
    data: Dataset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_data(parser)
    parser.add_argument(
        "analysis",
        choices=tuple(ANALYSES),
        help="; ".join(f"{name}: {text}" for name, text in ANALYSES.items()),
    )
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
    parser.add_argument("--model", metavar="FILE", help="a saved model instead of fresh ones")
    parser.add_argument(
        "--max-tokens", type=int, default=512, metavar="N", help="of the batch (default: 512)"
    )
    parser.add_argument(
        "--format", nargs="+", choices=FORMATS, default=["png"], help="of the pictures (default: png)"
    )
    _add_updates(parser)
    _add_output_change(parser)
    add_model(parser)
    add_common(parser, out="analysis")
    note_given(parser)


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
        unused |= dict.fromkeys(("schemes", *MODEL_OPTIONS), "fresh models: --model has its own")
        if len(options.seeds) > 1:
            raise UsageError("--model is one model: give one of --seeds with it")
    refuse(given, unused)


def _subjects(options: argparse.Namespace) -> Iterator[Subject]:
    """The models that the options name, profiled where they are fresh."""
    set_threads(options)
    if options.model is not None:
        yield Subject(options.seeds[0], *saved_model(options, options.seeds[0]))
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


def _find(name: str, one: Subject, options: argparse.Namespace) -> Any:
    """The result of one analysis of one model."""
    from admin_py import analysis
    from admin_py.analysis.diagnosis.diagnose import diagnose

    if name == "updates":
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


def _first_seeds(found: Sequence[Any]) -> list[Any]:
    """The first result of each scheme."""
    firsts: dict[str, Any] = {}
    for one in found:
        firsts.setdefault(one.scheme, one)
    return list(firsts.values())


def _dependency(found: Sequence[Dependency]) -> Iterator[Picture]:
    """Heatmaps of the first seed, a picture a stack; shares of the own branches, of all seeds."""
    from admin_py import plots

    shown = _first_seeds(found)

    def heatmaps(figure: Figure, stack: str) -> None:
        if len(shown) == 1:
            plots.plot_dependency(shown[0], figure.subplots(), stack=stack)
        else:
            plots.plot_dependency_panels(shown, panels(figure, len(shown), PANELS), stack=stack)

    for stack in shown[0].stacks:
        height = HEIGHT + 0.8 if len(shown) == 1 else 0.3 + 2.7 * -(-len(shown) // PANELS)
        yield Picture(f"dependency_{stack}", height, partial(heatmaps, stack=stack))
    yield Picture(
        "dependency_own", HEIGHT, lambda figure: plots.plot_own_dependency(found, figure.subplots())
    )


def _output_change(found: Sequence[OutputChange]) -> Iterator[Picture]:
    """A line a scheme, mean and spread over seeds and repeats, a picture a stack."""
    from admin_py import plots
    from admin_py.analysis import pool

    shown = pool(found)
    for stack in shown[0].stacks:

        def draw(figure: Figure, stack: str = stack) -> None:
            plots.plot_output_change(shown, figure.subplots(), stack=stack, log=len(shown) > 1)

        yield Picture(f"output_change_{stack}", height_for(len(shown)), draw)


def _gradients(found: Sequence[GradientNorms]) -> Iterator[Picture]:
    """Bars, a panel a scheme, the range over seeds as error bars; matrices of the first seed."""
    from admin_py import plots
    from admin_py.analysis import pool

    shown, firsts = pool(found), _first_seeds(found)
    count = len(shown)
    height = HEIGHT if count == 1 else 0.4 + 2.1 * count

    def matrices(figure: Figure) -> None:
        plots.plot_matrix_gradient_panels(firsts, panels(figure, count))

    yield Picture("gradients", height, lambda figure: plots.plot_gradient_bars(shown, panels(figure, count)))
    yield Picture("gradients_matrices", height + 0.4, matrices)


def _updates(found: Sequence[UpdateNorms]) -> Iterator[Picture]:
    """Relative updates by kind, a panel a scheme; their histogram, of all seeds; omega where it moves."""
    from admin_py import plots
    from admin_py.analysis.updates import drifts

    firsts = _first_seeds(found)
    rows = len(firsts)
    height = HEIGHT + 0.2 if rows == 1 else 0.9 + 1.9 * rows
    yield Picture("updates", height, lambda figure: plots.plot_update_panels(firsts, panels(figure, rows)))
    yield Picture(
        "updates_histogram", HEIGHT, lambda figure: plots.plot_update_histogram(found, figure.subplots())
    )
    moved = [one for one in firsts if drifts(one)]
    count = sum(len(one.omega) for one in moved)
    if count:
        height = 2.9 * -(-count // 2)
        yield Picture(
            "updates_omega", height, lambda figure: plots.plot_omega_panels(moved, panels(figure, count, 2))
        )


def _diagnose(found: Sequence[Diagnosis]) -> Iterator[Picture]:
    """A picture a scheme, first seed: each has the known schemes in it already."""
    from admin_py import plots

    firsts = _first_seeds(found)
    for one in firsts:
        count = 2 if one.gradients else 1

        def draw(figure: Figure, one: Diagnosis = one, count: int = count) -> None:
            plots.plot_diagnosis(one, panels(figure, count))

        name = "diagnose" if len(firsts) == 1 else f"diagnose-{file_name(one.scheme)}"
        yield Picture(name, 2.9 * count, draw)


PICTURES: Mapping[str, Callable[[Sequence[Any]], Iterator[Picture]]] = {
    "dependency": _dependency,
    "output-change": _output_change,
    "gradients": _gradients,
    "updates": _updates,
    "diagnose": _diagnose,
}
"""Analysis -> pictures of its results, which are in the order of schemes, then seeds."""
