"""Datasets of texts in memory: the same as those of files, and what is refused at the door."""

from __future__ import annotations

import numpy as np
import pytest

from admin_py.data import SubwordTokenizer, WordTokenizer, from_texts, parallel_text, text

PAIRS = [(f"sentence number {i} of them all", f"Satz Nummer {i} von allen für uns") for i in range(40)]
STRINGS = [f"verse {i}: row, row, row your boat,\ngently down the stream" for i in range(40)]


@pytest.fixture
def files(tmp_path):
    paths = (tmp_path / "text.en", tmp_path / "text.de")
    for path, lines in zip(paths, zip(*PAIRS, strict=True), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return paths


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"valid": 0.25, "test": 7, "seed": 3},
        {"pretokenized": True, "max_length": 8, "vocab_size": 12},
        {"tokenizer": WordTokenizer(["sentence", "Satz"]), "valid": 0},
    ],
    ids=str,
)
def test_pairs_make_what_two_files_of_them_make(files, options):
    if "tokenizer" not in options and "pretokenized" not in options:
        options = {"vocab_size": 300, **options}
    data, filed = from_texts(PAIRS, **options), parallel_text(*files, **options)
    assert data.fingerprint == filed.fingerprint
    assert data.tokenizer == filed.tokenizer
    assert [data.pairs(split) for split in data.splits] == [filed.pairs(split) for split in filed.splits]
    assert data.describe().splits == filed.describe().splits


@pytest.mark.parametrize(
    "options", [{}, {"valid": 0.3, "test": 0.2, "context": 7}, {"vocab_size": 280}, {"valid": 0.0}], ids=str
)
def test_one_string_makes_what_a_file_of_it_makes(tmp_path, options):
    whole = "".join(f"{one}\n" for one in STRINGS)
    (tmp_path / "text").write_text(whole, encoding="utf-8")
    data, filed = from_texts([whole], **options), text(tmp_path / "text", **options)
    assert data.fingerprint == filed.fingerprint
    assert [data.texts(split) for split in data.splits] == [filed.texts(split) for split in filed.splits]
    assert "".join(data.texts(split)[0] for split in data.splits) == whole


def test_further_pairs_may_be_held_out(files):
    data = from_texts(
        PAIRS, valid=[["unheard", "unerhört"], ("", "blank")], test=PAIRS[:3], pretokenized=True
    )
    assert data.splits == ("train", "valid", "test")
    assert (data.pairs("train"), data.pairs("valid")) == (PAIRS, [("unheard", "unerhört")])
    assert data.pairs("test") == PAIRS[:3]
    assert data.split("valid").source[0].tolist() == [data.unk, data.eos], "learned from training pairs alone"
    assert [one.blank for one in data.describe().splits] == [0, 1, 0]


@pytest.mark.parametrize("options", [{}, {"vocab_size": 280}], ids=["char", "subword"])
def test_strings_are_cut_each_by_itself(options):
    data = from_texts(STRINGS, context=16, valid=0, **options)
    assert (data.kind, data.texts("train")) == ("language_model", STRINGS)
    ids = [data.encode(one) for one in STRINGS]
    expected = [one[start : start + 17] for one in ids for start in range(0, one.size - 1, 16)]
    assert [one.tolist() for one in data.split("train").source] == [one.tolist() for one in expected]


def test_whole_strings_are_held_out_at_random():
    data, same, other = (from_texts(STRINGS, valid=0.2, test=5, seed=seed) for seed in (1, 1, 2))
    sizes = [len(data.texts(split)) for split in data.splits]
    assert sizes == [27, 8, 5]
    assert sorted(one for split in data.splits for one in data.texts(split)) == sorted(STRINGS)
    assert data.texts("valid") == sorted(data.texts("valid"), key=STRINGS.index)
    assert data.fingerprint == same.fingerprint != other.fingerprint
    assert from_texts(STRINGS).describe().splits[1].name == "valid"
    assert len(from_texts(STRINGS).texts("valid")) == 2, "a twentieth"


def test_further_strings_may_be_held_out():
    data = from_texts(STRINGS[:1], valid=["ßtrange", " "], test=STRINGS[2:4])
    assert [data.texts(split) for split in data.splits] == [STRINGS[:1], ["ßtrange"], STRINGS[2:4]]
    assert not any((data.split(split).source.tokens == data.unk).any() for split in data.splits)
    subwords = from_texts(["aaaa aaaa"], valid=["aabb"], vocab_size=264)
    assert isinstance(subwords.tokenizer, SubwordTokenizer)


def test_what_gives_nothing_to_learn_is_left_out_and_counted():
    data = from_texts(["ab", "", " \n", "x", "ba"], valid=0)
    assert data.texts("train") == ["ab", "ba"]
    assert data.describe().splits[0].blank == 3
    data = from_texts(
        [("a", "b"), ("", "c"), ("d", " "), ("a b c", "b")], pretokenized=True, valid=0, max_length=3
    )
    assert data.pairs("train") == [("a", "b")]
    summary = data.describe().splits[0]
    assert (summary.blank, summary.too_long) == (2, 1)


def test_line_feeds_inside_are_text():
    pairs = [("two\nlines", "zwei\nZeilen"), ("one", "eine")]
    data = from_texts(pairs, vocab_size=270, valid=0)
    assert data.pairs("train") == pairs
    assert data.decode(list(data.split("train").source)) == ["two\nlines", "one"]


@pytest.mark.parametrize(
    "texts", [iter(PAIRS), np.array(PAIRS).tolist(), tuple(PAIRS)], ids=["iterator", "lists", "tuple"]
)
def test_what_else_holds_pairs(texts):
    assert (
        from_texts(texts, pretokenized=True).fingerprint == from_texts(PAIRS, pretokenized=True).fingerprint
    )


def test_names():
    assert from_texts(["abc"], valid=0).name == "texts"
    assert repr(from_texts(["abc"], valid=0, name="mine")) == (
        "Dataset('mine', language_model, vocab_size=7, train 1)"
    )


STRING = ["a string"]
PAIR = [("a", "pair")]


@pytest.mark.parametrize(
    ("texts", "options", "error", "message"),
    [
        ("bare", {}, TypeError, "texts must be a list .*, got one string, 'bare'; put it in a list"),
        (b"bytes", {}, TypeError, "texts must be a list .* got one string, b'bytes'"),
        (7, {}, TypeError, "texts must be a list of strings or of pairs of strings, got 7"),
        ({"a": "b"}, {}, TypeError, "texts must be a list .* got {'a': 'b'}"),
        ([], {}, ValueError, "texts must hold at least one string or pair of strings, got an empty list"),
        (["a", 5], {}, TypeError, "texts: number 1 must be a string or a pair of strings, got 5"),
        (["a", None], {}, TypeError, "texts: number 1 must be a string or a pair of strings, got None"),
        (["a", ("b", "c")], {}, TypeError, "number 0 is a string and number 1 a pair"),
        ([("b", "c"), "a"], {}, TypeError, "number 0 is a pair and number 1 a string"),
        ([("a", "b"), ("a", "b", "c")], {}, ValueError, "number 1 must be a pair .source, target., got 3"),
        ([("a",)], {}, ValueError, "texts: number 0 must be a pair .source, target., got 1 of them"),
        ([("a", "b"), ("a", None)], {}, TypeError, "texts: number 1, target, must be a string, got None"),
        ([(3, "b")], {}, TypeError, "texts: number 0, source, must be a string, got 3"),
        (["a", "\ud800"], {}, ValueError, "texts: number 1 has lone surrogates"),
        ([("a", "\ud800")], {}, ValueError, "texts: number 0, target, has lone surrogates"),
        (["", " \n"], {}, ValueError, "texts: none of the strings has text"),
        ([("", "a"), ("b", " ")], {}, ValueError, "texts: no pair has text on both sides"),
        (["a", "b"], {"valid": 0}, ValueError, "none of the 2 texts of train has 2 tokens"),
        (["a"], {"valid": 0}, ValueError, "train: the texts have 1 tokens; a model needs at least 2"),
        (STRING, {"max_length": 9}, ValueError, "max_length does not apply where texts are strings, got max"),
        (STRING, {"pretokenized": True}, ValueError, "pretokenized does not apply where .* strings, got pre"),
        (PAIR, {"context": 9}, ValueError, "context does not apply where texts are pairs, got context=9"),
        (PAIR, {"level": "char"}, ValueError, "level does not apply where texts are pairs, got level"),
        (
            STRING,
            {"valid": ("a", "b"), "test": PAIR},
            TypeError,
            "test must hold strings, as texts does, got p",
        ),
        (PAIR, {"valid": ["a"]}, TypeError, "valid must hold pairs, as texts does, got strings"),
        (
            PAIR,
            {"valid": "a"},
            TypeError,
            "valid must be a list like texts, a share or a number of them, got 'a'",
        ),
        (
            PAIR,
            {"test": []},
            ValueError,
            "test must hold at least one string or pair of strings, got an empty",
        ),
        (PAIR, {"valid": [("a", 1)]}, TypeError, "valid: number 0, target, must be a string, got 1"),
        (PAIR, {"valid": [("a", "")]}, ValueError, "valid: no pair has text on both sides"),
        (STRING, {"test": [" "]}, ValueError, "test: none of the strings has text"),
        (
            STRING,
            {"valid": True},
            TypeError,
            "valid must be a list like texts, a share or a number .* got True",
        ),
        (
            STRING,
            {"valid": 1},
            ValueError,
            "valid is 1, but only 1 texts have text: none is left to train on",
        ),
        (
            STRINGS,
            {"valid": 0.5, "test": 20},
            ValueError,
            "valid [+] test is 40, but only 40 texts have text",
        ),
        (
            STRING,
            {"valid": 1.5},
            ValueError,
            "valid as a share of the text must be .* below 1, got 1.5",
        ),
        (
            STRINGS,
            {"test": -0.5},
            ValueError,
            "test as a share of the lines must be .* below 1, got -0.5",
        ),
        (
            STRINGS,
            {"valid": np.array([1])},
            TypeError,
            r"valid: number 0 must be a string or a pair of strings, got (np\.int64\(1\)|1)$",
        ),
        (STRINGS, {"seed": -1}, ValueError, r"seed must be an integer from 0 to \d+, got -1$"),
        (PAIR, {"vocab_size": 100}, ValueError, "vocab_size must be at least 260, got 100"),
        (STRING, {"level": "char", "vocab_size": 300}, ValueError, "vocab_size is of subwords"),
    ],
)
def test_what_is_refused(texts, options, error, message):
    with pytest.raises(error, match=message):
        from_texts(texts, **options)
