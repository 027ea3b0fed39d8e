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
from admin_py.cli.grid_parts import add_parts, check_parts, collected, costs, show_costs, slurm_script
from admin_py.cli.options import STOPPED, add_data, add_places, add_settings, given_settings, load_data, show
from admin_py.cli.track import add_track, trackers_of
from admin_py.experiments.grid import presets as grid_presets
from admin_py.experiments.jobs import title_of
from admin_py.experiments.settings import AXES
from admin_py.experiments.shard import read_shard
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
  admin-py grid --preset depth --out depth --slurm 16 > depth.sh; sbatch depth.sh
      sixteen parts on a cluster; then: admin-py grid --collect --out depth

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
    add_track(parser)
    parser.add_argument("--out", default="grid", metavar="DIR", help="folder for the results (default: grid)")
    add_places(parser, workers="one a processor; 1 trains here, one cell after another")
    add_parts(parser)
    parser.add_argument("--threads", type=int, metavar="N", help="of each process (default: 1)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")


def run(options: argparse.Namespace) -> int:
    """Train what is missing, write the table and the figure."""
    from admin_py.experiments.grid.grid import grid

    check_parts(options)
    if options.collect:
        return _collect(options)
    data = load_data(options)
    if options.dry_run or options.slurm is not None:
        found_costs = costs(options, data)
        if options.dry_run:
            show_costs(options, found_costs)
        else:
            show(slurm_script(options, found_costs))
        return 0
    workers = num_processors() if options.workers is None else options.workers
    found = grid(
        data,
        preset=options.preset,
        **given_settings(options),
        bleu=given_bleu(options),
        workers=None if workers == 1 else workers,
        threads=options.threads,
        keep_models=bool(options.keep_models),
        out=options.out,
        shard=options.shard,
        callbacks=trackers_of(options),
        progress=not options.quiet,
    )
    folder = path_of(options.out, "--out")
    if options.shard is not None:
        return _part_done(found, folder, options.shard)
    if found.cells:
        _write(found, folder)
    if found.interrupted:
        say(f"stopped; the same command goes on from {folder}")
        return STOPPED
    return 0


def _part_done(found: Grid, folder: Path, shard: str) -> int:
    """Say how far the grid is; the exit status of one part."""
    whole = {cell.name for cell in found.cells}
    part = read_shard(shard)
    assert part is not None
    missing = [name for name in part.of(found.asked) if name not in whole]
    show(f"{len(whole & set(found.asked))} of {len(found.asked)} cells are whole in {folder}")
    if missing:
        say(f"stopped; the same command goes on from {folder}")
        return STOPPED
    return 0


def _collect(options: argparse.Namespace) -> int:
    """Write what there is; 1 if cells are missing."""
    found, folder = collected(options), path_of(options.out, "--out")
    if found.cells:
        _write(found, folder)
    missing = len(set(found.asked) - {cell.name for cell in found.cells})
    if missing:
        say(f"{missing} of {len(found.asked)} cells are not whole yet")
    return int(found.interrupted)


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
