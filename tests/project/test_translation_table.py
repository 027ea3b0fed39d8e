"""The benchmark that fills the paper's table of BLEU: whole on a small task, and what it makes of results."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import pytest

import admin_py as ap
from admin_py.data import Dataset
from benchmarks import lines
from benchmarks import translation_table as table

pytest.importorskip("sacrebleu")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A budget of seconds."""
    monkeypatch.setattr(table, "DEPTHS", (1,))
    monkeypatch.setattr(table, "SEEDS", (1, 2))
    monkeypatch.setattr(table, "RATES", (0.001, 0.01))
    monkeypatch.setattr(table, "PILOT_STEPS", 4)
    monkeypatch.setattr(table, "STEPS", 8)
    sizes = {"d_model": 8, "d_ff": 16, "heads": 2, "warmup": 2, "valid_every": 2}
    monkeypatch.setattr(table, "RECIPE", {**table.RECIPE, **sizes})
    return ap.data.copy_task(train=60, valid=12)


def test_a_table_is_filled_and_goes_on(
    small: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, out = tmp_path / "work", tmp_path / "out"
    options = argparse.Namespace(depths=[1], pilots=True)
    table.run(small, work, out, options)
    pilots = table.load(out)["entries"]
    assert [(e["scheme"], e["lr"]) for e in pilots] == [
        (scheme, lr) for scheme in sorted(table.SCHEMES) for lr in table.RATES
    ]
    options.pilots = False
    table.run(small, work, out, options)
    text = (out / table.FILE).read_text()
    entries = json.loads(text)["entries"]
    whole = [e for e in entries if e["translated"]]
    assert len(entries) == 6 + 6
    assert len(whole) == 6
    references = lines.read_lines(out / table.HYPOTHESES / table.REFERENCE)
    for entry in whole:
        assert entry["lr"] == table.chosen_rate(entries, 1, entry["scheme"])
        assert [step for step, _ in entry["curve"]] == [2, 4, 6, 8]
        found = lines.read_lines(out / table.HYPOTHESES / entry["hypotheses"])
        again = ap.scores.bleu(found, references, convention="published")
        assert (again.score, again.signature) == (entry["bleu"], entry["signature"])
    table.run(small, work, out, options)  # all of it is there
    assert (out / table.FILE).read_text() == text
    capsys.readouterr()
    table.main(["--table", "--out", str(out)])
    printed = capsys.readouterr().out
    assert printed.startswith("1-1\n  post_ln  after 4 steps, by learning rate: 0.001: ")
    assert "(seeds: 2)" in printed
    assert "  admin - post_ln, by seed: " in printed
    assert str(tmp_path) not in text


def entry(**values: Any) -> dict[str, Any]:
    usual = {"depth": 6, "scheme": "admin", "lr": 0.0005, "seed": 1, "translated": False, "valid_nll": 3.0}
    return {**usual, "curve": [], "seconds": 1.0, **values}


def test_the_rate_is_that_of_the_least_loss() -> None:
    losses = dict(zip(table.RATES, (3.1, 2.9, math.nan), strict=True))
    pilots = [entry(lr=lr, valid_nll=nll) for lr, nll in losses.items()]
    others = [entry(scheme="pre_ln", lr=table.RATES[0], valid_nll=0.1), entry(translated=True, valid_nll=0.1)]
    assert table.chosen_rate([*pilots, *others], 6, "admin") == table.RATES[1]
    with pytest.raises(SystemExit, match="admin of 6 layers: not every learning rate was tried"):
        table.chosen_rate(pilots[:2], 6, "admin")


@pytest.mark.parametrize(
    ("nll", "steps"), [(5.0, 100.0), (3.5, 150.0), (3.0, 200.0), (2.5, 350.0), (1.0, math.inf)]
)
def test_steps_to_a_loss_lie_between_validations(nll: float, steps: float) -> None:
    curve = [[100, 4.0], [200, 3.0], [300, 3.0], [400, 2.0]]
    assert table.steps_to(entry(curve=curve), nll) == pytest.approx(steps)


def test_a_training_that_was_run_again_takes_its_place(tmp_path: Path) -> None:
    table.keep(tmp_path, entry(valid_nll=4.0))
    table.keep(tmp_path, entry(seed=2))
    table.keep(tmp_path, entry(valid_nll=2.0))
    assert [(e["seed"], e["valid_nll"]) for e in table.load(tmp_path)["entries"]] == [(1, 2.0), (2, 3.0)]


def test_the_text_and_the_folder_have_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        table.main([])
    assert "--data, --codes and --work" in capsys.readouterr().err
