"""``admin-py recipes``, and ``train --recipe``: what a recipe says, and what is typed over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run, run_filter
from parallel_lines import write_pair

import admin_py as ap

SMALL = ["--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--quiet"]


@pytest.fixture
def pairs(tmp_path: Path) -> list[str]:
    """The options of files."""
    train, valid = write_pair(tmp_path, "train", 60), write_pair(tmp_path, "valid", 8)
    return ["--source", str(train[0]), "--target", str(train[1]), "--valid", *map(str, valid)]


def test_they_are_listed_with_their_sources() -> None:
    found = run("recipes")
    assert (found.returncode, found.stderr) == (0, "")
    for name in ap.recipes.names():
        assert f"{name}\n    " in found.stdout
    assert "arXiv 2105.14462" in found.stdout
    found = run("recipes", "multi30k-tiny")
    assert found.returncode == 0
    assert "\nschedule\n    schedule inverse_sqrt\n    lr 0.005\n    warmup 2000\n" in found.stdout
    assert "    eps 1e-08  (fairseq's default)\n" in found.stdout
    found = run("recipes", "multi30k")
    assert (found.returncode, found.stdout) == (1, "")
    assert "name must be a recipe, one of 'iwslt14-small'" in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_training_by_a_recipe_is_that_of_python(tmp_path: Path, pairs: list[str]) -> None:
    over = ["--steps", "4", "--max-tokens", "64", "--warmup", "3", "--lr", "0.01", "--seed", "5"]
    out = tmp_path / "run"
    found = run("train", "--recipe", "multi30k-tiny", *pairs, "--pretokenized", *SMALL, *over, "--out", out)
    assert found.returncode == 0, found.stderr
    trained = ap.load(out)
    recipe = ap.recipes.load(
        "multi30k-tiny",
        model={"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2},
        training={"steps": 4, "max_tokens": 64},
        schedule={"warmup": 3, "lr": 0.01},
    )
    files = {name: str(tmp_path / name) for name in ("train.en", "train.de", "valid.en", "valid.de")}
    data = ap.data.parallel_text(
        files["train.en"], files["train.de"], pretokenized=True, valid=(files["valid.en"], files["valid.de"])
    )
    model = recipe.make_model(data, seed=5)
    history = ap.train(
        model, data, **recipe.arguments(), valid_every=1, progress=False,
        keep_last=10, keep=tmp_path / "kept",
    )  # fmt: skip
    assert trained.model.config == model.config
    assert trained.model.config.max_length == 1024
    np.testing.assert_array_equal(trained.history.loss, history.loss)
    mean = ap.average(sorted((tmp_path / "kept").glob("last-*")))
    np.testing.assert_equal(dict(trained.model.parameters), dict(mean.parameters))
    assert trained.settings["recipe"] == "multi30k-tiny"
    assert trained.settings["decoding"] == {
        "beam": 5, "length_penalty": 1.0, "penalty": "power", "max_length": (0.0, 200.0), "stop": "count",
    }  # fmt: skip
    assert trained.settings["accumulate"] == 2
    assert trained.translate("the cat") == trained.translate("the cat", beam=5)


def test_every_value_may_be_typed(tmp_path: Path, pairs: list[str]) -> None:
    typed: dict[str, Any] = {
        "scheme": "pre_ln", "layers": 1, "d_model": 16, "d_ff": 8, "heads": 4, "activation": "gelu",
        "dropout": 0.2, "attention_dropout": 0.15, "activation_dropout": 0.05, "share_embeddings": "decoder",
        "positions": "learned", "max_length": 30, "optimizer": "adamw", "beta1": 0.8, "beta2": 0.9,
        "eps": 1e-6, "weight_decay": 0.3, "schedule": "cosine", "lr": 0.02, "warmup": 2, "initial_lr": 1e-3,
        "final_lr": 1e-4, "steps": 3, "max_tokens": 50, "accumulate": 3, "clip_norm": 2.0,
        "label_smoothing": 0.05, "average": 2,
    }  # fmt: skip
    words = [word for name, value in typed.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    search = ["--beam", "3", "--lenpen", "0.5", "--penalty", "gnmt", "--max-len-a", "1.5", "--min-len", "1"]
    out = tmp_path / "run"
    found = run("train", "--recipe", "iwslt14-small", *pairs, "--vocab-size", "280", *words, *search,
                "--no-repeat-ngram", "2", "--stop", "bound", "--quiet", "--out", out)  # fmt: skip
    assert found.returncode == 0, found.stderr
    trained = ap.load(out)
    config = trained.model.config
    for name in ("d_model", "d_ff", "heads", "activation", "dropout", "attention_dropout", "max_length",
                 "activation_dropout", "share_embeddings", "positions"):  # fmt: skip
        assert getattr(config, name) == typed[name], name
    assert (config.scheme_name, config.encoder_layers, config.decoder_layers) == ("pre_ln", 1, 1)
    for name, value in typed.items():
        assert trained.settings[name] == value, name
    assert trained.history.num_steps == 3
    assert trained.history.lr[-1] == ap.schedules.cosine(0.02, 2, steps=3, initial=1e-3, final=1e-4)(3)
    assert trained.settings["decoding"] == {
        "beam": 3, "length_penalty": 0.5, "penalty": "gnmt", "max_length": (1.5, 200.0), "min_length": 1,
        "no_repeat_ngram": 2, "stop": "bound",
    }  # fmt: skip


def test_without_a_recipe_a_search_may_be_said_too(tmp_path: Path, pairs: list[str]) -> None:
    found = run(
        "train", *pairs, *SMALL, "--vocab-size", "280", "--steps", "2", "--beam", "2", "--out", tmp_path / "a"
    )
    assert found.returncode == 0, found.stderr
    assert ap.load(tmp_path / "a").settings["decoding"] == {"beam": 2}
    found = run(
        "train", "--recipe", "numbers", *SMALL, "--steps", "2", "--ema", "0.9", "--out", tmp_path / "b"
    )
    assert found.returncode == 0, found.stderr
    assert "decoding" not in ap.load(tmp_path / "b").settings


def test_a_moving_average_stands_for_the_mean_of_the_recipe(tmp_path: Path, pairs: list[str]) -> None:
    found = run("train", "--recipe", "multi30k-tiny", *pairs, *SMALL, "--pretokenized", "--steps", "2",
                "--ema", "0.9", "--out", tmp_path / "run")  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "moving average" in ap.load(tmp_path / "run").metadata["weights"]


def test_translations_of_the_mean_of_the_last_weights(tmp_path: Path, pairs: list[str]) -> None:
    arguments = [
        "train",
        *pairs,
        *SMALL,
        "--pretokenized",
        "--steps",
        "6",
        "--max-tokens",
        "64",
        "--lr",
        "0.1",
    ]
    out = tmp_path / "run"
    found = run(*arguments, "--keep-last", "4", "--keep-every", "1", "--out", out)
    assert found.returncode == 0, found.stderr
    trained = ap.load(out)
    mean = ap.TrainedModel(ap.average(out / "kept", last=3), trained.tokenizer)
    lines = ["the cat sleeps", "dog runs here there"]
    done = run_filter("translate", out, "--average", 3, given="".join(f"{line}\n" for line in lines))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == mean.translate(lines)
    done = run_filter("translate", out, "--average", 5, given="the cat\n")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--recipe", "multi30k-tiny"], 2, "is for pairs of lines: give --source and --target"),
        (["--recipe", "nanogpt-characters"], 2, "is for one text: give --text"),
        (["--recipe", "numbers", "--text", "a"], 2, "is for the task: give none of --source and --text"),
        (["--recipe", "multi"], 1, "name must be a recipe, one of"),
        (["--recipe", "numbers", "--lr", "-1"], 1, "schedule.lr must be positive"),
        (["--recipe", "numbers", "--optimizer", "sgd", "--eps", "1e-3"], 1, "eps has no meaning"),
        (["--optimizer", "sgd", "--beta1", "0.5"], 2, "--beta1 has no meaning for --optimizer sgd"),
        (["--final-lr", "1e-4"], 1, "final_lr has no meaning for the schedule inverse_sqrt"),
        (["--lenpen", "1"], 2, "--lenpen goes with --beam"),
        (["--min-len", "1"], 2, "--min-len goes with --beam"),
        (["--valid", "a", "b"], 2, "--valid goes with --source and --target"),
        (
            ["--source", "a", "--target", "b", "--valid", "a", "b", "--valid-source", "c"],
            2,
            "--valid is --valid-source and --valid-target, give one or the other",
        ),
    ],
)
def test_what_does_not_fit(tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    found = run("train", *arguments, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (status, "")
    assert message in found.stderr
    assert found.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
