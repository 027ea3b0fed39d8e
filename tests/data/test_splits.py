"""The split "test" beside "valid": it is held out like it, and changes none of the others."""

from __future__ import annotations

import numpy as np
import pytest

from admin_py.data import copy_task, from_texts, number_words, parallel_text, text
from admin_py.experiments.workers import DataFile, pack

LINES = [f"line number {i} of this text" for i in range(40)]


@pytest.fixture
def files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("".join(f"{name} {line}\n" for line in LINES))
    (tmp_path / "few").write_text("one\ntwo\n")
    return tmp_path / "a", tmp_path / "b", tmp_path / "few"


def ids(data, split):
    sides = (data.split(split).source, data.split(split).target)
    return [[one.tolist() for one in side] for side in sides if side is not None]


def of_pairs(**held_out):
    return from_texts([(line, line) for line in LINES], pretokenized=True, **held_out)


@pytest.mark.parametrize(
    ("make", "moved"),
    [(number_words, []), (copy_task, []), (of_pairs, ["train"])],
    ids=["number_words", "copy_task", "pairs"],
)
def test_valid_is_the_same_with_a_test_split_and_without(make, moved):
    sizes = {} if moved else {"train": 200}
    without, beside = make(valid=9, **sizes), make(valid=9, test=5, **sizes)
    assert without.splits == ("train", "valid")
    assert beside.splits == ("train", "valid", "test")
    assert beside.num_sequences("test") == 5
    for split in {"train", "valid"} - set(moved):
        assert beside.pairs(split) == without.pairs(split)
    pairs = [set(beside.pairs(split)) for split in beside.splits]
    assert len(set.union(*pairs)) == sum(map(len, pairs)), "no pair is in two splits"
    if moved:
        assert pairs[0] | pairs[2] == set(without.pairs("train"))


def test_a_task_may_have_a_test_split_alone():
    for make in (number_words, copy_task):
        assert make(train=20, valid=0, test=3).splits == ("train", "test")


@pytest.mark.parametrize("make", [number_words, copy_task])
def test_sizes_of_tasks(make):
    with pytest.raises(ValueError, match="test must be at least 0, got -1"):
        make(test=-1)
    small = {"limit": 30} if make is number_words else {"symbols": 1, "max_length": 30}
    with pytest.raises(ValueError, match=r"train \+ valid \+ test is 30, but"):
        make(train=20, valid=5, test=5, **small)


def test_pairs_of_files(files):
    a, b, few = files
    data = parallel_text(a, b, pretokenized=True, valid=(few, few), test=0.25)
    assert [data.num_sequences(split) for split in data.splits] == [30, 2, 10]
    data = parallel_text(a, b, pretokenized=True, test=(few, few))
    assert data.pairs("test") == [("one", "one"), ("two", "two")]
    assert [data.num_sequences(split) for split in data.splits] == [38, 2, 2]
    assert parallel_text(a, b, pretokenized=True, valid=0, test=3).splits == ("train", "test")


@pytest.mark.parametrize(
    ("held_out", "error", "message"),
    [
        ({"test": 40}, ValueError, r"valid \+ test is 42, but only 40 pairs have text"),
        ({"valid": 0, "test": 40}, ValueError, "^test is 40, but only 40 pairs have text"),
        ({"test": 1.0}, ValueError, "test as a share of the lines must be .* got 1.0"),
        ({"test": "few"}, TypeError, "test must be a pair of files, a share or a number of lines, got 'few'"),
        ({"test": ("few",)}, ValueError, "test must be a pair of files, .*, got 1"),
        ({"test": ("nowhere", "b")}, FileNotFoundError, "test source: no such file"),
    ],
)
def test_what_parallel_text_refuses(files, held_out, error, message):
    with pytest.raises(error, match=message):
        parallel_text(*files[:2], **held_out)


def test_the_end_of_a_text(files):
    whole = files[0].read_text()
    data = text(files[0], valid=0.2, test=0.1)
    cuts = [round(0.7 * len(whole)), round(0.9 * len(whole))]
    parts = [whole[: cuts[0]], whole[cuts[0] : cuts[1]], whole[cuts[1] :]]
    assert [data.texts(split) for split in data.splits] == [[part] for part in parts]
    data = text(files[0], test=files[2])
    assert data.texts("test") == ["one\ntwo\n"]
    assert data.texts("valid")[0] == whole[round(0.9 * len(whole)) :]
    assert not (data.split("test").source.tokens == data.unk).any()


@pytest.mark.parametrize(
    ("held_out", "error", "message"),
    [
        (
            {"valid": 0.5, "test": 0.5},
            ValueError,
            r"valid \+ test as shares of the text must be below 1, got 1",
        ),
        ({"test": -0.1}, ValueError, "test as a share of the text must be .* got -0.1"),
        ({"test": None}, TypeError, "test must be a share of the text or a file, got None"),
        ({"test": "nowhere"}, FileNotFoundError, "test: no such file"),
    ],
)
def test_what_text_refuses(files, held_out, error, message):
    with pytest.raises(error, match=message):
        text(files[0], **held_out)


@pytest.fixture(scope="module")
def data():
    return copy_task(train=60, valid=10, test=7, seed=5)


def test_everything_a_dataset_does_is_done_for_a_test_split(data):
    batches = list(data.batches(split="test", max_tokens=30, shuffle=False))
    assert np.concatenate([batch.source.tokens for batch in batches]).tolist() == (
        data.split("test").source.tokens.tolist()
    )
    assert len(data.pairs("test")) == data.num_sequences("test") == 7
    assert repr(data) == "Dataset('copy_task', translation, vocab_size=24, train 60, valid 10, test 7)"
    summary = data.describe()
    assert [(one.name, one.sequences) for one in summary.splits] == [
        ("train", 60),
        ("valid", 10),
        ("test", 7),
    ]
    assert "test            7 pairs" in repr(summary)
    assert data.longest == max(data.split(name).lengths.max() for name in data.splits)
    with pytest.raises(ValueError, match="split must be one of 'train', 'valid', 'test', got 'tests'"):
        data.split("tests")


def test_other_processes_get_every_split(data):
    found = DataFile.of(pack(data)).load()
    assert found.splits == data.splits
    assert [ids(found, split) for split in found.splits] == [ids(data, split) for split in data.splits]


def test_texts_and_pairs_are_of_their_own_kind(data):
    with pytest.raises(ValueError, match="copy_task is of pairs of lines: it has no texts"):
        data.texts("test")
    with pytest.raises(ValueError, match="texts is of texts: it has no pairs of lines"):
        from_texts(["some text"], valid=0).pairs("train")
    found = DataFile.of(pack(data)).load()
    with pytest.raises(ValueError, match="copy_task was made of ids: it has no pairs of lines"):
        found.pairs("test")
