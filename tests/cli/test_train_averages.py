"""`admin-py train`: which weights are kept, averaged and written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import admin_py as ap
from admin_py.cli import entry as cli

SMALL = ["--task", "copy", "--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--quiet"]
SMALL += ["--max-tokens", "2000", "--threads", "1"]


def train(folder: Path, *more: str, steps: int = 6) -> ap.TrainedModel:
    arguments = ["train", *SMALL, "--steps", str(steps), "--out", str(folder), *more]
    assert cli.main(arguments) == 0
    return ap.load(folder)


def test_the_mean_of_the_last_weights_is_written(tmp_path: Path) -> None:
    plain = train(tmp_path / "plain")
    found = train(tmp_path / "run", "--average", "3", "--keep-every", "2")
    kept = tmp_path / "run" / "kept"
    assert sorted(os.listdir(kept)) == [f"last-{step:08d}.safetensors" for step in (2, 4, 6)]
    np.testing.assert_equal(found.model.state, ap.average(kept, last=3).state)
    assert found.metadata["weights"] == "mean of those after steps 2, 4, 6"
    assert (found.settings["average"], found.settings["keep_every"]) == (3, 2)
    assert found.history is not None
    assert plain.history is not None
    np.testing.assert_array_equal(found.history.loss, plain.history.loss)
    assert plain.settings.keys() == found.settings.keys() - {"average", "keep_every"}
    assert "weights" not in plain.metadata
    assert "kept" not in os.listdir(tmp_path / "plain")


def test_as_many_as_there_are_are_averaged(tmp_path: Path) -> None:
    found = train(tmp_path, "--average", "5", "--keep-last", "7", "--keep-every", "3")
    assert found.metadata["weights"] == "mean of those after steps 3, 6"
    again = train(tmp_path, "--average", "5", "--keep-last", "7", "--keep-every", "3", steps=9)
    assert again.metadata["weights"] == "mean of those after steps 3, 6, 9"


def test_where_no_epoch_is_over_the_last_weights_are_written(tmp_path: Path, capsys) -> None:
    found = train(tmp_path, "--average", "2", "--keep-every", "100")
    assert "no epoch is over yet" in capsys.readouterr().err
    np.testing.assert_equal(found.model.state, ap.load(tmp_path / "checkpoint.safetensors").state)


def test_the_moving_average_is_written(tmp_path: Path) -> None:
    found = train(tmp_path, "--ema", "0.9")
    assert found.metadata["weights"] == "moving average of those after step 6"
    assert found.history is not None
    assert found.history.metadata["training"]["ema"] == 0.9
    last = ap.load(tmp_path / "checkpoint.safetensors")
    assert not np.array_equal(found.model._core.weights, last._core.weights)


@pytest.mark.parametrize("more", [[], ["--ema", "0.5"]])
def test_the_best_weights_are_written(tmp_path: Path, more: list[str]) -> None:
    arguments = ["--patience", "2", "--lr", "3", "--warmup", "0", "--valid-every", "1", *more]
    found = train(tmp_path, *arguments, steps=60)
    assert found.history is not None
    assert found.history.stopped_early
    best = found.history.best_step
    words = "moving average of those" if more else "those"
    assert found.metadata["weights"] == f"{words} after step {best}, the best"
    data = ap.data.copy_task()
    batches = list(data.batches(max_tokens=2000, split="valid", shuffle=False))
    losses = [found.model.loss(batch) for batch in batches]
    nll = np.average([one.nll for one in losses], weights=[one.num_tokens for one in losses])
    assert nll == pytest.approx(found.history.valid["nll"].min(), rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ema", "0.9", "--average", "3"], "give one of --ema and --average"),
        (["--keep-every", "3"], "--keep-every goes with --average or --keep-last"),
        (["--average", "5", "--keep-last", "3"], "--average 5 needs --keep-last 5 at least"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, capsys, arguments: list[str], message: str) -> None:
    assert cli.main(["train", *SMALL, "--out", str(tmp_path / "run"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ema", "1"], "ema must be"),
        (["--patience", "0"], "patience must be an integer from 1"),
        (["--average", "0"], "keep_last must be an integer from 1"),
        (["--keep-last", "-1"], "keep_last must be an integer from 1"),
        (["--keep-last", "1", "--keep-every", "0"], "keep_every must be an integer from 1"),
    ],
)
def test_numbers_that_make_no_sense(tmp_path: Path, capsys, arguments: list[str], message: str) -> None:
    assert cli.main(["train", *SMALL, "--out", str(tmp_path / "run"), *arguments]) == 1
    assert message in capsys.readouterr().err
