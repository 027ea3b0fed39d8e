"""Recipes: what those of the package say, how strictly files are read, and what is made of them."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from parallel_lines import write_pair

import admin_py as ap
from admin_py.experiments.settings import DEFAULTS
from admin_py.experiments.train_settings import TRAIN_SETTINGS
from admin_py.recipes import Recipe, load, names
from admin_py.recipes.recipe import GROUPS


@pytest.mark.parametrize("name", names())
def test_each_says_what_it_is_and_where_it_is_from(name: str) -> None:
    recipe = load(name)
    assert recipe.name == name
    assert recipe.summary
    assert recipe.source
    for group in ("data", "model", "optimizer", "schedule", "training"):
        assert getattr(recipe, group), group
    assert set(recipe.sources) <= {f"{group}.{one}" for group in GROUPS for one in getattr(recipe, group)}
    assert repr(recipe) == f"Recipe({name!r}, {recipe.summary})"
    assert recipe == load(name) == copy.deepcopy(recipe) == pickle.loads(pickle.dumps(recipe))


def test_multi30k_tiny_is_that_of_the_paper() -> None:
    recipe = load("multi30k-tiny")
    data = ap.data.from_texts([("a b", "c d")] * 10, vocab_size=260, valid=2)
    config = recipe.config(data)
    assert (config.encoder_layers, config.decoder_layers, config.d_model, config.d_ff) == (4, 4, 128, 256)
    assert (config.heads, config.scheme_name, config.share_embeddings) == (4, "post_ln", "all")
    assert (config.dropout, config.attention_dropout, config.activation_dropout) == (0.3, 0.0, 0.0)
    arguments = recipe.arguments()
    assert repr(arguments.pop("optimizer")) == repr(ap.Adam(0.005, betas=(0.9, 0.98), eps=1e-8))
    assert arguments == {
        "schedule": ap.schedules.inverse_sqrt(0.005, 2000, initial=1e-7),
        "steps": 8000,
        "max_tokens": 3500,
        "accumulate": 2,
        "clip_norm": 25.0,
        "label_smoothing": 0.1,
        "z_loss": 0.0,
    }
    assert recipe.averaging["average"] == 10
    assert (recipe.decoding["beam"], recipe.decoding["length_penalty"]) == (5, 1.0)


def test_the_others_make_what_they_say() -> None:
    small, base, characters = (load(name) for name in ("iwslt14-small", "wmt14-base", "nanogpt-characters"))
    radam = ap.RAdam(7e-4, betas=(0.9, 0.98), eps=1e-8, weight_decay=1e-4)
    assert repr(small.arguments()["optimizer"]) == repr(radam)
    assert (small.model["attention_dropout"], small.model["d_ff"]) == (0.1, 1024)
    assert (base.model["heads"], base.schedule["warmup"], base.training["accumulate"]) == (8, 8000, 4)
    arguments = characters.arguments()
    assert arguments["schedule"] == ap.schedules.cosine(1e-3, 100, steps=2000, final=1e-4)
    assert repr(arguments["optimizer"]) == repr(ap.AdamW(1e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1))
    book = ap.data.from_texts(["to be or not to be, that is the question. " * 30], level="char", context=64)
    config = characters.config(book)
    assert (config.kind, config.positions, config.activation) == ("language_model", "learned", "gelu")
    assert config.max_length == book.longest


def test_numbers_is_the_usual_training() -> None:
    recipe = load("numbers")
    usual = {**DEFAULTS, **{name: one.default for name, one in TRAIN_SETTINGS.items()}}
    for group in ("model", "schedule", "training"):
        for name, value in getattr(recipe, group).items():
            assert value == usual.get(name, "admin"), name
    data = ap.data.number_words(train=20, valid=4)
    assert repr(recipe.arguments()["optimizer"]) == repr(ap.Adam(1e-3, betas=(0.9, 0.98), eps=1e-9))
    assert recipe.make_model(data, seed=3).seed == 3


def test_values_are_replaced_and_their_sources_go() -> None:
    recipe = load("multi30k-tiny", model={"layers": (2, 1), "max_length": 99}, training={"accumulate": 2})
    assert recipe.model["layers"] == (2, 1)
    assert recipe.model["d_model"] == 128
    assert "model.max_length" not in recipe.sources
    assert "training.accumulate" in recipe.sources, "the same value"
    sgd = recipe.replace(optimizer={"optimizer": "sgd"}, schedule={"schedule": "linear"})
    assert dict(sgd.optimizer) == {"optimizer": "sgd"}
    assert "optimizer.eps" not in sgd.sources
    assert (sgd.schedule["lr"], sgd.schedule["warmup"]) == (0.005, 2000)
    cosine = load("nanogpt-characters").replace(schedule={"schedule": "inverse_sqrt"})
    assert "final_lr" not in cosine.schedule
    assert recipe.replace(name="mine").name == "mine"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"modle": {}}, "a recipe has no 'modle'; its parts are data, model"),
        ({"model": {"layer": 3}}, "model has no 'layer'; it may have scheme, layers"),
        ({"model": {"layers": 0}}, r"model.layers must be an integer from 1|model.layers must be at least 1"),
        ({"model": {"dropout": 2}}, r"model.dropout must be"),
        ({"model": 3}, "model must be a mapping, got 3"),
        ({"schedule": {"lr": "fast"}}, r"schedule.lr must be a number, got 'fast'"),
        ({"schedule": {"final_lr": 1e-5}}, "final_lr has no meaning for the schedule inverse_sqrt"),
        ({"schedule": {"warmup": 0}}, "initial goes with a warmup"),
        ({"optimizer": {"optimizer": "sgd", "eps": 1e-8}}, "eps has no meaning for the optimizer sgd"),
        ({"training": {"steps": None}}, r"training.steps must be"),
        ({"decoding": {"beam": 0}}, r"decoding.beam must be"),
        ({"decoding": {"max_length": 3}}, r"decoding.max_length must be a pair"),
        ({"data": {"kind": "pictures"}}, r"data.kind must be one of 'pairs', 'text', 'numbers'"),
        ({"sources": {"model.colour": "nowhere"}}, "sources: there is no value 'model.colour'"),
    ],
)
def test_what_is_wrong_is_named(parts: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        load("multi30k-tiny", **parts)


def test_files_are_read_strictly(tmp_path: Path) -> None:
    told = {"name": "mine", "model": {"layers": [2, 1]}, "training": {"steps": 3}}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(told))
    assert load(path).model["layers"] == (2, 1)
    assert load(path) == load(str(path)) == Recipe(**told)
    for wrong, message in (
        ({**told, "modell": {}}, "modell"),
        ({**told, "model": {"layer": 2}}, "model has no 'layer'"),
        ({"model": {}}, "expected a recipe: an object with a name"),
        ([1], "expected a recipe"),
        ({**told, "name": 3}, "name must be a string"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match=message) as error:
            load(path)
        assert "mine.json" in str(error.value)
    path.write_text('{"name": "a", "name": "b"}')
    with pytest.raises(ValueError, match="the key 'name' stands there twice"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "other.json")
    with pytest.raises(ValueError, match="name must be a recipe, one of 'iwslt14-small', "):
        load("multi30k")
    for name in ("", 3, None):
        with pytest.raises((TypeError, ValueError), match="name must be a path"):
            load(name)  # type: ignore[arg-type]


def test_a_trained_model_translates_as_its_recipe_says(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "train", 60)
    data = ap.data.parallel_text(*pair, pretokenized=True, valid=5)
    sizes = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2}
    recipe = load("multi30k-tiny", model=sizes, training={"steps": 2, "max_tokens": 64})
    model = recipe.make_model(data, seed=1)
    history = ap.train(model, data, **recipe.arguments(), progress=False)
    assert history.num_steps == 2
    trained = ap.TrainedModel(model, data.tokenizer, settings=recipe.settings())
    trained.save(tmp_path / "run")
    found = ap.load(tmp_path / "run")
    assert found.settings["recipe"] == "multi30k-tiny"
    assert found.settings["decoding"]["beam"] == 5
    options: dict[str, Any] = {"beam": 5, "length_penalty": 1.0, "max_length": (0, 200), "stop": "count"}
    bare = ap.TrainedModel(model, data.tokenizer)
    assert found.translate("the cat", n_best=2) == bare.translate("the cat", n_best=2, **options)
