"""Datasets of one text."""

from __future__ import annotations

import gzip
import itertools

import numpy as np
import pytest
from real_data import real_file

from admin_py.data import CharacterTokenizer, SubwordTokenizer, text

RHYME = "Row, row, row your boat,\ngently down the stream.\n\nMerrily, merrily,\nlife is but a dream.\n"


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "rhyme.txt"
    file.write_text(RHYME * 20, encoding="utf-8")
    return file


def joined(data, split):
    """The ids of a split in a row, without what windows repeat of the one before."""
    windows = list(data.split(split).source)
    return np.concatenate([windows[0], *(window[1:] for window in windows[1:])])


@pytest.mark.parametrize("context", [1, 7, 64, 100_000])
@pytest.mark.parametrize("arguments", [{}, {"vocab_size": 280}], ids=["char", "subword"])
def test_windows_hold_the_whole_text(path, context, arguments):
    data = text(path, context=context, valid=0.3, **arguments)
    assert data.decode(joined(data, "train")) + data.decode(joined(data, "valid")) == RHYME * 20
    for split in data.splits:
        windows = list(data.split(split).source)
        assert all(window.size == context + 1 for window in windows[:-1])
        assert 2 <= windows[-1].size <= context + 1
        for before, after in itertools.pairwise(windows):
            assert before[-1] == after[0]


def test_the_end_of_the_text_is_held_out(path):
    data = text(path, valid=0.25)
    cut = round(len(RHYME) * 20 * 0.75)
    assert data.decode(joined(data, "valid")) == (RHYME * 20)[cut:]
    assert text(path, valid=0).splits == ("train",)


def test_another_file_may_be_held_out(path, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("ßtrange text\n", encoding="utf-8")
    data = text(path, valid=other)
    assert data.decode(joined(data, "valid")) == "ßtrange text\n"
    assert data.decode(joined(data, "train")) == RHYME * 20
    assert not (data.split("valid").source.tokens == data.unk).any()


def test_characters_are_the_vocabulary(path):
    data = text(path)
    assert data.vocab_size == 4 + len(set(RHYME))
    assert isinstance(data.tokenizer, CharacterTokenizer)
    assert data.kind == "language_model"


def test_subwords(path):
    data = text(path, vocab_size=280)
    assert data.vocab_size == 280
    assert isinstance(data.tokenizer, SubwordTokenizer)
    assert isinstance(text(path, level="subword").tokenizer, SubwordTokenizer)


def test_ids_of_encode_stand_alone(path):
    for data in (text(path), text(path, vocab_size=280)):
        ids = data.encode("boat,\n")
        assert min(ids) > 3
        assert data.decode(ids) == "boat,\n"


def test_a_ready_tokenizer(path, tmp_path):
    for first in (text(path), text(path, vocab_size=280)):
        first.tokenizer.save(tmp_path / "tokenizer.json")
        assert text(path, tokenizer=tmp_path / "tokenizer.json").fingerprint == first.fingerprint


def test_compressed_text_and_other_line_ends(path, tmp_path):
    compressed, windows = tmp_path / "rhyme.txt.gz", tmp_path / "windows.txt"
    compressed.write_bytes(gzip.compress(path.read_bytes()))
    windows.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert text(compressed).fingerprint == text(windows).fingerprint == text(path).fingerprint


def test_batches_have_sources_alone(path):
    data = text(path, context=16)
    batches = list(data.batches(max_tokens=100, seed=1))
    assert sum(batch.num_sequences for batch in batches) == data.num_sequences("train")
    for batch in batches:
        assert batch.target is None
        assert batch.source.tokens.size <= 100


def test_one_text_has_no_pairs(path):
    with pytest.raises(ValueError, match="no pairs of lines"):
        text(path).pairs("train")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"level": "word"}, ValueError, "level must be 'char' or 'subword', got 'word'"),
        ({"level": "char", "vocab_size": 300}, ValueError, "vocab_size is of subwords"),
        ({"vocab_size": 10}, ValueError, "vocab_size must be at least 260, got 10"),
        ({"vocab_size": 300, "tokenizer": "x"}, ValueError, "exclude each other"),
        ({"context": 0}, ValueError, "context must be an integer from 1 to 2147483647, got 0"),
        ({"context": 4.5}, TypeError, "context must be an integer"),
        ({"valid": 1}, ValueError, "valid as a share .* got 1"),
        ({"valid": True}, TypeError, "valid must be a share of the text or a file, got True"),
        ({"valid": None}, TypeError, "valid must be a share of the text or a file, got None"),
        ({"valid": "nowhere"}, FileNotFoundError, "valid: no such file"),
        ({"valid": 0.0001}, ValueError, "valid: the texts have 0 tokens; a model needs at least 2"),
    ],
)
def test_bad_arguments(path, arguments, error, message):
    with pytest.raises(error, match=message):
        text(path, **arguments)


@pytest.mark.parametrize("content", ["", "\n \n\t\n"])
def test_a_file_without_text(tmp_path, content):
    (tmp_path / "empty").write_text(content)
    with pytest.raises(ValueError, match=r"path: '.*empty' has no text"):
        text(tmp_path / "empty")


def test_missing_file_directory_and_encoding(tmp_path):
    with pytest.raises(FileNotFoundError, match="path: no such file"):
        text(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError, match="path: a directory"):
        text(tmp_path)
    (tmp_path / "latin").write_bytes("ok\nfür\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"path: line 2 of '.*latin' is not UTF-8"):
        text(tmp_path / "latin")


def test_tiny_shakespeare():
    """Figures known of this text: 1,115,394 characters, 65 of them different."""
    data = text(real_file("tinyshakespeare.txt.gz"), context=64)
    assert data.vocab_size == 4 + 65
    assert joined(data, "train").size + joined(data, "valid").size == 1_115_394
    assert joined(data, "valid").size == round(0.1 * 1_115_394)
    assert data.unigram_entropy() == pytest.approx(3.31, abs=0.01)
    assert data.decode(data.split("train").source[0]).startswith("First Citizen:\nBefore we proceed")
