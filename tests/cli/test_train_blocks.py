"""The blocks of models as options of `admin-py train`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import admin_py as ap
from admin_py.cli.entry import main
from admin_py.experiments.settings import SETTINGS
from admin_py.experiments.train_settings import TRAIN_SETTINGS

SMALL = "--task copy --steps 2 --layers 1 --d-model 16 --d-ff 24 --heads 2 --max-tokens 64 --quiet"

LLAMA = {
    "--gated": ("gated", True),
    "--bias none": ("bias", "none"),
    "--output-bias": ("output_bias", True),
    "--logits-scale .5": ("logits_scale", 0.5),
    "--embedding-scale 1": ("embedding_scale", 1.0),
    "--embedding-norm rms": ("embedding_norm", "rms"),
    "--norm-eps 1e-6": ("norm_eps", 1e-6),
    "--positions rotary": ("positions", "rotary"),
    "--rotary-interleaved": ("rotary_interleaved", True),
    "--qk-norm rms": ("qk_norm", "rms"),
    "--qk-norm-whole": ("qk_norm_whole", True),
}
"""Option -> field of the configuration and its value."""


def test_every_block_is_an_option(tmp_path: Path) -> None:
    assert main(["train", *SMALL.split(), *" ".join(LLAMA).split(), "--out", str(tmp_path / "run")]) == 0
    config = ap.load(tmp_path / "run").model.config
    assert {name: getattr(config, name) for name, _ in LLAMA.values()} == dict(LLAMA.values())


def test_without_them_a_model_is_as_its_class_makes_it(tmp_path: Path) -> None:
    assert main(["train", *SMALL.split(), "--no-gated", "--out", str(tmp_path / "run")]) == 0
    config = ap.load(tmp_path / "run").model.config
    usual = {one.name: one.default for one in dataclasses.fields(config)}
    assert all(getattr(config, name) == usual[name] for name, _ in LLAMA.values())


def test_every_field_of_a_model_has_a_setting() -> None:
    """But for what sizes are called there, and what the schemes or checkpoints of others alone ask for."""
    fields = {one.name for one in dataclasses.fields(ap.TransformerConfig)}
    other = {"vocab_size", "encoder_layers", "decoder_layers", "scheme"}
    rare = {"qkv_fused_init", "input_scale", "rotary_scaling"}
    assert fields - other - rare <= {*SETTINGS, *TRAIN_SETTINGS}
    assert not rare & {*SETTINGS, *TRAIN_SETTINGS}


def status(arguments: list[str]) -> object:
    try:
        return main(arguments)
    except SystemExit as error:  # argparse's
        return error.code


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--logits-scale 0", "logits_scale must be positive, got 0"),
        ("--norm-eps -1", "norm_eps must be positive, got -1"),
        ("--bias some", "invalid choice: 'some'"),
        ("--gated=no", "ignored explicit argument 'no'"),
        ("--qk-norm-whole", "qk_norm_whole"),
    ],
)
def test_what_is_wrong_is_named(
    options: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["train", *SMALL.split(), *options.split(), "--out", str(tmp_path / "run")]) != 0
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_recipe_may_have_them_too() -> None:
    recipe = ap.recipes.load("numbers", model={"gated": True, "bias": "none"})
    config = recipe.config(ap.data.number_words(train=20, valid=4))
    assert (config.gated, config.bias, config.output_bias) == (True, "none", False)
    with pytest.raises(TypeError, match=r"model\.gated must be True or False|model\.gated must be a bool"):
        ap.recipes.load("numbers", model={"gated": "yes"})
