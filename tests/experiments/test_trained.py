"""Trained models as folders: what comes back, and text in, text out."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_results import made_history, made_profile
from small_models import config

import admin_py as ap
from admin_py.data import CharacterTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer
from admin_py.data.tokenizer import EOS
from admin_py.experiments.trained import TRAINED_FILE
from admin_py.generation import greedy, sample

NUMBERS = ap.data.number_words(train=400, valid=20, limit=500)


@pytest.fixture(scope="module")
def translator() -> ap.TrainedModel:
    """Knows the numbers up to 500 by heart, the one that is asked for among them."""
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 48, "heads": 4, "d_ff": 96, "dropout": 0.0}
    model = ap.Transformer(ap.TransformerConfig(vocab_size=NUMBERS.vocab_size, **sizes), seed=1)
    schedule = ap.schedules.inverse_sqrt(1e-2, 40)
    history = ap.train(
        model,
        NUMBERS,
        optimizer=ap.Adam(betas=(0.9, 0.98)),
        schedule=schedule,
        steps=300,
        max_tokens=512,
        label_smoothing=0.0,
        valid_every=300,
        progress=False,
    )
    return ap.TrainedModel(model, NUMBERS.tokenizer, history=history, data={"name": NUMBERS.name})


@pytest.fixture(scope="module")
def speaker() -> ap.TrainedModel:
    """A language model of characters, which says abc over and over."""
    tokenizer = CharacterTokenizer("abc ")
    model = ap.Transformer(config(0, 1, vocab_size=tokenizer.vocab_size, d_model=16, dropout=0.0), seed=2)
    batch = ap.Batch(tokenizer.encode_lines(["abcabcabcabc", "bcabcabcabca", "cabcabcabcab"]))
    optimizer = ap.Adam(1e-2)
    for _ in range(80):
        model.backward(batch)
        optimizer.step(model)
    return ap.TrainedModel(model, tokenizer)


def test_a_translator_translates(translator: ap.TrainedModel) -> None:
    pairs = NUMBERS.pairs("valid")
    found = translator.translate([source for source, _ in pairs])
    assert np.mean([one == target for one, (_, target) in zip(found, pairs, strict=True)]) >= 0.8, found
    assert translator.translate("two hundred") == "zweihundert"
    assert translator.translate(["two hundred"]) == ["zweihundert"]
    assert translator.generate(["two hundred"]) == ["zweihundert"]
    assert translator.translate([]) == []


def test_a_language_model_continues(speaker: ap.TrainedModel) -> None:
    assert speaker.generate("ab", max_new_tokens=7) == "abcabcabc"
    assert speaker.generate(["b", "ca"], max_new_tokens=4) == ["bcabc", "cabcab"]
    assert len(speaker.generate("ab")) == 2 + 32, "32 tokens, where its context has 16"
    with pytest.raises(ValueError, match=r"got one of kind 'language_model'; generate continues texts"):
        speaker.translate("ab")


def test_text_is_what_generation_makes_of_ids(speaker: ap.TrainedModel, translator: ap.TrainedModel) -> None:
    ids = NUMBERS.encode(["two hundred and one", "three"])
    assert translator.generate(["two hundred and one", "three"]) == NUMBERS.decode(
        greedy(translator.model, ids)
    )
    options = {"temperature": 2.0, "top_k": 5, "seed": 3, "max_new_tokens": 9}
    drawn = translator.generate(["two hundred and one", "three"], **options)
    assert drawn == NUMBERS.decode(sample(translator.model, ids, **options))
    options["seed"] = 4
    assert drawn != translator.generate(["two hundred and one", "three"], **options)


def test_text_that_cannot_be_read(speaker: ap.TrainedModel, translator: ap.TrainedModel) -> None:
    with pytest.raises(ValueError, match="texts: number 1 has no tokens to be continued: ''"):
        speaker.generate(["a", ""])
    with pytest.raises(TypeError, match="texts must be strings, but number 0 is 3"):
        translator.translate([3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"^texts has lone surrogates"):
        translator.translate("\ud800")
    with pytest.raises(ValueError, match="texts: number 1 has lone surrogates"):
        translator.translate(["two", "\ud800"])
    with pytest.raises(ValueError, match=r"^texts has no tokens to be continued: ''"):
        speaker.generate("")
    with pytest.raises(ValueError, match="top_k goes with a temperature"):
        speaker.generate("a", top_k=3)
    with pytest.raises(ValueError, match="max_new_tokens must be at least 1, got 0"):
        speaker.generate("a", max_new_tokens=0)
    with pytest.raises(ValueError, match="this model has no tokenizer, so it takes no text"):
        ap.TrainedModel(speaker.model).generate("a")
    encoder = ap.TrainedModel(ap.Transformer(config(1, 0)), WordTokenizer(["a"]))
    with pytest.raises(ValueError, match="an encoder generates nothing"):
        encoder.generate("a")


@pytest.mark.parametrize(("name", "value"), [("seed", 3), ("top_k", 2)])
def test_a_draws_arguments_need_a_temperature(
    speaker: ap.TrainedModel, translator: ap.TrainedModel, name: str, value: int
) -> None:
    for call in (speaker.generate, translator.translate):
        with pytest.raises(
            ValueError, match=f"^{name} goes with a temperature, .* got {name}={value} without$"
        ):
            call("a b", **{name: value})


def test_an_empty_text_may_be_translated(translator: ap.TrainedModel) -> None:
    ids = greedy(translator.model, [[EOS]])[0]
    assert translator.translate("") == NUMBERS.decode(ids)


# Files


def whole() -> ap.TrainedModel:
    tokenizer = SubwordTokenizer.train(["the cat sat"], vocab_size=270)
    model = ap.Transformer(config(vocab_size=tokenizer.vocab_size), seed=9, dtype="float64")
    model.parameters["embedding.weight"][...] += 0.5
    settings, data = (
        {"layers": (2, 2), "lr": 1e-3, "clip_norm": None},
        {"name": "cats", "options": {"task": "x"}},
    )
    return ap.TrainedModel(
        model,
        tokenizer,
        history=made_history(),
        profile=made_profile(),
        settings=settings,
        data=data,
        metadata={"seed": 9},
    )


def assert_same(found: ap.TrainedModel, expected: ap.TrainedModel) -> None:
    assert (found.model.config, found.model.seed, found.model.dtype) == (
        expected.model.config,
        expected.model.seed,
        expected.model.dtype,
    )
    np.testing.assert_equal(dict(found.model.parameters), dict(expected.model.parameters))
    for name in ("tokenizer", "history", "profile", "settings", "data", "metadata"):
        assert getattr(found, name) == getattr(expected, name), name
    assert repr(found) == repr(expected)


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    expected = whole()
    expected.save(tmp_path / "new" / "folder")
    assert_same(ap.load(tmp_path / "new" / "folder"), expected)
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == [
        "history.json",
        "model.safetensors",
        "profile.json",
        "tokenizer.json",
        "trained.json",
    ]


def test_what_it_is_without_has_no_file_and_an_old_one_is_not_read(tmp_path: Path) -> None:
    whole().save(tmp_path)
    bare = ap.TrainedModel(ap.Transformer(config(), seed=4))
    bare.save(tmp_path)
    found = ap.load(tmp_path)
    assert (found.tokenizer, found.history, found.profile) == (None, None, None)
    assert_same(found, bare)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_and_pickles(again: Any) -> None:
    assert_same(again(whole()), whole())


def test_a_folder_that_was_not_saved_to_its_end_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole().save(tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ap.History, "save", full)
    with pytest.raises(OSError, match="No space left"):
        whole().save(tmp_path)
    with pytest.raises(
        ValueError, match=r"is a folder without any of .*trained\.json; it holds history\.json"
    ):
        ap.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"kind": "history"}', "expected a trained model"),
        ('{"kind": "trained model", "settings": {}}', "missing required field `files`"),
        ("[]", "expected a trained model"),
        ('{"kind": ', "not what was expected"),
    ],
)
def test_damaged_folders(tmp_path: Path, text: str, words: str) -> None:
    whole().save(tmp_path)
    (tmp_path / TRAINED_FILE).write_text(text)
    with pytest.raises(ValueError, match=rf"trained\.json.*{words}"):
        ap.load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    whole().save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        ap.load(tmp_path)


def test_arguments_are_checked() -> None:
    model = ap.Transformer(config())
    for given, error, words in (
        ({"model": None}, TypeError, "model must be a Transformer, got an object of type NoneType"),
        ({"tokenizer": "words"}, TypeError, "tokenizer must be a Tokenizer, got an object of type str"),
        ({"history": made_profile()}, TypeError, "history must be a History"),
        ({"settings": [1]}, TypeError, r"settings must be a mapping, got \[1\]"),
        (
            {"tokenizer": CharacterTokenizer(map(chr, range(99)))},
            ValueError,
            "tokenizer has 103 ids, model only 20",
        ),
    ):
        with pytest.raises(error, match=words):
            ap.TrainedModel(**{"model": model, **given})


def test_settings_are_plain_values_in_the_file(tmp_path: Path) -> None:
    whole().save(tmp_path)
    kept = json.loads((tmp_path / TRAINED_FILE).read_text())
    assert kept["settings"] == {"layers": [2, 2], "lr": 1e-3, "clip_norm": None}
    assert kept["files"] == ["model", "tokenizer", "history", "profile"]


@pytest.mark.parametrize("tokenizer", [WordTokenizer(["a"]), SubwordTokenizer.train(["a"], vocab_size=260)])
def test_the_tokenizer_is_told_by_the_digest_of_its_whole_file(tmp_path: Path, tokenizer: Tokenizer) -> None:
    model = ap.Transformer(config(vocab_size=tokenizer.vocab_size))
    ap.TrainedModel(model, tokenizer).save(tmp_path)
    file = tmp_path / "tokenizer.json"
    told = json.loads((tmp_path / TRAINED_FILE).read_text())["tokenizer_digest"]
    assert told == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert ap.load(tmp_path).tokenizer == tokenizer
    file.write_bytes(file.read_bytes().replace(b"{", b"{ ", 1))
    with pytest.raises(ValueError, match="is damaged, or not that of the model"):
        ap.load(tmp_path)
