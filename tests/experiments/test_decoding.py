"""How a trained model finds text: what is asked for, what its recipe says, and what does not go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.table_model import VOCABULARY, table_model
from small_models import config

import admin_py as ap
from admin_py.data import WordTokenizer
from admin_py.generation import beam_search, greedy, sample

WORDS = WordTokenizer([f"w{i}" for i in range(VOCABULARY - 4)])
TEXTS = ["w1 w5 w2", "w4", "", "w3 w3 w0 w7"]


def untrained(**told: Any) -> ap.TrainedModel:
    """A translator whose likeliest tokens lie close together."""
    model = ap.Transformer(config(vocab_size=WORDS.vocab_size, max_length=20), seed=3)
    return ap.TrainedModel(model, WORDS, settings=told)


def ids() -> list[np.ndarray]:
    return [np.append(one, 2) for one in WORDS.encode_lines(TEXTS)]


def test_a_beam_searches() -> None:
    trained = untrained()
    options: dict[str, Any] = {"beam": 4, "length_penalty": 0.5, "penalty": "gnmt", "no_repeat_ngram": 2}
    options |= {"min_length": 2, "max_length": (1.0, 3), "stop": "count"}
    expected = beam_search(trained.model, ids(), n_best=3, **options)
    found = trained.translate(TEXTS, n_best=3, **options)
    assert [[one.score for one in several] for several in found] == [
        [one.score for one in several] for several in expected
    ]
    assert [[one.text for one in several] for several in found] == [
        [WORDS.decode(one.ids) for one in several] for several in expected
    ]
    assert [one.log_probability for one in found[0]] == [one.log_probability for one in expected[0]]
    assert trained.translate(TEXTS, **options) == [several[0].text for several in found]
    (one,) = trained.translate(TEXTS[0], n_best=1, **options)
    assert one.text == found[0][0].text


def test_what_the_recipe_says_holds_unless_something_is_given() -> None:
    told = {"beam": 3, "length_penalty": 2.0, "max_length": [1.0, 2]}
    trained, plain = untrained(decoding=told), untrained()
    wanted = {"beam": 3, "length_penalty": 2.0, "max_length": (1.0, 2)}
    assert trained.translate(TEXTS) == plain.translate(TEXTS, **wanted)
    assert trained.translate(TEXTS, beam=2) == plain.translate(TEXTS, **{**wanted, "beam": 2})
    assert trained.translate(TEXTS, max_new_tokens=3) == plain.translate(TEXTS, **{**wanted, "max_length": 3})
    drawn = {"temperature": 1.5, "seed": 4}
    assert trained.translate(TEXTS, **drawn) == plain.translate(TEXTS, **drawn)
    assert plain.translate(TEXTS) == [WORDS.decode(one) for one in greedy(plain.model, ids())]
    assert trained.translate(TEXTS, n_best=3)[0][0].score != 0.0


def test_a_language_model_searches_too() -> None:
    trained = ap.TrainedModel(table_model(lambda token: 4, kind="language_model"), WORDS)
    assert trained.generate("w5", beam=2, max_length=3) == "w5 w0 w0 w0"
    assert trained.generate("w5", beam=2, max_new_tokens=3) == "w5 w0 w0 w0"


def test_draws_of_a_part_are_those_of_the_whole() -> None:
    model = untrained().model
    options: dict[str, Any] = {"temperature": 2.0, "seed": 5, "top_p": 0.9}
    whole = sample(model, ids(), **options)
    parts = [*sample(model, ids()[2:], numbers=[2, 3], **options), *sample(model, ids()[:2], **options)]
    for number, one in zip((2, 3, 0, 1), parts, strict=True):
        np.testing.assert_array_equal(one, whole[number])
    for wrong, message in (
        ([1], r"numbers must be \[4\], one a sequence"),
        ([0, 1, 2, -1], "numbers must be from 0 to"),
        (["a"] * 4, "numbers must be an array of numbers"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            sample(model, ids(), numbers=wrong)


@pytest.mark.parametrize("how", [greedy, beam_search, sample])
def test_progress_is_told_of_each_batch(how: Any) -> None:
    told: list[int] = []
    how(untrained().model, ids(), batch_size=3, progress=told.append)
    assert told == [3, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_best": 2}, "n_best goes with a beam, which makes a search, got n_best=2 without"),
        ({"length_penalty": 0.6}, "length_penalty goes with a beam"),
        ({"beam": 5, "temperature": 1.0}, "beam goes with a search, and a temperature makes draws"),
        ({"beam": 5, "seed": 3}, "seed goes with a temperature"),
        ({"top_p": 0.5}, "top_p goes with a temperature"),
        ({"beam": 2, "n_best": 3}, "n_best must be an integer from 1 to 2|n_best must be at most 2"),
        ({"beam": 2, "max_new_tokens": 3, "max_length": 3}, "both say how long it may be"),
        ({"beam": 0}, "beam must be"),
        ({"progress": 3}, "progress must be"),
    ],
)
def test_what_does_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        untrained().translate(TEXTS, **options)


def test_settings_that_are_none_are_told_of() -> None:
    with pytest.raises((ValueError, TypeError), match="beam must be"):
        untrained(decoding={"beam": "five"}).translate(TEXTS)
    assert untrained(decoding="none").translate(TEXTS) == untrained().translate(TEXTS)
