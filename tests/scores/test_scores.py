"""BLEU, chrF and TER: published examples, sacreBLEU's own command, what no order changes, wrong texts."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_translations import made_translations, plain, sacrebleu

import admin_py as ap
from admin_py.scores import CONVENTIONS, METRICS, ConventionWarning, Score

pytest.importorskip("sacrebleu")

SCORERS: dict[str, Callable[..., Score]] = {
    "bleu": ap.scores.bleu,
    "chrf": ap.scores.chrf,
    "ter": ap.scores.ter,
}

HYPOTHESES = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
REFERENCES = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]
"""Of sacreBLEU's own page."""


# What is published


def test_the_example_of_sacrebleus_page() -> None:
    found = ap.scores.bleu(HYPOTHESES, REFERENCES)
    assert round(found.score, 2) == 48.53
    assert [round(share, 1) for share in found.precisions] == [82.4, 50.0, 45.5, 37.5]
    assert round(found.brevity_penalty or 0, 3) == 0.943
    assert (found.length, found.reference_length) == (17, 18)
    assert found.signature.startswith("nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert round(ap.scores.chrf(HYPOTHESES, REFERENCES).score, 2) == 59.73


def test_papinenis_example_of_clipped_counts() -> None:
    references = [["The cat is on the mat", "There is a cat on the mat"]]
    found = ap.scores.bleu(["the the the the the the the"], references, convention="published")
    assert found.precisions[0] == pytest.approx(100 * 2 / 7)


def test_words_that_are_left_out_are_edits_and_shorten() -> None:
    found = ap.scores.ter(["the cat on the mat"], ["the cat sat on the mat"])
    assert (found.num_edits, found.reference_length, round(found.score, 4)) == (1.0, 6.0, 16.6667)
    short = ap.scores.bleu(["the cat on the mat"], ["the cat on the mat today again"])
    assert short.brevity_penalty == pytest.approx(2.718281828459045 ** (1 - 7 / 5))


# sacreBLEU's own command


OPTIONS = {"detokenised": [], "published": ["--tokenize", "none", "--force"]}
LOWER = {"bleu": "-lc", "chrf": "--chrf-lowercase"}


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_sacrebleus_command(metric: str, convention: str, tmp_path: Path) -> None:
    found, references = made_translations(60)
    if convention == "detokenised":
        found, references = plain(found), plain(references)
    options = list(OPTIONS[convention]) if metric == "bleu" else []
    if convention == "published" and metric in LOWER:
        options.append(LOWER[metric])
    told = sacrebleu(tmp_path, {"system": found}, references, "-m", metric, "-w", "12", *options)
    score = SCORERS[metric](found, references, convention=convention)
    assert round(score.score, 12) == told["score"]
    assert score.signature == told["signature"]


# What holds of all texts


WORDS = st.lists(st.sampled_from(["a", "Haus", "weiß", ",", "is"]), min_size=1, max_size=8).map(" ".join)


@settings(deadline=None, max_examples=30)
@given(st.data(), st.sampled_from(sorted(METRICS)))
def test_sentences_may_stand_in_any_order(data: st.DataObject, metric: str) -> None:
    pairs = data.draw(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
    moved = data.draw(st.permutations(pairs))
    scores = []
    for one in (pairs, moved):
        hypotheses, references = zip(*one, strict=True)
        scores.append(SCORERS[metric](hypotheses, references, convention="published").score)
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.lists(WORDS, min_size=1, max_size=6), st.sampled_from(sorted(METRICS)))
def test_a_text_is_its_own_best_translation(lines: list[str], metric: str) -> None:
    found = SCORERS[metric](lines, lines, convention="published").score
    if metric == "ter":
        assert found == 0
    elif metric == "chrf" or any(len(line.split()) >= 4 for line in lines):
        assert found == pytest.approx(100)
    assert found <= 100 + 1e-9


@pytest.mark.parametrize("metric", METRICS)
def test_a_second_reference_that_is_no_other_changes_nothing(metric: str) -> None:
    found, references = made_translations(20)
    one = SCORERS[metric](found, references, convention="published")
    several = SCORERS[metric](found, [[line, line] for line in references], convention="published")
    assert several.score == pytest.approx(one.score)
    assert "nrefs:2" in several.signature


def test_of_several_references_blank_ones_are_left_out() -> None:
    found, references = made_translations(6)
    varied = [[line, " "] if i % 2 else [line, line] for i, line in enumerate(references)]
    score = ap.scores.bleu(found, varied, convention="published")
    assert score.score == ap.scores.bleu(found, references, convention="published").score
    assert "nrefs:var" in score.signature


def test_case_counts_in_plain_text_alone() -> None:
    lines = ["A man sleeps on a bench."]
    other = ["a Man sleeps on a Bench."]
    assert ap.scores.bleu(lines, other).score < 100
    assert ap.scores.bleu(["a man on a bench ."], ["A Man on a Bench ."], convention="published").score == (
        pytest.approx(100)
    )


def test_a_system_that_says_nothing_has_no_score() -> None:
    assert ap.scores.bleu(["", " "], ["a house", "a tree"]).score == 0
    assert ap.scores.chrf(["", " "], ["a house", "a tree"]).score == 0
    assert ap.scores.ter(["", " "], ["a house", "a tree"]).score == 100


# Texts of the other convention


def test_tokenised_text_is_told_from_plain_text_and_said_where_it_is_called() -> None:
    found, references = made_translations(20)
    with pytest.warns(ConventionWarning, match="hypotheses look tokenised, in 20 of 20 lines") as told:
        ap.scores.bleu(found, plain(references))
    assert [one.filename for one in told] == [__file__]
    with pytest.warns(ConventionWarning, match="references look like plain text, in 19 of 20 lines"):
        ap.scores.ter(found, plain(references), convention="published")


def test_a_text_without_capitals_is_told_where_case_counts() -> None:
    with pytest.warns(ConventionWarning, match="hypotheses have no capitals, references in 1 of 2 lines"):
        ap.scores.bleu(["ein haus", "da"], ["ein Haus", "da"])
    ap.scores.bleu(["ein haus", "da"], ["ein Haus", "da"], convention="published")
    ap.scores.bleu(["ein haus", "Da"], ["ein Haus", "da"])
    ap.scores.ter(["ein haus", "da"], ["ein Haus", "da"])


def test_subwords_that_are_left_are_told_under_both_conventions() -> None:
    for convention in CONVENTIONS:
        with pytest.warns(ConventionWarning, match=r"hypotheses have subwords marked @@ left, in 1 of 2"):
            ap.scores.chrf(["ein Bü@@ ro", "ein Haus"], ["ein Büro", "ein Haus"], convention=convention)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_text_of_its_own_convention_is_scored_in_silence(convention: str) -> None:
    found, references = made_translations(20)
    if convention == "detokenised":
        found, references = plain(found), plain(references)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ap.scores.bleu(found, references, convention=convention)
        ap.scores.bleu(["no stops", "mr. X @ home"], ["no stops", "mr. X @@home"])


# Wrong texts


WRONG = {
    "one text": ("a house", ["a house"], TypeError, "hypotheses must be a list of strings, one a sentence"),
    "bytes": (b"a house", ["a house"], TypeError, "hypotheses must be a list of strings"),
    "of bytes": ([b"a house"], ["a house"], TypeError, "hypotheses must be .*number 0 is b'a house'"),
    "of none": ([None], ["a house"], TypeError, "hypotheses must be .*number 0 is None"),
    "no sentence": ([], [], ValueError, "hypotheses must have at least one sentence, got none"),
    "a mapping": (["a"], {"a": "b"}, TypeError, "references must be a list of strings"),
    "fewer references": (["a", "b"], ["a"], ValueError, "references must be as many as hypotheses, 2, got 1"),
    "no references": (["a"], [], ValueError, "references must be as many as hypotheses, 1, got 0"),
    "a blank one": (["a", "b"], ["a", "  "], ValueError, "references: number 1 is blank"),
    "blank ones": (["a"], [["", " "]], ValueError, "references: number 0 is blank"),
    "none for one": (["a"], [[]], ValueError, "references: number 0 is blank"),
    "both kinds": (["a", "b"], [["a"], "b"], TypeError, "number 0 is a list and number 1 is none"),
    "a number": (["a"], [3], TypeError, "references: number 0 must be a string, got 3"),
    "one text of references": (["a"], "a", TypeError, "references must be a list of strings"),
    "streams": (
        ["a", "b", "c"],
        [["a", "b", "c"], ["a", "b", "c"]],
        ValueError,
        r"got 2; they are lists of .*: list\(zip\(\*references\)\)",
    ),
    "no text": (["a\ud800"], ["a"], ValueError, "hypotheses: number 0 has lone surrogates"),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_text_is_one_error_that_says_where(name: str, metric: str) -> None:
    hypotheses, references, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        SCORERS[metric](hypotheses, references)


def test_a_wrong_convention_is_refused() -> None:
    with pytest.raises(ValueError, match="convention must be one of 'detokenised', 'published', got '13a'"):
        ap.scores.bleu(["a"], ["a"], convention="13a")  # type: ignore[arg-type]


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sacrebleu", "sacrebleu.metrics", "sacrebleu.significance"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^sacrebleu is not installed: pip install admin-py\[translation\]$"
    ):
        ap.scores.bleu(["a"], ["a"])


# As results


def test_a_score_shows_its_signature_and_comes_back_from_its_file(tmp_path: Path) -> None:
    found = ap.scores.ter(HYPOTHESES, REFERENCES)
    assert found.signature in repr(found)
    assert found.to_dict()["signature"] == found.signature
    found.save(tmp_path / "ter.json")
    assert ap.load(tmp_path / "ter.json") == found
    assert found.to_dataframe()["num_edits"].tolist() == [found.num_edits]


def test_a_file_that_says_what_no_score_can_be_is_refused(tmp_path: Path) -> None:
    told = ap.scores.bleu(HYPOTHESES, REFERENCES).to_dict()
    for changed in ({"score": -1.0}, {"metric": "meteor"}, {"convention": "13a"}, {"precisions": "a"}):
        with pytest.raises(ValueError):
            Score.from_dict({**told, **changed})
