"""The command ``admin-py profile``."""

from __future__ import annotations

import argparse

from admin_py.base import defaults
from admin_py.base.csv_files import to_csv
from admin_py.base.whole_files import write_whole
from admin_py.cli.given import note_given, refuse, take_given
from admin_py.cli.options import add_common, add_data, add_single, model_of, out_folder, show
from admin_py.plots.files import write_picture

SUMMARY = "omega and branch variances of a model, from one forward pass"

EXAMPLES = """\
examples:
  admin-py profile --layers 18
  admin-py profile --source train.en --target train.de --layers 100 --d-model 512 --d-ff 2048 --heads 8 \\
      --max-tokens 2000 --out profile100
  admin-py profile --layers 18 --method admin_torch --output-change logn"""

OUTPUT_CHANGES = {"logn": "log n", "1": "1", "n": "n"}
"""As it is typed -> as `Transformer.profile` calls it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_data(parser)
    add_single(parser)
    parser.add_argument(
        "--method",
        choices=("clinic", "paper", "admin_torch"),
        default="clinic",
        help="omega set on the way, all at once from a pass with omega = 1, or from the depth alone "
        "(default: clinic)",
    )
    parser.add_argument(
        "--output-change",
        choices=tuple(OUTPUT_CHANGES),
        default="logn",
        help="of admin_torch: how the output change may grow with the depth (default: logn)",
    )
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=defaults.MAX_TOKENS,
        metavar="N",
        help="of the batch (default: %(default)s)",
    )
    add_common(parser, out="profile")
    note_given(parser)


def run(options: argparse.Namespace) -> int:
    """Run ``admin-py profile``."""
    given = take_given(options)
    if options.method != "admin_torch":
        refuse(given, {"output_change": "--method admin_torch"})
    model, batch, _ = model_of(options)
    found = model.profile(
        batch, method=options.method, output_change=OUTPUT_CHANGES[options.output_change], seed=options.seed
    )
    with out_folder(options) as folder:
        found.save(folder / "profile.json")
        found.to_clinic(folder / "profile.txt")
        write_whole(folder / "profile.csv", to_csv(found.to_dataframe()))
        files = ["profile.json", "profile.csv", "profile.txt (lines 'index omega')"]
        if write_picture(folder / "profile.png", lambda figure: found.plot(figure.subplots())):
            files.append("profile.png")
    show(str(found))
    show(f"written to {folder}: {', '.join(files)}")
    return 0
