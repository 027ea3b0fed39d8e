"""What all datasets do: batches, encoding, descriptions."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest

from admin_py.data import Dataset, Sequences, Split, WordTokenizer, copy_task, from_texts, number_words


@pytest.fixture(scope="module")
def data():
    return copy_task(symbols=9, train=500, valid=40, seed=5)


def sequences_of(batches):
    """(source, target) of all sequences, as tuples, in the order of the batches."""
    return [
        (tuple(source.tolist()), tuple(target.tolist()))
        for batch in batches
        for source, target in zip(batch.source, batch.target, strict=True)
    ]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("split", ["train", "valid"])
def test_batches_hold_every_pair_once(data, split, shuffle):
    batches = list(data.batches(max_tokens=100, seed=3, split=split, shuffle=shuffle))
    held = data.split(split)
    expected = [(tuple(s.tolist()), tuple(t.tolist())) for s, t in zip(held.source, held.target, strict=True)]
    found = sequences_of(batches)
    assert (sorted(found) == sorted(expected)) if shuffle else (found == expected)
    for batch in batches:
        assert batch.source.tokens.size <= 100
        assert batch.target.tokens.size <= 100
    assert len(batches) == data.num_batches(max_tokens=100, seed=3, split=split, shuffle=shuffle)


def test_batches_depend_on_the_seed_alone(data):
    one, again, other = (sequences_of(data.batches(max_tokens=64, seed=seed)) for seed in (1, 1, 2))
    assert one == again != other


def test_batches_from_a_later_start_are_the_rest(data):
    whole = list(data.batches(max_tokens=64, seed=1))
    rest = list(data.batches(max_tokens=64, seed=1, start=7))
    assert rest == whole[7:]
    assert list(data.batches(max_tokens=64, seed=1, start=10_000)) == []


def test_plan_says_which_pairs_are_in_a_batch(data):
    plan = data.plan(max_tokens=64, seed=1)
    for indices, batch in zip(plan, data.batches(max_tokens=64, seed=1), strict=True):
        assert batch.source.tokens.tolist() == data.split("train").source.take(indices).tokens.tolist()


def test_errors_of_batches_come_at_the_call(data):
    with pytest.raises(ValueError, match="max_tokens is 5, but sequence"):
        data.batches(max_tokens=5)
    with pytest.raises(ValueError, match="split must be one of 'train', 'valid', got 'test'"):
        data.batches(split="test")
    with pytest.raises(ValueError, match="start must be at least 0, got -1"):
        data.batches(start=-1)
    with pytest.raises(TypeError, match="split must be a string"):
        data.batches(split=["train"])


def test_one_line_or_several(data):
    one = data.encode("3 1 4")
    assert one.dtype == np.int32
    assert one.tolist() == [7, 5, 8, 2]
    assert [ids.tolist() for ids in data.encode(["3 1 4", ""])] == [[7, 5, 8, 2], [2]]
    assert data.encode("3", side="target").tolist() == [1, 7, 2]
    assert data.encode([]) == []
    assert data.decode(one) == data.decode(one.tolist()) == "3 1 4"
    assert data.decode([one, [1, 7, 2, 5]]) == ["3 1 4", "3"]


def test_what_is_no_text(data):
    with pytest.raises(TypeError, match="lines must be strings, but number 1 is 3"):
        data.encode(["3", 3])
    with pytest.raises(ValueError, match=r"^lines has lone surrogates"):
        data.encode("\ud800")
    with pytest.raises(ValueError, match="lines: number 0 has lone surrogates"):
        data.encode(["\ud800"])
    with pytest.raises(ValueError, match="side must be 'source' or 'target', got 'left'"):
        data.encode("3", side="left")
    with pytest.raises(IndexError, match="token id 13 is not in the vocabulary of 13 ids"):
        data.decode([13])


def test_unigram_entropy_counts_what_is_predicted():
    tokenizer = WordTokenizer(["a", "b"])
    source = Sequences.from_lists([[4, 2], [5, 2]])
    target = Sequences.from_lists([[1, 4, 4, 2], [1, 5, 2]])
    data = Dataset("tiny", "translation", tokenizer, {"train": Split(source, target)})
    p = np.array([2, 2, 1]) / 5  # a, end, b; the beginning is given
    assert data.unigram_entropy() == pytest.approx(-(p * np.log(p)).sum(), rel=1e-12)
    language = Dataset("tiny", "language_model", tokenizer, {"train": Split(target)})
    assert language.unigram_entropy() == data.unigram_entropy()
    constant = Dataset("tiny", "language_model", tokenizer, {"train": Split(Sequences.from_lists([[4, 4]]))})
    assert str(constant.unigram_entropy()) == "0.0"


def test_description(data):
    summary = data.describe()
    train = data.split("train")
    assert summary.splits[0].source.tokens == train.source.tokens.size
    assert summary.splits[0].target.longest == train.target.lengths.max() == data.longest
    assert summary.splits[1].target.median == np.median(data.split("valid").target.lengths)
    assert summary.unigram_entropy == data.unigram_entropy()
    assert json.loads(json.dumps(summary.to_dict())) == summary.to_dict()
    assert summary.to_dict()["splits"][0]["sequences"] == 500
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.name = "other"


def test_description_for_people(data):
    text = repr(data.describe())
    assert text.startswith("Dataset copy_task\n")
    assert "13 ids (words)" in text
    assert "500 pairs" in text
    html = dataclasses.replace(data.describe(), name="<a> & b")._repr_html_()
    assert "Dataset &lt;a&gt; &amp; b</caption>" in html
    assert html.count("<tr>") == html.count("</tr>") == len(text.splitlines()) - 1
    assert repr(data) == "Dataset('copy_task', translation, vocab_size=13, train 500, valid 40)"


def test_fingerprint_changes_with_any_id():
    tokenizer = WordTokenizer(["a", "b"])

    def fingerprint(sequences, words=tokenizer, valid=None):
        splits = {"train": Split(Sequences.from_lists(sequences))}
        if valid:
            splits["valid"] = Split(Sequences.from_lists(valid))
        return Dataset("any", "language_model", words, splits).fingerprint

    variants = [
        fingerprint([[4, 4], [5, 5]]),
        fingerprint([[4, 4], [5, 4]]),
        fingerprint([[4], [4, 5, 5]]),
        fingerprint([[4, 4, 5, 5]]),
        fingerprint([[4, 4], [5, 5]], WordTokenizer(["a", "b", "c"])),
        fingerprint([[4, 4]], valid=[[5, 5]]),
    ]
    assert len(set(variants)) == len(variants)
    assert fingerprint([[4, 4], [5, 5]]) == variants[0]


def test_fingerprints_of_the_tasks_are_stored():
    """Data of a seed must not change from version to version: stored results would lose their meaning."""
    assert number_words().fingerprint == "69182d0fd17f29761c00a4a40b3a794b5c72660eb52ae65a27abe094b08c0c46"
    assert copy_task().fingerprint == "7900435d36981b461c0f7270062baba63545e10b6f9127cfd5f52cb96315e321"


def test_a_dataset_survives_pickling(data):
    again = pickle.loads(pickle.dumps(data))
    assert again.fingerprint == data.fingerprint
    assert next(again.batches(max_tokens=64, seed=1)) == next(data.batches(max_tokens=64, seed=1))


SOURCE = Sequences.from_lists([[4, 2], [5, 2]])


@pytest.mark.parametrize(
    ("kind", "splits", "message"),
    [
        ("translation", {"train": Split(SOURCE)}, "split 'train' does not fit kind 'translation'"),
        ("language_model", {"train": Split(SOURCE, SOURCE)}, "split 'train' does not fit"),
        ("translation", {"train": Split(SOURCE, SOURCE.take(np.array([0])))}, "has 2 sources, 1 targets"),
        ("language_model", {"train": Split(Sequences.from_lists([]))}, "split 'train' has no sequences"),
        ("language_model", {"valid": Split(SOURCE)}, "splits must have 'train'"),
        (
            "encoder",
            {"train": Split(SOURCE)},
            "kind must be 'translation' or 'language_model', got 'encoder'",
        ),
    ],
)
def test_splits_that_do_not_fit(kind, splits, message):
    with pytest.raises(ValueError, match=message):
        Dataset("bad", kind, WordTokenizer(["a", "b"]), splits)


def test_a_vocabulary_smaller_than_what_was_asked_for_is_said():
    pairs = [("a b", "c"), ("d", "e")]
    for options, said in (
        ({}, "; 8,000 were asked for, the text has no more"),
        ({"vocab_size": 270, "pretokenized": True}, "; 270 were asked for, the text has no more"),
        ({"vocab_size": 260}, "ids (subwords)\n"),
        ({"pretokenized": True}, "ids (words)\n"),
    ):
        data = from_texts(pairs, valid=0, **options)
        assert said in str(data.describe())
        assert str(pickle.loads(pickle.dumps(data)).describe()) == str(data.describe())
    assert "1,000 were asked for" in str(from_texts(["abc abc"], vocab_size=1000, valid=0).describe())
    assert "asked" not in str(from_texts(["abc abc"], valid=0).describe())


def test_a_name_of_controls_is_shown_as_escapes():
    data = from_texts(["abc abc"], valid=0, name="a\x1b[2J\x00<b>")
    for shown in (repr(data), str(data.describe()), data.describe()._repr_html_()):
        assert "\x1b" not in shown
        assert "\x00" not in shown
