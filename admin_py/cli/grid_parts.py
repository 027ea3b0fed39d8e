"""What ``admin-py grid`` says of a grid that many machines train: its costs, and a script for Slurm."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from admin_py.base.paths import path_of
from admin_py.cli.options import UsageError, given_settings, show
from admin_py.experiments.grid import presets as grid_presets
from admin_py.experiments.settings import filled

if TYPE_CHECKING:
    from admin_py.data import Dataset
    from admin_py.experiments.grid.costs import CellCost
    from admin_py.experiments.grid.results import Grid

MARGIN = 2.0
"""Times what was measured, for the limit of a job: other machines are slower, and fuller."""

PYTHON_MIB = 512
"""Beside what a step holds."""

OF_THIS_CALL = ("--slurm", "--dry-run", "--shard", "--collect")


def add_parts(parser: argparse.ArgumentParser) -> None:
    """Options for many machines."""
    group = parser.add_argument_group("many machines")
    group.add_argument(
        "--shard", metavar="I/N", help="train the I-th of N parts into the folder that all of them share"
    )
    group.add_argument(
        "--collect", action="store_true", help="train nothing: write table and figure of what is whole"
    )
    group.add_argument(
        "--slurm", type=int, metavar="N", help="print a script of Slurm that trains N parts, with limits"
    )
    group.add_argument(
        "--dry-run", action="store_true", help="list the cells, with hours and memory from measured steps"
    )


def check_parts(options: argparse.Namespace) -> None:
    """That at most one of them is given."""
    given = [
        name
        for name in OF_THIS_CALL
        if getattr(options, name.removeprefix("--").replace("-", "_")) not in (None, False)
    ]
    if len(given) > 1:
        raise UsageError(f"give one of {' and '.join(given)}")
    if options.slurm is not None and options.slurm < 1:
        raise UsageError(f"--slurm: the number of parts must be at least 1, got {options.slurm}")


def costs(options: argparse.Namespace, data: Dataset) -> list[CellCost]:
    """Of all cells that the options name."""
    from admin_py.base.threads import threads
    from admin_py.experiments.grid.costs import costs_of

    chosen = grid_presets.get(options.preset).options if options.preset is not None else {}
    with threads(options.threads or 1):
        return costs_of(data, filled({**chosen, **given_settings(options)}))


def show_costs(options: argparse.Namespace, found: Sequence[CellCost]) -> None:
    """The table, and what all of it comes to."""
    from admin_py.experiments.grid.costs import table_of

    show(table_of(found).to_string(index=False, float_format="{:,.4g}".format))
    hours = [one.seconds / 3600 for one in found]
    mib = max(one.memory for one in found) / 2**20
    show(
        f"{len(found)} cells, {sum(hours):,.3g} hours one after another on {options.threads or 1} of this "
        f"machine's processors, the longest {max(hours):,.3g}; at most {mib:,.0f} MiB a step, beside "
        "Python's own. Nothing was trained"
    )


def slurm_script(options: argparse.Namespace, found: Sequence[CellCost]) -> str:
    """A job array whose tasks train a part each."""
    parts = min(options.slurm, len(found))
    slowest = max(sum(one.seconds for one in found[i::parts]) for i in range(parts))
    minutes = math.ceil(MARGIN * slowest / 60) + 5
    mib = PYTHON_MIB + math.ceil(max(one.memory for one in found) / 2**20)
    typed = shlex.join(["admin-py", *_without(options.typed)])
    return f"""\
#!/bin/bash
#SBATCH --job-name=admin-py-grid
#SBATCH --array=1-{parts}
#SBATCH --cpus-per-task={options.threads or 1}
#SBATCH --time={minutes // 60}:{minutes % 60:02}:00
#SBATCH --mem={mib}M
# {len(found)} cells. The limits are {MARGIN:g} times what the machine needs that wrote this. Tasks that were
# ended go on where they were when the script is given to sbatch again. When all have ended:
#   admin-py grid --collect --out {shlex.quote(str(options.out))}
srun {typed} --workers 1 --shard "$SLURM_ARRAY_TASK_ID/{parts}"\
"""


def _without(typed: Sequence[str]) -> list[str]:
    """What was typed, less the number of parts and of workers, which the script has of its own."""
    kept, skip = [], False
    for word in typed:
        name = word.partition("=")[0]
        if skip:
            skip = False
        elif name in ("--slurm", "--workers"):
            skip = "=" not in word
        else:
            kept.append(word)
    return kept


def collected(options: argparse.Namespace) -> Grid:
    """The grid that the folder holds, whole or not."""
    from admin_py.experiments.grid.results import Grid

    return Grid.load(Path(path_of(options.out, "--out")))
