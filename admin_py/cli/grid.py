"""``admin-py grid``: its options, and what it writes."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin_py.base.csv_files import to_csv
from admin_py.base.paths import path_of
from admin_py.base.streams import say, shielded
from admin_py.base.threads import num_processors
from admin_py.base.whole_files import write_whole
from admin_py.cli.bleu_options import add_bleu, bleu_words, given_bleu
from admin_py.cli.options import STOPPED, add_data, add_places, add_settings, given_settings, load_data, show
from admin_py.experiments.grid import presets as grid_presets
from admin_py.experiments.jobs import title_of
from admin_py.experiments.settings import AXES
from admin_py.plots.files import drawn, saved
from admin_py.plots.style import context

if TYPE_CHECKING:
    from admin_py.experiments.grid.results import Grid

SUMMARY = "train a cross of settings, resumably"

EXAMPLES = """\
examples:
  admin-py grid --preset hybrids --out hybrids
      encoders and decoders of Post-LN and Pre-LN, crossed, 18-18 layers
  admin-py grid --schemes post_ln admin --lr 0.001 0.002 --layers 6 12 --seeds 1 2 --out depth
      a cross of one's own: 2 schemes x 2 learning rates x 2 depths x 2 seeds
  admin-py grid --preset lr_beta2 --steps 100 --workers 4
      a preset with something changed, in four processes

presets:
"""
EXAMPLES += "".join(f"  {name:<11} {grid_presets.get(name).summary}\n" for name in grid_presets.names())
EXAMPLES += (
    "\nA grid that was stopped, or killed, trains only what is missing when the same command is given again."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command. What is not given comes from the preset, or is as in a study."""
    add_data(parser)
    parser.add_argument("--preset", choices=grid_presets.names(), help="a grid of the paper's questions")
    add_settings(parser)
    add_bleu(parser)
    parser.add_argument("--out", default="grid", metavar="DIR", help="folder for the results (default: grid)")
    add_places(parser, workers="one a processor; 1 trains here, one cell after another")
    parser.add_argument("--threads", type=int, metavar="N", help="of each process (default: 1)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")


def run(options: argparse.Namespace) -> int:
    """Train what is missing, write the table and the figure."""
    from admin_py.experiments.grid.grid import grid

    workers = num_processors() if options.workers is None else options.workers
    found = grid(
        load_data(options),
        preset=options.preset,
        **given_settings(options),
        bleu=given_bleu(options),
        workers=None if workers == 1 else workers,
        threads=options.threads,
        keep_models=bool(options.keep_models),
        out=options.out,
        progress=not options.quiet,
    )
    folder = path_of(options.out, "--out")
    if found.cells:
        _write(found, folder)
    if found.interrupted:
        say(f"stopped; the same command goes on from {folder}")
        return STOPPED
    return 0


def _write(found: Grid, folder: Path) -> None:
    """Table and figure of a grid, and the table on the standard output stream."""
    table = found.to_dataframe()
    write_whole(folder / "grid.csv", to_csv(table))
    pictures, why = drawn(partial(_pictures, found), "the figure of the grid")
    for name, picture in (pictures or {}).items():
        write_whole(folder / name, picture)
    several = [axis for axis in AXES if table[axis].nunique(dropna=False) > 1] or ["scheme"]
    bleu = ["bleu"] if "bleu" in table else []
    shown = table[[*several, "train_nll", "valid_nll", *bleu, "seconds", "outcome", "diverged_at"]]
    show(shown.to_string(index=False, float_format="{:.4g}".format, na_rep=""))
    for words in bleu_words(found.cells):
        show(words)
    folders = ["cells/", *(["translations/"] if bleu else [])]
    show(f"written to {folder}: {', '.join(['grid.csv', *(pictures or {}), 'grid.json', *folders])}")
    if why:
        say(why)


def _pictures(found: Grid) -> dict[str, bytes]:
    """The figure as PNG and as SVG: panels of the scheme where two other axes vary, else one heatmap."""
    with context(), shielded():
        import matplotlib.pyplot as plt

        with plt.ioff():
            figure = draw(found).figure
            files = {f"grid.{kind}": saved(figure, kind) for kind in ("png", "svg")}
            plt.close(figure)
    return files


def draw(found: Grid) -> Any:
    """The heatmap that shows most of a grid; returns its first axes.

    More axes than a figure has are shown at their first value, and the figure says so.
    """
    varying = found.varying
    panels = "scheme" if "scheme" in varying and len(varying) > 2 else None
    others = [axis for axis in varying if axis != panels]
    first = {axis: found.values(axis)[0] for axis in others[2:]}
    for axis, value in first.items():
        found = found.select(**{axis: [value]})
    ax = found.plot_panels(panels)[0] if panels else found.plot()
    if first:
        words = title_of(first, tuple(first))
        ax.figure.suptitle(f"only {words}; the others are in grid.csv", fontsize="medium")
    return ax
