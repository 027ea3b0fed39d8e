"""Options that would do nothing are wrong usage, and what the others do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import admin_py as ap
from admin_py.analysis import OutputChange
from admin_py.cli import entry as cli

SMALL = ["--task", "copy", "--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--quiet"]
MODEL = [*SMALL[2:-1], "--dropout", "0.2", "--dtype", "float64"]

AN_OPTIMIZER = "--lr goes with updates, and with output-change --perturbation of an optimizer"
FRESH = "goes with fresh models: --model has its own"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["analyse", "gradients", "--steps", "50"], "--steps goes with updates"),
        (["analyse", "dependency", "--optimizer", "adam"], "--optimizer goes with updates"),
        (["analyse", "diagnose", "--lr", "1e-3"], AN_OPTIMIZER),
        (["analyse", "output-change", "--steps", "5"], "--steps goes with updates"),
        (["analyse", "output-change", "--optimizer", "sgd"], "--optimizer goes with updates"),
        (
            ["analyse", "output-change", "--lr", "1"],
            "--lr goes with updates, and with --perturbation of an opt",
        ),
        (["analyse", "gradients", "--perturbation", "random"], "--perturbation goes with output-change"),
        (["analyse", "updates", "--size", "1e-4"], "--size goes with output-change"),
        (["analyse", "updates", "--repeats", "3"], "--repeats goes with output-change"),
        (
            ["analyse", "output-change", "--perturbation", "adam", "--size", "1"],
            "--size goes with --perturbation",
        ),
        (["analyse", "all", "--perturbation", "sgd", "--size", "1"], "an optimizer's step has --lr"),
        (["analyse", "gradients", "--model", "a", "--scheme", "admin"], f"--schemes {FRESH}"),
        (["analyse", "gradients", "--model", "a", "--seeds", "1", "2"], "--model is one model: give one of"),
        *(
            (["analyse", "gradients", "--model", "a", *MODEL[i : i + 2]], f"{MODEL[i]} {FRESH}")
            for i in range(0, len(MODEL), 2)
        ),
        (["profile", "--output-change", "logn"], "--output-change goes with --method admin_torch"),
        (
            ["profile", "--method", "paper", "--output-change", "n"],
            "--output-change goes with --method admin_t",
        ),
        (["info", "--memory", "--schemes"], "give one of --schemes and --memory"),
        *((["info", *MODEL[i : i + 2]], f"{MODEL[i]} goes with --memory") for i in range(0, len(MODEL), 2)),
        (["info", "--schemes", "--vocab-size", "9"], "--vocab-size goes with --memory"),
        (["info", "--max-tokens", "9"], "--max-tokens goes with --memory"),
        (["info", "--scheme", "admin"], "--scheme goes with --memory"),
        (["info", "--optimizer", "adam"], "--optimizer goes with --memory"),
        (["info", "--language-model"], "--language-model goes with --memory"),
        (["info", "--checkpoint-activations"], "--checkpoint-activations goes with --memory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_would_do_nothing(
    tmp_path: Path, monkeypatch, capsys, arguments, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"admin-py {arguments[0]}: error: ")
    assert message in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_info_has_no_threads(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["info", "--threads", "1"])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "perturbation", "size", "repeats"),
    [
        ([], "random", 1e-4, 3),
        (["--size", "1e-3", "--repeats", "2"], "random", 1e-3, 2),
        (["--perturbation", "gradient", "--repeats", "2"], "gradient", 1e-6, 2),
        (["--perturbation", "gradient", "--dropout", "0"], "gradient", 1e-6, 1),
        (["--perturbation", "novograd", "--lr", "0.5", "--repeats", "1"], "NovoGrad(lr=0.5", None, 1),
        (["--perturbation", "adam", "--repeats", "1"], "Adam(lr=0.001", None, 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_moves_of_output_change(tmp_path: Path, arguments, perturbation: str, size, repeats: int) -> None:
    command = ["analyse", "output-change", *SMALL, *arguments, "--format", "svg", "--out", str(tmp_path)]
    assert cli.main(command) == 0
    found = OutputChange.load(tmp_path / "output_change.json")
    assert found.perturbation.startswith(perturbation)
    assert (found.size, found.repeats) == (size, repeats)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--perturbation", "radam"], "the first step of RAdam"),
        (["--size", "0"], "size must be above 0"),
        (["--repeats", "0"], "repeats must be an integer from 1"),
    ],
)
def test_moves_that_cannot_be(tmp_path: Path, capsys, arguments, message: str) -> None:
    assert cli.main(["analyse", "output-change", *SMALL, *arguments, "--out", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("typed", ["logn", "1", "n", None])
def test_profile_by_the_rule_of_admin_torch(tmp_path: Path, typed: str | None) -> None:
    change = [] if typed is None else ["--output-change", typed]
    assert cli.main(["profile", *SMALL, "--method", "admin_torch", *change, "--out", str(tmp_path)]) == 0
    found = ap.VarianceProfile.load(tmp_path / "profile.json")
    named = {"logn": "log n", "1": "1", "n": "n", None: "log n"}[typed]
    for stack, depth in (("encoder", 2), ("decoder", 3)):
        expected = ap.schemes.admin_torch_omega(depth, named)
        np.testing.assert_allclose(found.omega(stack), np.full(depth, expected), rtol=1e-7)
        assert (found.var_branch(stack) > 0).all(), "variances are measured"
    assert found.method == "admin_torch"
