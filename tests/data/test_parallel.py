"""Datasets of two line-aligned files."""

from __future__ import annotations

import gzip
import itertools

import numpy as np
import pytest
import tokenizers
from real_data import real_file

from admin_py.data import CharacterTokenizer, WordTokenizer, parallel_text
from admin_py.data.reading import read_lines

SOURCES = [f"sentence number {i} of them all" for i in range(40)]
TARGETS = [f"Satz Nummer {i} von allen für uns" for i in range(40)]


@pytest.fixture
def files(tmp_path):
    paths = (tmp_path / "text.en", tmp_path / "text.de")
    for path, lines in zip(paths, (SOURCES, TARGETS), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return paths


def all_lines(data):
    return [pair for split in data.splits for pair in data.pairs(split)]


def test_sources_end_and_targets_stand_between_beginning_and_end(files):
    data = parallel_text(*files, vocab_size=300)
    split = data.split("train")
    for source, target in zip(split.source, split.target, strict=True):
        assert source[-1] == data.eos == 2
        assert (target[0], target[-1]) == (data.bos, data.eos) == (1, 2)
        assert min(source[:-1]) > 3
        assert min(target[1:-1]) > 3


def test_ids_decode_to_the_lines_of_pairs(files):
    data = parallel_text(*files, vocab_size=300)
    for split in data.splits:
        sources, targets = data.split(split).source, data.split(split).target
        decoded = zip(data.decode(list(sources)), data.decode(list(targets)), strict=True)
        assert list(decoded) == data.pairs(split)
    assert sorted(all_lines(data)) == sorted(zip(SOURCES, TARGETS, strict=True))


def test_encode_makes_what_the_splits_hold(files):
    data = parallel_text(*files, vocab_size=300)
    source, target = data.pairs("train")[3]
    assert data.encode(source).tolist() == data.split("train").source[3].tolist()
    assert data.encode([target], side="target")[0].tolist() == data.split("train").target[3].tolist()


def test_compressed_files_make_the_same_dataset(files, tmp_path):
    compressed = []
    for path in files:
        compressed.append(tmp_path / f"{path.name}.gz")
        compressed[-1].write_bytes(gzip.compress(path.read_bytes()))
    assert parallel_text(*compressed).fingerprint == parallel_text(*files).fingerprint


@pytest.mark.parametrize(
    ("valid", "expected"),
    [(None, 2), (0, 0), (0.0, 0), (0.25, 10), (0.001, 1), (0.999, 39), (7, 7), (np.int64(7), 7), (39, 39)],
)
def test_held_out_lines(files, valid, expected):
    data = parallel_text(*files, valid=valid, vocab_size=300)
    assert data.splits == (("train", "valid") if expected else ("train",))
    assert data.num_sequences("train") == 40 - expected
    if expected:
        assert data.num_sequences("valid") == expected
    assert sorted(all_lines(data)) == sorted(zip(SOURCES, TARGETS, strict=True))


def test_at_most_a_thousand_lines_are_held_out_by_default(tmp_path):
    path = tmp_path / "many"
    path.write_text("word\n" * 30_000)
    assert parallel_text(path, path).num_sequences("valid") == 1000


def test_one_pair_alone_is_all_for_training(tmp_path):
    path = tmp_path / "one"
    path.write_text("word\n")
    assert parallel_text(path, path).splits == ("train",)


def test_held_out_lines_depend_on_the_seed_alone(files):
    one, again, other = (parallel_text(*files, valid=0.5, seed=seed) for seed in (3, 3, 4))
    assert one.fingerprint == again.fingerprint
    assert one.pairs("valid") == again.pairs("valid")
    assert one.pairs("valid") != other.pairs("valid")


def test_the_vocabulary_is_learned_from_training_lines_alone(files, tmp_path):
    held_out = tmp_path / "held-out"
    held_out.write_text("unheard\n")
    data = parallel_text(*files, valid=(held_out, held_out), pretokenized=True)
    assert data.pairs("valid") == [("unheard", "unheard")]
    assert data.split("valid").source[0].tolist() == [data.unk, data.eos]


def test_blank_and_long_pairs_are_left_out_and_counted(tmp_path):
    source, target = tmp_path / "s", tmp_path / "t"
    source.write_text("a b c\n\na b c d\na\nb\nx\n")
    target.write_text("a\nb\nc\na b c d\na b c d e\nx y\n")
    # Read by a model: the source and its end; bos and the target without its end.
    data = parallel_text(source, target, pretokenized=True, valid=0, max_length=4)
    assert data.pairs("train") == [("a b c", "a"), ("x", "x y")]
    data = parallel_text(source, target, pretokenized=True, valid=0, max_length=5)
    assert data.pairs("train") == [("a b c", "a"), ("a b c d", "c"), ("a", "a b c d"), ("x", "x y")]
    split = data.describe().splits[0]
    assert (split.sequences, split.blank, split.too_long) == (4, 1, 1)
    assert "left out: 1 blank, 1 too long" in repr(data.describe())


def test_nothing_short_enough(files):
    with pytest.raises(ValueError, match=r"max_length is 2, and all .* pairs of train are longer"):
        parallel_text(*files, max_length=2)


def test_pretokenized_text_has_one_id_a_word(files):
    data = parallel_text(*files, pretokenized=True, valid=0)
    assert data.vocab_size == 4 + len({word for line in SOURCES + TARGETS for word in line.split()})
    assert data.split("train").source.lengths.tolist() == [len(line.split()) + 1 for line in SOURCES]
    small = parallel_text(*files, pretokenized=True, valid=0, vocab_size=10)
    assert small.vocab_size == 10
    assert (small.split("train").source.tokens == small.unk).any()


@pytest.mark.parametrize("form", ["path", "ours", "Hugging Face's"])
def test_a_ready_tokenizer(files, tmp_path, form):
    path = tmp_path / "tokenizer.json"
    first = parallel_text(*files, vocab_size=300)
    first.tokenizer.save(path)
    given = {
        "path": path,
        "ours": first.tokenizer,
        "Hugging Face's": tokenizers.Tokenizer.from_file(str(path)),
    }[form]
    assert parallel_text(*files, tokenizer=given).fingerprint == first.fingerprint


def test_max_lines(files):
    data = parallel_text(*files, max_lines=10, valid=0)
    assert data.pairs("train") == list(zip(SOURCES[:10], TARGETS[:10], strict=True))


def test_name(files):
    assert parallel_text(*files).name == "text.en - text.de"
    assert parallel_text(str(files[0]), str(files[1]), name="mine").name == "mine"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"valid": 40}, ValueError, "valid is 40, but only 40 pairs have text"),
        ({"valid": 1.0}, ValueError, "valid as a share .* got 1.0"),
        ({"valid": -0.1}, ValueError, "valid as a share .* got -0.1"),
        ({"valid": float("nan")}, ValueError, "valid as a share .* got nan"),
        ({"valid": -1}, ValueError, "valid must be at least 0, got -1"),
        ({"valid": True}, TypeError, "valid must be a pair of files, .* got True"),
        ({"valid": "file"}, TypeError, "valid must be a pair of files, .* got 'file'"),
        ({"valid": ("a", "b", "c")}, ValueError, r"valid must be a pair of files, .* got 3"),
        ({"valid": ("nowhere", "b")}, FileNotFoundError, "valid source: no such file"),
        ({"vocab_size": 100}, ValueError, "vocab_size must be at least 260, got 100"),
        ({"vocab_size": 4, "pretokenized": True}, ValueError, "vocab_size must be at least 5, got 4"),
        ({"vocab_size": 300.0}, TypeError, "vocab_size must be an integer, got 300.0"),
        ({"max_length": 0}, ValueError, "max_length must be an integer from 1 to 2147483647, got 0"),
        ({"max_lines": 0}, ValueError, "max_lines must be at least 1, got 0"),
        ({"seed": -1}, ValueError, r"seed must be an integer from 0 to \d+, got -1$"),
        ({"tokenizer": 3}, TypeError, "tokenizer must be a tokenizer or the path of a saved one, got 3"),
        ({"tokenizer": "nowhere.json"}, FileNotFoundError, "nowhere.json"),
        ({"tokenizer": WordTokenizer(["a"]), "vocab_size": 300}, ValueError, "exclude each other"),
        (
            {"tokenizer": CharacterTokenizer("a"), "pretokenized": True},
            ValueError,
            "needs a WordTokenizer, got a CharacterTokenizer",
        ),
    ],
)
def test_bad_arguments(files, arguments, error, message):
    with pytest.raises(error, match=message):
        parallel_text(*files, **arguments)


def test_bad_files(files, tmp_path):
    with pytest.raises(FileNotFoundError, match="target: no such file"):
        parallel_text(files[0], tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError, match="source: a directory"):
        parallel_text(tmp_path, files[1])
    (tmp_path / "shorter").write_text("one line\n")
    with pytest.raises(ValueError, match="same number of lines"):
        parallel_text(files[0], tmp_path / "shorter")


def multi30k(name):
    return real_file(f"multi30k/{name}.en.gz"), real_file(f"multi30k/{name}.de.gz")


def test_multi30k_with_subwords():
    data = parallel_text(*multi30k("train"), vocab_size=8000, valid=multi30k("val"))
    assert (data.num_sequences("train"), data.num_sequences("valid")) == (29_000, 1014)
    assert data.vocab_size == 8000
    for side, path in enumerate(multi30k("train")):
        lines = list(read_lines(path))
        sequences = (data.split("train").source, data.split("train").target)[side]
        assert data.decode(list(sequences)) == lines
    summary = data.describe()
    assert 15 < summary.splits[0].source.mean < 16  # 13 words and a point in 12.0 spaces, hardly cut
    assert 6.0 < summary.unigram_entropy < 6.4
    batches = list(data.batches(max_tokens=4096, seed=1))
    assert sum(batch.num_sequences for batch in batches) == 29_000
    tokens = [max(batch.source.tokens.size, batch.target.tokens.size) for batch in batches]
    assert max(tokens) <= 4096
    assert np.median(tokens) > 4000  # the budget is used


def test_multi30k_pretokenized():
    paths = [real_file(f"multi30k_bpe10k/train.bpe.{code}.gz") for code in ("en", "de")]
    valid = tuple(real_file(f"multi30k_bpe10k/val.bpe.{code}.gz") for code in ("en", "de"))
    data = parallel_text(*paths, pretokenized=True, valid=valid)
    words = {word for path in paths for line in read_lines(path) for word in line.split()}
    assert data.vocab_size == 4 + len(words)
    unknown = data.split("valid").target.tokens == data.unk
    assert unknown.mean() < 0.01
    for text, (_, line) in itertools.islice(
        zip(data.decode(list(data.split("train").target)), data.pairs("train"), strict=True), 1000
    ):
        assert text == line.replace("@@ ", "")
