"""Tokenizers: round trips, learning, saving and loading."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_file

from admin_py.data import (
    CharacterTokenizer,
    NumberTokenizer,
    SubwordTokenizer,
    WordTokenizer,
    load_tokenizer,
    subwords,
)
from admin_py.data.reading import read_lines

TEXT = ["the cat sat on the mat", "the cats ran", "Die Katze saß auf der Matte", "</s> <s> <pad> <unk>"] * 3
SUBWORDS = SubwordTokenizer.train(TEXT, vocab_size=320)
CONTINUING = SubwordTokenizer.train(TEXT, vocab_size=320, prefix_space=False)
# All of Unicode but surrogates, which are no text; and what a tokenizer might mistake for its own marks.
anything = st.text() | st.lists(
    st.sampled_from(
        ["<pad>", "<s>", "</s>", "<unk>", "@@", " ", "  ", "\n", "\t", "Ġ", "\ufeff", "é", "猫", "\x00"]
    )
).map("".join)
every_kind = pytest.mark.parametrize(
    "tokenizer",
    [SUBWORDS, WordTokenizer.train(TEXT), CharacterTokenizer("".join(TEXT)), NumberTokenizer()],
    ids=lambda one: one.kind,
)


@settings(deadline=None, max_examples=300)
@given(anything)
@pytest.mark.parametrize("tokenizer", [SUBWORDS, CONTINUING], ids=["prefix", "no prefix"])
def test_subwords_bring_back_any_text_without_special_ids(tokenizer, line):
    ids = tokenizer.encode_lines([line])[0]
    assert tokenizer.decode(ids) == line
    assert ids.size == 0 or ids.min() >= 4
    assert ids.size == 0 or ids.max() < tokenizer.vocab_size


@settings(deadline=None)
@given(st.lists(anything, max_size=5))
def test_lines_are_encoded_independently(lines):
    together = SUBWORDS.encode_lines(lines)
    assert [list(one) for one in together] == [list(SUBWORDS.encode_lines([line])[0]) for line in lines]


def test_encoding_in_chunks_changes_nothing(monkeypatch):
    whole = SUBWORDS.encode_lines(TEXT)
    monkeypatch.setattr(subwords, "_CHUNK", 5)
    chunked = SUBWORDS.encode_lines(TEXT)
    assert whole.tokens.tolist() == chunked.tokens.tolist()
    assert whole.offsets.tolist() == chunked.offsets.tolist()


@given(st.text(), st.text(min_size=1))
def test_characters_bring_back_their_own_text(line, more):
    tokenizer = CharacterTokenizer(line + more)
    assert tokenizer.decode(tokenizer.encode_lines([line])[0]) == line
    assert tokenizer.vocab_size == 4 + len(set(line + more))


@given(st.lists(st.text(st.characters(exclude_characters=" ", exclude_categories=["Cs"]), min_size=1)))
def test_words_bring_back_their_own_text(words):
    words = [word for word in words if not word.endswith("@@") and word != "<unk>"]
    tokenizer = WordTokenizer.train([" ".join(words)])
    ids = tokenizer.encode_lines(["  ".join(words) + " "])[0]
    assert len(ids) == len(words)
    assert tokenizer.decode(ids) == " ".join(words)


def test_words_join_pieces_of_subword_nmt():
    tokenizer = WordTokenizer.train(["viel@@ er bü@@ sche", "an@@ trie@@ b@@"])
    assert tokenizer.decode(tokenizer.encode_lines(["viel@@ er bü@@ sche"])[0]) == "vieler büsche"
    assert tokenizer.decode(tokenizer.encode_lines(["an@@ trie@@ b@@"])[0]) == "antrieb"


def test_words_are_ordered_by_frequency_then_alphabet():
    tokenizer = WordTokenizer.train(["b c b a", "c b"])
    assert tokenizer.words == ("b", "c", "a")
    assert WordTokenizer.train(["b c b a", "c b"], vocab_size=6).words == ("b", "c")


def test_unknown_words_are_shown():
    tokenizer = WordTokenizer(["a", "b"])
    assert tokenizer.encode_lines(["a x <unk> b"])[0].tolist() == [4, 3, 3, 5]
    assert tokenizer.decode([4, 3, 3, 5]) == "a <unk> <unk> b"


def test_marks_of_special_ids_in_text_are_plain_words():
    tokenizer = WordTokenizer.train(["<s> a </s> <pad>"])
    ids = tokenizer.encode_lines(["<s> a </s> <pad>"])[0]
    assert min(ids) >= 4
    assert tokenizer.decode(ids) == "<s> a </s> <pad>"


def test_unknown_between_subwords_and_characters():
    ids = SUBWORDS.encode_lines(["the cat"])[0]
    assert SUBWORDS.decode([*ids, 3, *ids]) == "the cat\ufffdthe cat"
    assert CharacterTokenizer("ab").decode([4, 3, 5]) == "a\ufffdb"


@every_kind
def test_decode_stops_at_the_first_end_and_skips_beginning_and_padding(tokenizer):
    assert tokenizer.decode([1, 4, 0, 0, 5, 2, 6, 2]) == tokenizer.decode([4, 5])
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode([2, 4]) == ""


@every_kind
def test_ids_out_of_range(tokenizer):
    for wrong in (-1, tokenizer.vocab_size):
        with pytest.raises(IndexError, match=f"token id {wrong} is not in the vocabulary of "):
            tokenizer.decode([4, wrong])


@every_kind
@pytest.mark.parametrize("ids", [[4.0], "text", 4, [[4, 5], [6, 7]], [[4], [5, 6]], [None]])
def test_what_is_no_sequence_of_ids(tokenizer, ids):
    with pytest.raises(TypeError, match="ids must be a sequence of integers"):
        tokenizer.decode(ids)


@settings(deadline=None)
@given(st.lists(st.integers(0, SUBWORDS.vocab_size - 1), max_size=20))
def test_any_ids_make_text(ids):
    """What a model generates need not be whole characters."""
    assert isinstance(SUBWORDS.decode(ids), str)


@every_kind
def test_saved_loaded_and_pickled_tokenizers_are_the_same(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    assert os.listdir(tmp_path) == ["tokenizer.json"]
    for again in (load_tokenizer(path), pickle.loads(pickle.dumps(tokenizer))):
        assert type(again) is type(tokenizer)
        assert again == tokenizer
        assert hash(again) == hash(tokenizer)
        lines = [*TEXT, "twenty-one", "neue Wörter 猫"]
        assert again.encode_lines(lines).tokens.tolist() == tokenizer.encode_lines(lines).tokens.tolist()
    assert tokenizer != CharacterTokenizer("other")


def test_a_saved_subword_tokenizer_is_a_plain_tokenizer_json(tmp_path):
    SUBWORDS.save(tmp_path / "tokenizer.json")
    plain = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = plain.encode("the cat").ids
    assert [i + 4 for i in ids] == SUBWORDS.encode_lines(["the cat"])[0].tolist()
    assert plain.decode(ids) == "the cat"


def test_a_tokenizer_with_its_own_special_tokens_padding_and_truncation():
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[CLS]": 0, "a": 1, "b": 7}, unk_token="[CLS]"))
    plain.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    plain.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", 0)]
    )
    plain.enable_truncation(2)
    plain.enable_padding(length=9)
    tokenizer = SubwordTokenizer(plain)
    assert tokenizer.vocab_size == 4 + 8
    assert tokenizer.encode_lines(["a b a"])[0].tolist() == [5, 11, 5]
    assert plain.truncation["max_length"] == 2  # the user's own is left alone


def test_learning_depends_on_nothing_but_the_text():
    """The same bytes in another process with other hash seeds and other numbers of threads."""
    code = (
        "import sys\n"
        f"sys.path[:] = {sys.path!r}\n"
        "from admin_py.data import SubwordTokenizer\n"
        f"print(SubwordTokenizer.train({TEXT!r}, vocab_size=320)._to_json())"
    )
    for threads, hashes in (("1", "1"), ("3", "2")):
        environment = {
            **os.environ,
            "RAYON_NUM_THREADS": threads,
            "PYTHONHASHSEED": hashes,
            "PYTHONIOENCODING": "utf-8",
        }
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        assert run.stdout.decode().rstrip("\n") == SUBWORDS._to_json()


def test_learning_from_real_text_twice_gives_the_same_merges():
    lines = [line for code in ("en", "de") for line in read_lines(real_file(f"multi30k/val.{code}.gz"))]
    first, second = (SubwordTokenizer.train(lines, vocab_size=2000) for _ in range(2))
    assert first == second
    assert first.vocab_size == 2000
    assert np.mean(first.encode_lines(lines).lengths) < 25  # of about 75 bytes
    assert [first.decode(ids) for ids in first.encode_lines(lines)] == lines


def test_a_small_text_has_fewer_pieces_than_asked_for():
    assert SubwordTokenizer.train(["ab"], vocab_size=8000).vocab_size < 270


@pytest.mark.parametrize("size", [259, 0, -1])
def test_too_small_a_vocabulary_of_subwords(size):
    with pytest.raises(ValueError, match=f"vocab_size must be at least 260, got {size}"):
        SubwordTokenizer.train(["text"], vocab_size=size)


@pytest.mark.parametrize("words", [["a", "a"], ["a b"], [""], [3]])
def test_bad_words(words):
    with pytest.raises((TypeError, ValueError), match="words must be"):
        WordTokenizer(words)


def test_no_characters():
    with pytest.raises(ValueError, match="characters must not be empty"):
        CharacterTokenizer("")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[1, 2]",
        b'{"format": "admin-py tokenizer", "kind": "words"}',
        b'{"format": "admin-py tokenizer", "kind": "words", "words": 3}',
        b'{"format": "admin-py tokenizer", "kind": "words", "words": ["a", "a"]}',
        b'{"format": "admin-py tokenizer", "kind": "runes"}',
        b'{"format": "admin-py tokenizer", "kind": ["words"]}',
        b'{"format": "admin-py tokenizer", "kind": "numbers", "pieces": ["one"]}',
        b'{"format": "admin-py tokenizer", "kind": "characters", "characters": 1}',
        b'{"model": {"type": "BPE"}}',
        b'{"model": 3}',
        b"[" * 100_000,
    ],
)
def test_files_that_are_no_tokenizer(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"tokenizer: '.*tokenizer\.json' "):
        load_tokenizer(path)


def test_truncated_tokenizer(tmp_path):
    path = tmp_path / "tokenizer.json"
    SUBWORDS.save(path)
    path.write_text(path.read_text()[:-100])
    with pytest.raises(ValueError, match="is not a JSON file"):
        load_tokenizer(path)


def test_missing_tokenizer(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tokenizer(tmp_path / "nowhere.json")


def test_saving_where_there_is_no_folder_to_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        SUBWORDS.save(tmp_path / "file" / "tokenizer.json")


def test_format_of_words_is_plain_json(tmp_path):
    WordTokenizer(["ä", "b"]).save(tmp_path / "words.json")
    stored = json.loads((tmp_path / "words.json").read_text(encoding="utf-8"))
    assert stored.pop("digest").startswith("sha256:")
    assert stored == {"format": "admin-py tokenizer", "kind": "words", "words": ["ä", "b"]}


@settings(deadline=None)
@given(anything)
def test_pieces_tell_ids_apart_and_have_no_broken_letters(text):
    learned = SubwordTokenizer.train([text, "猫の天地 🐈‍⬛ кот"], vocab_size=280)
    pieces = [learned.piece(i) for i in range(learned.vocab_size)]
    assert pieces[:4] == ["<pad>", "<begin>", "<end>", "<unknown>"]
    assert not any("\ufffd" in piece for piece in pieces)
    joined = [learned.piece(int(i)) for i in learned.encode_lines(["猫"])[0]]
    shown = "".join(joined).strip(" ")
    assert shown.replace("<", "").replace(">", "") in ("猫", "猫".encode().hex().upper())


def test_pieces_of_every_kind():
    assert WordTokenizer(["a", "b@@"]).piece(5) == "b"
    assert CharacterTokenizer("猫").piece(4) == "猫"
    assert NumberTokenizer().piece(4) == "one"
    learned = SubwordTokenizer.train(["天地玄"], vocab_size=260)
    alone = [learned.piece(i) for i in range(4, 260)]
    assert len(set(alone)) == 256
    assert "<E5>" in alone
    with pytest.raises(IndexError, match="token id 260 is not in the vocabulary"):
        learned.piece(260)
    with pytest.raises(ValueError, match="i must be at least 0"):
        learned.piece(-1)
