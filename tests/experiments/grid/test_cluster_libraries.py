"""Grids and searches on other libraries' workers, some of which are killed: the bits of a grid made here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import admin_py as ap
from admin_py.experiments import objective
from admin_py.experiments.workers import DIED

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "docs" / "examples"
LIMIT = 300
DATA = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
TRIAL: dict[str, Any] = {
    "layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 6, "valid_every": 2, "max_tokens": 128,
}  # fmt: skip
MODULES = {"workers": "admin_py", "ray": "ray", "submitit": "submitit", "dask": "distributed"}


def python(*arguments: object) -> subprocess.CompletedProcess[str]:
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    return subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, timeout=LIMIT, check=False,
        env={**os.environ, **root, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip


@pytest.mark.parametrize("library", MODULES)
def test_killed_workers_cells_are_trained_again_to_the_same_bits(library: str, tmp_path: Path) -> None:
    pytest.importorskip(MODULES[library])
    ran = python(sys.executable, ROOT / "tests" / "helpers" / "grid_somewhere.py", library, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "4 of 4 cells are the same, 2 workers were killed" in ran.stdout


def test_a_lost_scheduler_loses_nothing_that_was_done(tmp_path: Path) -> None:
    """Dask's, amid the third cell of four: an error, and the same call goes on behind whole cells."""
    pytest.importorskip("distributed")
    ran = python(sys.executable, ROOT / "tests" / "helpers" / "grid_lost_scheduler.py", tmp_path)
    assert ran.returncode == 0, ran.stderr
    raised, again, same = ran.stdout.splitlines()
    assert raised == "raised RuntimeError: executor: the training of rezero, seed 1 was cancelled"
    assert again.split()[2:] in (["admin"], ["admin", "rezero"])  # the third may have come to its end alone
    assert same == "4 of 4 cells are the same"


@pytest.mark.parametrize("library", ["process_pool", "ray"])
def test_examples_run_as_they_are(library: str, tmp_path: Path) -> None:
    pytest.importorskip({"process_pool": "admin_py"}.get(library, library))
    program = (
        f"import runpy; m = runpy.run_path({str(EXAMPLES / f'grid_{library}.py')!r}, run_name='x')['main']\n"
        f"if __name__ == '__main__': print(len(m({str(tmp_path / 'out')!r}, steps=1, workers=2).cells))"
    )
    (tmp_path / "program.py").write_text(program)
    ran = python(sys.executable, tmp_path / "program.py")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().endswith("4")


def test_the_example_with_mpi(tmp_path: Path) -> None:
    pytest.importorskip("mpi4py")
    mpiexec = Path(sys.executable).with_name("mpiexec")
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside this Python")
    command = [mpiexec, "--oversubscribe", "-n", 2, sys.executable, "-m", "mpi4py.futures"]
    ran = python(*command, EXAMPLES / "grid_mpi.py", tmp_path / "out", 1)
    assert ran.returncode == 0, ran.stderr
    found = ap.load(tmp_path / "out")
    one = ap.grid(
        ap.data.number_words(train=2000, valid=100), scheme="admin", layers=2, steps=1, progress=False
    )
    assert found.select(scheme="admin", layers=2).cells[0].same_numbers(one.cells[0])


def test_workers_that_die_again_and_again_are_an_error(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys\n"
        "import admin_py as ap\n"
        "def die(step, model, history):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        "    data = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)\n"
        "    try:\n"
        "        ap.grid(data, scheme='admin', layers=1, d_model=8, d_ff=16, heads=2, steps=2, workers=2,\n"
        "                callbacks=[die])\n"
        "    except RuntimeError as error:\n"
        "        print(error)\n"
    )
    ran = python(sys.executable, script)
    assert ran.stdout.strip() == DIED
    assert ran.stderr.count("a worker process has died: 1 cells go on in others") == 2


# Optuna


class Trial:
    """What is asked of one of Optuna's."""

    def __init__(self, prune_after: int = 100) -> None:
        self.reports: list[tuple[int, float]] = []
        self.told: dict[str, Any] = {}
        self.prune_after = prune_after

    def report(self, value: float, step: int) -> None:
        self.reports.append((step, value))

    def should_prune(self) -> bool:
        return self.reports[-1][0] >= self.prune_after

    def set_user_attr(self, key: str, value: Any) -> None:
        self.told[key] = value


def test_an_objective_is_a_training_that_reports() -> None:
    trial = Trial()
    value = objective(DATA, lambda _: {"lr": 0.01}, scheme="admin", **TRIAL)(trial)
    cell = ap.grid(DATA, scheme="admin", lr=0.01, progress=False, **TRIAL).cells[0]
    assert [step for step, _ in trial.reports] == [2, 4, 6]
    assert value == trial.reports[-1][1] == cell.history.valid["nll"][-1]
    assert trial.told == {"steps": 6, "diverged_at": None}


def test_a_trial_that_falls_behind_ends_and_one_that_diverges_is_the_last() -> None:
    optuna = pytest.importorskip("optuna")
    trial = Trial(prune_after=4)
    with pytest.raises(optuna.TrialPruned, match="after step 4"):
        objective(DATA, lambda _: {"lr": 0.01}, **TRIAL)(trial)
    assert trial.told["steps"] == 4
    lost = objective(DATA, lambda _: {"lr": 1e30, "optimizer": "sgd"}, **TRIAL)(Trial())
    assert lost == float("inf")


@pytest.mark.parametrize(
    ("suggest", "settings", "words"),
    [
        (lambda _: {"learning_rate": 1}, {}, "settings: 'learning_rate' is no setting of a grid"),
        (lambda _: {}, {"colour": 1}, "settings: 'colour' is no setting of a grid"),
        (lambda _: {"lr": [1e-3, 1e-2]}, {}, "settings of a trial must have one value each, got 2 cells"),
        (lambda _: 5, {}, "what suggest returns must be a mapping"),
        (5, {}, "suggest must be a callable, got 5"),
    ],
)
def test_what_is_suggested_wrongly(suggest: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        objective(DATA, suggest, **{**TRIAL, **settings})(Trial())


def test_the_example_with_optuna() -> None:
    pytest.importorskip("optuna")
    program = f"import runpy; m = runpy.run_path({str(EXAMPLES / 'search_optuna.py')!r})['main']\n"
    ran = python(sys.executable, "-c", f"{program}print(len(m(trials=4, steps=4).trials))")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split()[-1] == "4"
