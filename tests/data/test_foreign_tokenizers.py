"""Tokenizers of others: calmed, checked before use, or refused in one clear sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers, trainers

import admin_py as ap
from admin_py.data import SubwordTokenizer, load_tokenizer
from admin_py.data.library_errors import library_errors
from admin_py.data.tokenizer import as_tokenizer

LINES = [f"the sleepy cat number {i} sleeps soundly" for i in range(40)]


def learned(**options):
    made = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(
        LINES, trainers.BpeTrainer(vocab_size=90, special_tokens=["[UNK]"], show_progress=False)
    )
    for name, value in options.items():
        setattr(made.model, name, value)
    return made


def words(vocabulary, **options):
    made = tokenizers.Tokenizer(models.WordLevel(vocabulary, **options))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def file_of(tmp_path, values):
    path = tmp_path / "tokenizer.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return path


def json_of(tokenizer, **changes):
    values = json.loads(tokenizer.to_str())
    model = {**values["model"], **changes.pop("model", {})}
    return {**values, "model": model, **changes}


def split_at(expression):
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize("share", [0.1, 0.9, 1.0])
def test_dropout_of_merges_is_switched_off(tmp_path, share):
    given_one = learned(dropout=share)
    path = tmp_path / "tokenizer.json"
    given_one.save(str(path))
    expected = SubwordTokenizer(learned()).encode_lines(LINES).tokens
    for taken in (as_tokenizer(given_one), as_tokenizer(path)):
        for _ in range(3):
            assert np.array_equal(taken.encode_lines(LINES).tokens, expected)
    assert given_one.model.dropout == pytest.approx(share)  # the user's own is left alone


def test_sampling_of_a_unigram_model_is_not_kept(tmp_path):
    pieces = [("<unk>", 0.0), *((letter, -2.0) for letter in "abc"), ("ab", -2.1), ("bc", -2.2)]
    model = models.Unigram(pieces, 0, False)
    if not hasattr(model, "alpha"):
        pytest.skip("this version of the library has no sampling")
    made = tokenizers.Tokenizer(model)
    made.model.alpha, made.model.nbest_size = 0.1, 8
    taken = as_tokenizer(made)
    assert len({taken.encode_lines(["abcabcabc"]).tokens.tobytes() for _ in range(20)}) == 1


class Cutter:
    def pre_tokenize(self, text):
        text.split(lambda i, piece: [piece])


def test_a_pre_tokenizer_in_python_cannot_be_kept_and_the_way_out_is_said():
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(Cutter())
    with pytest.raises(ValueError, match=r"tokenizer cannot be kept .*pretokenized=True"):
        as_tokenizer(made)


def test_a_fast_tokenizer_of_transformers_is_told_apart():
    class Fast:
        backend_tokenizer = learned()

    with pytest.raises(TypeError, match=r"tokenizer is a Fast, .* tokenizer\.backend_tokenizer"):
        as_tokenizer(Fast())


@pytest.mark.parametrize("value", [3, object(), [1], {"a": 1}])
def test_what_is_no_tokenizer(value):
    with pytest.raises(TypeError, match="tokenizer must be a tokenizer or the path of a saved one, got"):
        as_tokenizer(value)
    with pytest.raises(TypeError, match="tokenizer must be a"):
        SubwordTokenizer(value)


def test_what_is_wrong_with_a_tokenizer_names_the_argument():
    empty = tokenizers.Tokenizer(models.WordLevel({}, unk_token="a"))
    with pytest.raises(ValueError, match=r"^tokenizer cannot be taken: it has an empty vocabulary"):
        SubwordTokenizer(empty)
    with pytest.raises(ValueError, match=r"^tokenizer cannot be taken: it has 2 pieces, but ids up to"):
        SubwordTokenizer(words({"a": 0, "b": 2**20}, unk_token="a"))


def test_a_line_that_cannot_be_encoded_is_named():
    taken = as_tokenizer(words({"the": 0, "cat": 1}, unk_token="[UNK]"))
    assert taken.encode_lines(["the cat"])[0].tolist() == [4, 5]
    with pytest.raises(ValueError, match=r"the tokenizer cannot encode 'the dog' \(.*\); .* unknown token"):
        taken.encode_lines(["the cat", "the dog"])


def test_a_search_that_panics_is_an_error(tmp_path):
    values = json_of(words({"a": 0}, unk_token="a"), pre_tokenizer=split_at("(a+)+$"))
    made = load_tokenizer(file_of(tmp_path, values))
    with pytest.raises(ValueError, match="the tokenizer cannot encode 'aaaa"):
        made.encode_lines(["a" * 30 + "b"])


def test_what_is_no_error_of_the_library_goes_through():
    class Panic(BaseException):
        pass

    with pytest.raises(ValueError, match="it failed"), library_errors("it failed"):
        raise Panic("boom")
    for other in (KeyboardInterrupt, SystemExit, MemoryError):
        with pytest.raises(other), library_errors("it failed"):
            raise other


TOKEN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"vocab": {"a": 2**31}}}, "id of 'a' must be an integer from 0 to 2147483643"),
        ({"model": {"vocab": {"a": 2**32 - 1}}}, "id of 'a' must be"),
        ({"model": {"vocab": {"a": -1}}}, "id of 'a' must be"),
        ({"model": {"vocab": {"a": True}}}, "id of 'a' must be"),
        ({"model": {"vocab": {"a": 0.5}}}, "id of 'a' must be"),
        ({"model": {"vocab": {"a": "0"}}}, "id of 'a' must be"),
        ({"model": {"vocab": {"a": 0, "b": 0}}}, "'a' and 'b' have the same id 0"),
        ({"model": {"vocab": {"a": 0, "b": 2**31 - 9}}}, "2 pieces, but ids up to 2,147,483,639"),
        ({"model": {"vocab": {}}}, "empty vocabulary"),
        ({"model": {"vocab": 3}}, "its vocabulary is 3"),
        ({"model": {"vocab": ["a"]}}, "place 0 of its vocabulary"),
        ({"model": {"type": "Unheard"}}, "cannot read it"),
        ({"model": []}, "it has no model"),
        ({"added_tokens": 3}, "added_tokens are no list"),
        ({"added_tokens": [3]}, "must have content and id"),
        ({"added_tokens": [{"content": "<x>", "id": 2**31, **TOKEN}]}, "id of '<x>' must be"),
        ({"added_tokens": [{"content": "<x>", "id": 7, **TOKEN}]}, "has id 7, where the library gives it 2"),
        ({"pre_tokenizer": split_at("(")}, "parenthesis"),
        ({"normalizer": {"type": "Sequence", "normalizers": 3}}, "cannot read it"),
        ({"decoder": {"type": "None such"}}, "cannot read it"),
    ],
)
def test_files_that_are_no_good_are_named(tmp_path, changes, message):
    if changes.get("model") == []:
        values = {**json_of(words({"a": 0, "b": 1}, unk_token="a")), "model": []}
    else:
        values = json_of(words({"a": 0, "b": 1}, unk_token="a"), **changes)
    with pytest.raises(ValueError, match=r"tokenizer: '.*tokenizer\.json' .*") as caught:
        load_tokenizer(file_of(tmp_path, values))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [120, 1_000, 200_000])
def test_deep_nesting_is_an_error(tmp_path, depth):
    deep = "[" * depth + "]" * depth
    text = f'{{"model": {{"type": "BPE", "vocab": {{"a": 0}}, "merges": {deep}}}}}'
    with pytest.raises(ValueError, match=r"tokenizer: '.*tokenizer\.json' "):
        load_tokenizer(file_of(tmp_path, text))


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_file_with_another_byte_is_refused_or_taken_whole(tmp_path_factory, place, byte):
    data = bytearray(json.dumps(json_of(words({"a": 0, "b": 1}, unk_token="a"))).encode())
    data[place % len(data)] = byte
    path = tmp_path_factory.getbasetemp() / "changed.json"
    path.write_bytes(data)
    said = ""
    try:
        assert load_tokenizer(path).vocab_size < 2000
    except ValueError as error:
        said = str(error)
    assert not said or "changed.json" in said


def test_lines_that_encode_to_nothing_are_blank(tmp_path):
    """Unknown text that is dropped, on either side, and text that a normaliser takes away."""
    bare = tokenizers.Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.Whitespace()
    bare.train_from_iterator(LINES, trainers.BpeTrainer(vocab_size=80, show_progress=False))
    whole = [*LINES, "end"]
    odd = [*LINES[:3], "ЖЖЖ", *LINES[4:], ""]
    for pair in ((whole, odd), (odd, whole)):
        found = ap.data.from_texts(list(zip(*pair, strict=True)), tokenizer=bare, valid=0).split("train")
        assert len(found.source) == len(LINES) - 1
        assert found.blank == 2
        assert found.source.lengths.min() > 1
        assert found.target.lengths.min() > 2
        assert len(found.lines[0]) == len(found.source)
    bare.normalizer = normalizers.Replace(tokenizers.Regex("."), "")
    with pytest.raises(ValueError, match="leaves nothing of a side of each of the 40 pairs of train"):
        ap.data.from_texts([(line, line) for line in LINES], tokenizer=bare, valid=0)
    with pytest.raises(ValueError, match="none of the 40 texts of train has 2 tokens"):
        ap.data.from_texts(LINES, tokenizer=bare, valid=0)


def test_empty_and_too_long_pairs_are_counted_apart():
    bare = words({"a": 0, "b": 1}, unk_token="b")
    pairs = [("a", "a"), ("a " * 9, "a"), ("b", "b"), ("a", "a " * 8)]
    found = ap.data.from_texts(pairs, tokenizer=bare, valid=0, max_length=8).split("train")
    assert (len(found.source), found.blank, found.too_long) == (2, 0, 2)
