"""Tokenizers beside checkpoints: ids are those of the other library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors, trainers

import admin_py as ap

LINES = ["the sleepy cat sleeps", "a dog and the cat", "dogs sleep"]


def learned(special: list[str]) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=special, show_progress=False)
    made.train_from_iterator(LINES, trainer)
    return made


def folder_of(tmp_path: Path, **config: Any) -> Path:
    made = learned(["<s>", "<pad>", "</s>", "<unk>"])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    made.enable_padding(length=30)
    made.save(str(tmp_path / "tokenizer.json"))
    told = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": 2, **config}
    (tmp_path / "config.json").write_text(json.dumps(told))
    return tmp_path


def model_of(vocab_size: int) -> ap.Transformer:
    config = ap.TransformerConfig(
        vocab_size=vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=8
    )
    return ap.Transformer(config)


def test_a_tokenizer_in_json(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    plain = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    plain.no_padding()
    for path in (folder, folder / "tokenizer.json"):
        found = ap.load_tokenizer_of(path)
        assert found.vocab_size == plain.get_vocab_size()
        for i, line in enumerate(LINES):
            assert found.encode_lines(LINES)[i].tolist() == plain.encode(line).ids
            bare = plain.encode(line, add_special_tokens=False).ids
            assert found.encode_lines(LINES, special=False)[i].tolist() == bare
            assert found.decode([0, *bare, 2]) == plain.decode(bare)
    found = ap.load_tokenizer_of(folder)
    assert (found.begin, found.end, found.padding) == (2, 2, 1)


def test_special_ids_are_those_of_the_configurations(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, decoder_start_token_id=None, eos_token_id=[2, 5])
    found = ap.load_tokenizer_of(folder)
    assert (found.begin, found.end) == (0, 2)
    (folder / "generation_config.json").write_text(json.dumps({"decoder_start_token_id": 7}))
    assert ap.load_tokenizer_of(folder).begin == 7
    assert repr(ap.load_tokenizer_of(folder)).endswith("begin=7, end=2, padding=1)")


def test_a_tokenizer_of_another_size_than_the_vocabulary(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    size = ap.load_tokenizer_of(folder).vocab_size
    for enough in (size, size + 3):  # rows that fill a matrix up
        assert ap.load_tokenizer_of(folder, model=model_of(enough)).vocab_size == size
    with pytest.raises(
        ValueError, match=rf"has {size} ids, the model's vocabulary only {size - 1}: it is of"
    ):
        ap.load_tokenizer_of(folder, model=model_of(size - 1))


def test_text_goes_through_a_model_and_back(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    model = model_of(ap.load_tokenizer_of(folder).vocab_size)
    found = ap.load_tokenizer_of(folder, model=model)
    sources = found.encode_lines(LINES)
    best = ap.generation.beam_search(model, sources, bos=found.begin, eos=found.end, max_length=4)
    assert all(isinstance(found.decode(one[0].ids), str) for one in best)


def test_merges_of_gpt2_and_of_roberta(tmp_path: Path) -> None:
    made = tokenizers.ByteLevelBPETokenizer()
    made.train_from_iterator(LINES, vocab_size=280, special_tokens=["<s>", "<pad>", "</s>", "<unk>"])
    made.save_model(str(tmp_path))
    bare = [made.encode(line).ids for line in LINES]
    found = ap.load_tokenizer_of(tmp_path)
    assert [ids.tolist() for ids in found.encode_lines(LINES)] == bare
    assert [found.decode(ids) for ids in bare] == LINES
    told = {"bos_token_id": 0, "eos_token_id": 2}
    for kind, first, last in (("roberta", [0], [2]), ("opt", [0], []), ("gpt2", [], [])):
        (tmp_path / "config.json").write_text(json.dumps({**told, "model_type": kind}))
        found = ap.load_tokenizer_of(tmp_path)
        assert [ids.tolist() for ids in found.encode_lines(LINES)] == [first + ids + last for ids in bare]
        assert found.decode([*first, *bare[0], *last]) == LINES[0]


def test_a_dictionary_of_fairseq(tmp_path: Path) -> None:
    (tmp_path / "dict.en.txt").write_text("the 5\nca@@ 3\nt 2\ndog 1 #fairseq:overwrite\n", encoding="utf-8")
    words = ap.load_tokenizer_of(tmp_path / "dict.en.txt")
    assert words.encode_lines(["the dog ca@@ t", "sleeps"])[0].tolist() == [4, 7, 5, 6, 2]
    assert words.encode_lines(["sleeps"], special=False)[0].tolist() == [3]
    assert (words.begin, words.end, words.padding, words.vocab_size) == (2, 2, 1, 8)
    (tmp_path / "codes").write_text("#version: 0.2\nc a\nt h\nth e</w>\nd o\ndo g</w>\n")
    cut = ap.load_tokenizer_of(tmp_path / "dict.en.txt", codes=tmp_path / "codes")
    assert cut.encode_lines(["the cat"])[0].tolist() == [4, 5, 6, 2]
    assert cut.decode([2, 4, 5, 6, 2, 1]) == "the cat"


def test_what_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no tokenizer: one of tokenizer.json, sentencepiece.bpe.model"):
        ap.load_tokenizer_of(tmp_path)
    path = tmp_path / "tokenizer.json"
    for text, words in (
        ("{", "is no JSON"),
        ("[1]", "is no tokenizer.json"),
        ('{"model": 1}', "cannot be read"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=words):
            ap.load_tokenizer_of(tmp_path)
    (tmp_path / "dict.txt").write_text("the 5\ncat\n")
    with pytest.raises(ValueError, match="line 2: expected 'token count', got 'cat'"):
        ap.load_tokenizer_of(tmp_path / "dict.txt")
    (tmp_path / "dict.txt").write_bytes(b"\xff\xfe 5\n")
    with pytest.raises(ValueError, match="is no dictionary of fairseq: it is not UTF-8"):
        ap.load_tokenizer_of(tmp_path / "dict.txt")
    with pytest.raises(ValueError, match=r"codes go with a dictionary of fairseq, such as dict.en.txt"):
        ap.load_tokenizer_of(path, codes=path)
    with pytest.raises(FileNotFoundError):
        ap.load_tokenizer_of(tmp_path / "nothing.json")
    found = ap.load_tokenizer_of(folder_of(tmp_path))
    with pytest.raises(TypeError, match=r"lines\[1\] must be a string, got int"):
        found.encode_lines(["a", 3])  # type: ignore[list-item]
    with pytest.raises(IndexError, match="token id 900 is not in the vocabulary"):
        found.decode([0, 900])
