"""``admin-py grid``: what it writes, its exit status, that it goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from command import COMMAND, LIMIT, until
from command import run as run_command
from pictures import Picture, svg_colors

import admin_py as ap
from admin_py.cli.grid import EXAMPLES
from admin_py.experiments.grid import presets as grid_presets
from admin_py.experiments.translating import SEARCH

SMALL = ["--task", "copy", "--d-model", "8", "--d-ff", "16", "--heads", "2"]


def run(*arguments: str | os.PathLike[str]) -> subprocess.CompletedProcess[str]:
    return run_command("grid", *SMALL, *arguments)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_writes_cells_a_table_and_figures_and_goes_on(tmp_path: Path, workers: str) -> None:
    axes = ["--scheme", "post_ln", "post_ln/pre_ln", "--depth", "1", "1,2", "--lr", "1e-3", "1e-2"]
    arguments = [*axes, "--steps", "2", "--workers", workers, "--out", tmp_path]
    found = run(*arguments)
    assert found.returncode == 0, found.stderr
    grid = ap.Grid.load(tmp_path)
    assert grid.values("layers") == (1, (1, 2))
    assert grid.values("scheme") == ("post_ln", "post_ln/pre_ln")
    table = pd.read_csv(tmp_path / "grid.csv")
    assert list(table["valid_nll"]) == pytest.approx([cell.valid_nll for cell in grid.cells])
    assert Picture(tmp_path / "grid.png").drawn > 0.01
    assert len(svg_colors(tmp_path / "grid.svg")) > 4, "a colour a cell, and the ink"
    assert len(found.stderr.splitlines()) == 8
    assert found.stdout.splitlines()[-1].startswith(f"written to {tmp_path}: grid.csv")
    assert "post_ln/pre_ln" in found.stdout
    again = run(*arguments)
    assert again.returncode == 0
    assert again.stderr == "8 of 8 cells are there already\n"
    assert again.stdout == found.stdout


def test_the_same_command_draws_the_same_Picture(tmp_path: Path) -> None:
    arguments = ["--scheme", "admin", "--layers", "1", "--steps", "1", "--workers", "1", "--quiet"]
    for name in ("a", "b"):
        assert run(*arguments, "--out", tmp_path / name).returncode == 0
    assert (tmp_path / "a" / "grid.svg").read_bytes() == (tmp_path / "b" / "grid.svg").read_bytes()


def test_a_preset_and_what_is_given_instead(tmp_path: Path) -> None:
    found = run(
        "--preset", "optimisers", "--scheme", "admin", "--layers", "1", "--steps", "2", "--lr", "1e30",
        "--warmup", "0", "--quiet", "--workers", "1", "--out", tmp_path,
    )  # fmt: skip
    assert found.returncode == 0
    assert found.stderr == ""
    grid = ap.Grid.load(tmp_path)
    assert grid.values("optimizer") == ("sgd", "adam", "radam")
    assert "diverged" in found.stdout


def test_help_names_every_preset() -> None:
    found = run("--help")
    assert all(name in found.stdout for name in grid_presets.names())
    assert all(len(line) <= 110 for line in EXAMPLES.splitlines())
    assert re.search(r"--lr X \[X \.\.\.\]", found.stdout)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--scheme", "admni"], 1, "did you mean 'admin'"),
        (["--lr", "0"], 1, "lr must be positive"),
        (["--lr", "1e-3", "0.001"], 1, "got 0.001 twice"),
        (["--preset", "all"], 2, "invalid choice"),
        (["--optimizer", "adagrad"], 2, "invalid choice"),
        (["--depth", "x"], 2, "expected a number from 1"),
        (["--lr"], 2, "expected at least one argument"),
        (["--workers", "0"], 1, "workers must be an integer from 1"),
        (["--text", "a.txt"], 2, "give one of --task"),
    ],
)
def test_errors_are_told_without_a_traceback(tmp_path: Path, arguments, status: int, message: str) -> None:
    found = run(*arguments, "--out", tmp_path / "out")
    assert found.returncode == status
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "out").exists()


def test_ctrl_c_is_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    seeds = [str(seed) for seed in range(40)]
    command = [
        *COMMAND,
        "grid",
        *SMALL,
        "--scheme",
        "admin",
        "--layers",
        "2",
        "--steps",
        "200",
        "--seed",
        *seeds,
    ]
    command += ["--workers", "2", "--out", os.fspath(tmp_path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    until(lambda: list(tmp_path.glob("cells/*.json")), process)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert error.splitlines()[-1] == f"stopped; the same command goes on from {tmp_path}"
    assert "Traceback" not in error
    whole = len(ap.Grid.load(tmp_path).cells)
    assert 1 <= whole < 40
    assert len(pd.read_csv(tmp_path / "grid.csv")) == whole


def test_bleu_is_a_column_and_its_kind_a_line(tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu")
    arguments = ["--scheme", "post_ln", "admin", "--layers", "1", "--steps", "2", "--workers", "1", "--quiet"]
    searched = {
        "--beam": 2, "--lenpen": 0.5, "--penalty": "gnmt", "--max-len-a": 1.5, "--max-len-b": 4,
        "--min-len": 1, "--no-repeat-ngram": 2, "--stop": "count",
    }  # fmt: skip
    options = [str(part) for option in searched.items() for part in option]
    found = run(*arguments, "--bleu", *options, "--out", tmp_path)
    assert found.returncode == 0, found.stderr
    grid = ap.Grid.load(tmp_path)
    assert {name: grid.settings["bleu"][name] for name in SEARCH} == {
        "beam": 2, "length_penalty": 0.5, "penalty": "gnmt", "min_length": 1, "max_length": (1.5, 4.0),
        "no_repeat_ngram": 2, "stop": "count",
    }  # fmt: skip
    table = pd.read_csv(tmp_path / "grid.csv")
    assert list(table["bleu"]) == pytest.approx([cell.bleu for cell in grid.cells])
    assert table["bleu_signature"].nunique() == 1
    assert "bleu" in found.stdout.splitlines()[0]
    assert f"BLEU of 500 sentences of valid, published: {table['bleu_signature'][0]}" in found.stdout
    assert "translations/" in found.stdout.splitlines()[-1]


def test_options_of_translations_go_with_bleu(tmp_path: Path) -> None:
    for option in (
        ["--beam", "3"], ["--lenpen", "1"], ["--penalty", "gnmt"], ["--max-len-b", "4"], ["--min-len", "1"],
        ["--no-repeat-ngram", "2"], ["--stop", "count"], ["--convention", "published"],
    ):  # fmt: skip
        found = run(*option, "--out", tmp_path / "new")
        assert (found.returncode, found.stdout) == (2, "")
        assert option[0] in found.stderr
        assert "goes with --bleu" in found.stderr
    assert not (tmp_path / "new").exists()
