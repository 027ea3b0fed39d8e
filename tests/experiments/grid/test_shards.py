"""Parts of a grid that share a folder and nothing else: at the same time, killed, of other settings."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import COMMAND, LIMIT, run, until

import admin_py as ap
from admin_py.base.locks import InUse
from admin_py.experiments.grid.results import Grid
from admin_py.experiments.shard import read_shard
from admin_py.report.watching import watch

SMALL: dict[str, Any] = {
    "schemes": ["post_ln", "admin"], "lr": [1e-3, 1e-2], "layers": 1, "d_model": 8, "d_ff": 16, "heads": 2,
    "steps": 3, "max_tokens": 128, "progress": False,
}  # fmt: skip
DATA = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)


@pytest.fixture(scope="module")
def here() -> Grid:
    return ap.grid(DATA, **SMALL)


def same(a: Grid, b: Grid) -> bool:
    return len(a.cells) == len(b.cells) and all(map(type(a.cells[0]).same_numbers, a.cells, b.cells))


@pytest.mark.parametrize("count", [1, 3, 7])
def test_parts_in_any_order_are_the_grid(here: Grid, tmp_path: Path, count: int) -> None:
    for number in (*range(2, count + 1), 1):
        found = ap.grid(DATA, out=tmp_path, shard=(number, count), **SMALL)
        assert found.asked == here.asked
        assert found.interrupted == (number != 1)
    assert same(Grid.load(tmp_path), here)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells", "grid.json"]


@pytest.mark.parametrize("hours", [-1000, 1000])
def test_clocks_of_other_machines_do_not_matter(here: Grid, tmp_path: Path, hours: int) -> None:
    """Files of parts come from before this machine's time, or from after it."""
    for number in (1, 2, 3):
        ap.grid(DATA, out=tmp_path, shard=(number, 3), **SMALL)
        for path in (tmp_path, *tmp_path.rglob("*")):
            moved = path.stat().st_mtime + 3600 * hours
            os.utime(path, (moved, moved))
    assert same(ap.grid(DATA, out=tmp_path, **SMALL), here)
    assert {one.state for one in watch(tmp_path)} == {"whole"}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("0/3", ValueError, "its number must be an integer from 1 to 3, got 0"),
        ((4, 3), ValueError, "its number must be an integer from 1 to 3, got 4"),
        ("1/0", ValueError, "of how many must be at least 1|of how many must be an integer"),
        ("one", ValueError, r"shard must be a pair such as \(3, 16\), or '3/16'"),
        (3, TypeError, r"shard must be a pair such as \(3, 16\), or '3/16'"),
        ((1, 2, 3), TypeError, "shard must be a pair"),
        ((1.5, 3), (TypeError, ValueError), "its number must be"),
    ],
)
def test_what_is_no_part(given: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        read_shard(given)


def test_a_part_needs_a_folder() -> None:
    with pytest.raises(ValueError, match="shard goes with a folder that all parts share, out="):
        ap.grid(DATA, shard="1/2", **SMALL)


@pytest.mark.parametrize("changed", [{"steps": 4}, {"label_smoothing": 0.2}])
def test_a_folder_of_other_settings_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    ap.grid(DATA, out=tmp_path, shard="1/2", **SMALL)
    with pytest.raises(ValueError, match=f"holds a grid with {next(iter(changed))}"):
        ap.grid(DATA, out=tmp_path, shard="2/2", **{**SMALL, **changed})
    other = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6, seed=1)
    with pytest.raises(ValueError, match="holds a grid of other data"):
        ap.grid(other, out=tmp_path, shard="2/2", **SMALL)


def test_who_comes_first_says_what_the_folder_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Grid
) -> None:
    """Two parts find nothing there at the same moment: the later one checks what the other has said."""
    from admin_py.experiments.grid.files import GridFiles

    there = GridFiles.there
    monkeypatch.setattr(GridFiles, "there", lambda self, folder: False)
    real = GridFiles.save_header

    def slow(self: GridFiles, folder: Any, cross: Any) -> None:
        if not (tmp_path / "grid.json").exists():
            real(self, tmp_path, here)
        monkeypatch.setattr(GridFiles, "there", there)
        real(self, folder, cross)

    monkeypatch.setattr(GridFiles, "save_header", slow)
    with pytest.raises(ValueError, match="holds a grid with steps 3, not 4"):
        ap.grid(DATA, out=tmp_path, shard="1/2", **{**SMALL, "steps": 4})
    assert not list(tmp_path.glob(".header-*"))


def test_the_same_part_twice_at_once_is_refused(tmp_path: Path) -> None:
    shard = read_shard("1/2")
    assert shard is not None
    with shard.held(tmp_path), pytest.raises(InUse, match=r"shard: .* is being written by process"):
        ap.grid(DATA, out=tmp_path, shard="1/2", **SMALL)


# The command


OPTIONS = [
    "--task", "copy", "--schemes", "post_ln", "admin", "--lr", "0.001", "0.01",
    "--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--workers", "1", "--quiet",
]  # fmt: skip


def part(folder: Path, shard: str, steps: int = 3) -> list[str]:
    return ["grid", *OPTIONS, "--steps", str(steps), "--out", str(folder), "--shard", shard]


def test_parts_at_the_same_time_killed_and_begun_again(tmp_path: Path) -> None:
    """Each in a process of its own; one is killed in its first cell and comes back."""
    folder, steps = tmp_path / "out", 400
    running = [
        subprocess.Popen([*COMMAND, *part(folder, f"{i}/3", steps)], stdout=subprocess.PIPE, text=True)
        for i in (1, 2, 3)
    ]
    until(lambda: list(folder.glob("cells/*.checkpoint")), running[0])
    running[0].send_signal(signal.SIGKILL)
    said = [process.communicate(timeout=LIMIT)[0] for process in running]
    assert [process.returncode for process in running] == [-signal.SIGKILL, 0, 0]
    assert any(re.search(r"\d of 4 cells are whole in ", words) for words in said[1:])
    left = run("grid", "--collect", "--out", folder)
    assert left.returncode == 1
    assert re.search("[12] of 4 cells are not whole yet", left.stderr)
    again = run(*part(folder, "1/3", steps))
    assert (again.returncode, again.stdout) == (0, f"4 of 4 cells are whole in {folder}\n")
    whole = run("grid", "--collect", "--out", folder)
    assert whole.returncode == 0, whole.stderr
    assert "written to" in whole.stdout
    assert {"grid.csv", "grid.png", "grid.svg"} <= {path.name for path in folder.iterdir()}
    one = ap.grid(
        ap.data.copy_task(), schemes="admin", lr=0.01, layers=1, d_model=8, d_ff=16, heads=2, steps=steps,
        progress=False,
    )  # fmt: skip
    assert Grid.load(folder).select(scheme="admin", lr=0.01).cells[0].same_numbers(one.cells[0])


def test_costs_come_first_and_nothing_is_trained(tmp_path: Path) -> None:
    said = run("grid", *OPTIONS, "--steps", "3", "--seeds", "1", "2", "--out", tmp_path / "out", "--dry-run")
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("seed") == 8
    assert re.search(r"8 cells, \S+ hours one after another on 1 of this machine's processors", said.stdout)
    assert not (tmp_path / "out").exists()


def test_costs_are_those_of_what_is_trained(tmp_path: Path) -> None:
    """In proportion to the steps, and the memory that the plan says: no time is asserted."""
    from admin_py.experiments.grid.costs import costs_of
    from admin_py.experiments.settings import filled

    given = {"schemes": ["admin"], "layers": [1, 4], "d_model": 32, "d_ff": 64, "heads": 2}
    few = costs_of(DATA, filled({**given, "steps": 10}))
    many = costs_of(DATA, filled({**given, "steps": 10_000}))
    assert [one.memory for one in few] == [one.memory for one in many]
    assert few[0].memory < few[1].memory
    assert few[0].parameters < few[1].parameters
    assert all(b.seconds / a.seconds > 20 for a, b in zip(few, many, strict=True))
    config = ap.TransformerConfig(
        vocab_size=DATA.vocab_size,
        encoder_layers=4,
        decoder_layers=4,
        d_model=32,
        d_ff=64,
        heads=2,
        scheme="admin",
    )
    assert few[1].parameters == ap.Transformer(config).num_parameters


def test_the_script_for_slurm_is_one_that_bash_reads(tmp_path: Path) -> None:
    out = tmp_path / "a folder"
    said = run("grid", *OPTIONS, "--steps", "3", "--out", out, "--slurm", "3")
    assert said.returncode == 0, said.stderr
    script = tmp_path / "array.sh"
    script.write_text(said.stdout)
    assert "#SBATCH --array=1-3" in said.stdout
    assert re.search(r"#SBATCH --time=\d+:\d\d:00", said.stdout)
    assert re.search(r"#SBATCH --mem=\d+M", said.stdout)
    stands_in = f'srun() {{ shift; "{sys.executable}" -m admin_py.cli "$@"; }}\n'
    for task in (1, 2, 3):
        ran = subprocess.run(
            ["bash", "-euc", f"{stands_in}SLURM_ARRAY_TASK_ID={task}\n{script.read_text()}"],
            capture_output=True, text=True, timeout=LIMIT,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
    assert not Grid.load(out).interrupted


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--shard", "1/2", "--collect"), "give one of --shard and --collect"),
        (("--slurm", "2", "--dry-run"), "give one of --slurm and --dry-run"),
        (("--slurm", "0"), "--slurm: the number of parts must be at least 1, got 0"),
    ],
)
def test_options_that_do_not_go_together(options: tuple[str, ...], words: str, tmp_path: Path) -> None:
    said = run("grid", *OPTIONS, "--out", tmp_path / "out", *options)
    assert said.returncode == 2
    assert words in said.stderr


def test_what_is_collected_must_be_there(tmp_path: Path) -> None:
    said = run("grid", "--collect", "--out", tmp_path / "none")
    assert said.returncode == 1
    assert "grid.json: No such file or directory" in said.stderr
