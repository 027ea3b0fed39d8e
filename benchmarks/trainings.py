"""What benchmarks of whole trainings share: the text, their options, and results that grow entry by entry."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import admin_py as ap
from admin_py.base.whole_files import write_whole
from admin_py.data import Dataset
from benchmarks import machine

RESULTS = Path(__file__).parent / "results"
REFERENCE = "reference.de.gz"
"""Of the translations beside the results."""


def read_data(folder: Path, codes: Path | None) -> Dataset:
    """Multi30k as Moses cuts it, in lower case, in subwords."""

    def pair(name: str) -> tuple[str, str]:
        return str(folder / f"{name}.en.gz"), str(folder / f"{name}.de.gz")

    source, target = pair("train")
    held_out = {"valid": pair("val"), "test": pair("test2016")}
    return ap.data.parallel_text(source, target, **held_out, moses=("en", "de"), codes=codes, name="Multi30k")


def load(path: Path, **about: Any) -> dict[str, Any]:
    """The results so far: ``entries``, the ``machine``, and what else they are to say of all trainings."""
    if not path.exists():
        told = {**machine.describe(), "versions": machine.package_versions()}
        return {"machine": told, **about, "entries": []}
    return json.loads(path.read_text(encoding="utf-8"))


def keep(path: Path, entry: Mapping[str, Any], names: Sequence[str], **about: Any) -> None:
    """Add an entry, or put it in the place of the same training's, which has the same values of `names`.

    The file is written whole, an entry a line.
    """
    found = load(path, **about)
    others = [e for e in found.pop("entries") if any(e[n] != entry[n] for n in names)]
    entries = sorted([*others, dict(entry)], key=lambda e: [str(e[n]) for n in names])
    lines = ",\n".join(json.dumps(e) for e in entries)
    write_whole(path, f'{json.dumps(found)[:-1]},\n"entries": [\n{lines}\n]}}\n')


def parser_of(name: str, doc: str) -> argparse.ArgumentParser:
    """With the options that all of them have."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=doc.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of train, val and test2016 .en.gz and .de.gz")
    parser.add_argument("--codes", type=Path, help="subword-nmt's codes of the subwords")
    parser.add_argument("--work", type=Path, help="folder for what is under way, outside the checkout")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--table", action="store_true", help="print what the results hold; train nothing")
    return parser


def read_options(parser: argparse.ArgumentParser, args: list[str] | None) -> argparse.Namespace:
    """The options; what is to be trained on must be given, unless only the results are looked at."""
    options = parser.parse_args(args)
    if not options.table and None in (options.data, options.codes, options.work):
        parser.error("--data, --codes and --work say where the text, its subwords and what is under way are")
    return options
