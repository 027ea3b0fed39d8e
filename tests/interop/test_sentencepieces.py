"""Tokenizers of sentencepiece beside checkpoints: the ids of `transformers`, family by family."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap

LINES = ["a man sleeps on a bench", "two dogs", "a zebra \u00e9 7", ""]
WORDS = ("a", "man", "sleeps", "on", "bench", "two", "dogs", "run", "the", "child", "eats", "red", "zoo")


@pytest.fixture(scope="session")
def models() -> dict[str, bytes]:
    """Of pieces that ids of special ones come first of, as fairseq's, as Llama's and as Pegasus'."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    draw = np.random.default_rng(1)
    text = [" ".join(draw.choice(WORDS, 6)) for _ in range(400)]

    def trained(**options: Any) -> bytes:
        written = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(text), model_writer=written, minloglevel=2, **options
        )
        return written.getvalue()

    first = {"unk_id": 0, "bos_id": 1, "eos_id": 2}
    return {
        "fairseq": trained(vocab_size=30, **first),
        "llama": trained(vocab_size=300, model_type="bpe", byte_fallback=True, **first),
        "pegasus": trained(vocab_size=30, pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
    }


def folder_of(kind: str, model: bytes, name: str, folder: Path, **told: Any) -> Path:
    (folder / name).write_bytes(model)
    (folder / "config.json").write_text(json.dumps({"model_type": kind, **told}))
    return folder


FAMILIES = {
    "xlm-roberta": ("XLMRobertaTokenizer", "sentencepiece.bpe.model", "fairseq"),
    "camembert": ("CamembertTokenizer", "sentencepiece.bpe.model", "fairseq"),
    "mbart": ("MBartTokenizer", "sentencepiece.bpe.model", "fairseq"),
    "pegasus": ("PegasusTokenizer", "spiece.model", "pegasus"),
    "llama": ("LlamaTokenizer", "tokenizer.model", "llama"),
    "mistral": ("LlamaTokenizer", "tokenizer.model", "llama"),
}


@pytest.mark.parametrize("kind", FAMILIES)
def test_ids_are_those_of_transformers(kind: str, models: dict[str, bytes], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("google.protobuf", reason="protobuf is not installed")
    name, file, model = FAMILIES[kind]
    folder = folder_of(kind, models[model], file, tmp_path, bos_token_id=1)
    theirs = getattr(transformers, name).from_pretrained(str(folder))
    ours = ap.load_tokenizer_of(folder)
    for line, ids in zip(LINES, ours.encode_lines(LINES), strict=True):
        wanted = theirs(line)["input_ids"]
        if kind == "mbart":
            wanted = wanted[:-1]  # the language
        if FAMILIES[kind][0] == "LlamaTokenizer":  # which asks its settings, and there are none
            wanted = [1, *wanted]
        assert ids.tolist() == wanted
        assert ours.decode(ids).strip() == theirs.decode(wanted, skip_special_tokens=True).strip()
    bare = theirs(LINES[0], add_special_tokens=False)["input_ids"]
    assert ours.encode_lines(LINES[:1], special=False)[0].tolist() == bare
    languages = 26 if kind == "mbart" else 0
    assert ours.vocab_size == len(theirs) - languages


def test_what_the_settings_say_of_a_beginning_is_done(models: dict[str, bytes], tmp_path: Path) -> None:
    folder = folder_of("llama", models["llama"], "tokenizer.model", tmp_path, bos_token_id=1, eos_token_id=2)
    begun = ap.load_tokenizer_of(folder)
    assert (begun.begin, begun.end) == (1, 2)
    bare = begun.encode_lines(LINES, special=False)
    assert [ids.tolist() for ids in begun.encode_lines(LINES)] == [[1, *ids.tolist()] for ids in bare]
    (folder / "tokenizer_config.json").write_text(json.dumps({"add_bos_token": False}))
    found = ap.load_tokenizer_of(folder).encode_lines(LINES)
    assert [ids.tolist() for ids in found] == [ids.tolist() for ids in bare]


def test_a_file_alone_has_its_own_ids(models: dict[str, bytes], tmp_path: Path) -> None:
    import sentencepiece

    path = tmp_path / "mine.model"
    path.write_bytes(models["fairseq"])
    theirs = sentencepiece.SentencePieceProcessor(model_proto=models["fairseq"])
    found = ap.load_tokenizer_of(path)
    assert found.encode_lines(LINES)[0].tolist() == theirs.encode(LINES[0])
    assert found.decode(theirs.encode(LINES[0])) == LINES[0]
    assert found.vocab_size == 30
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "xlm-roberta"}))
    beside = ap.load_tokenizer_of(path)
    assert beside.encode_lines(LINES)[0].tolist() == [0, *(i + 1 for i in theirs.encode(LINES[0])), 2]


def test_pieces_of_m2m_100_have_the_ids_of_their_table(models: dict[str, bytes], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    import sentencepiece

    theirs = sentencepiece.SentencePieceProcessor(model_proto=models["fairseq"])
    table = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
    table |= {theirs.id_to_piece(i): 60 - i for i in range(3, 30)}
    told = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    folder = folder_of("m2m_100", models["fairseq"], "sentencepiece.bpe.model", tmp_path, **told)
    (folder / "vocab.json").write_text(json.dumps(table))
    wanted = transformers.M2M100Tokenizer.from_pretrained(str(folder))
    ours = ap.load_tokenizer_of(folder)
    for line, ids in zip(LINES, ours.encode_lines(LINES), strict=True):
        assert ids.tolist() == wanted(line)["input_ids"][1:]  # without the language
        assert ours.decode(ids) == theirs.decode([i for i in theirs.encode(line) if i > 0])
    assert (ours.begin, ours.end, ours.padding, ours.vocab_size) == (2, 2, 1, 58)


def test_pieces_of_marian(models: dict[str, bytes], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("sacremoses", reason="sacremoses is not installed")
    import sentencepiece

    cut = sentencepiece.SentencePieceProcessor(model_proto=models["fairseq"])
    table = {"</s>": 0, "<unk>": 1, **{cut.id_to_piece(i): i - 1 for i in range(3, 30)}, "<pad>": 29}
    told = {"eos_token_id": 0, "pad_token_id": 29, "decoder_start_token_id": 29}
    folder = folder_of("marian", models["fairseq"], "source.spm", tmp_path, **told)
    (folder / "target.spm").write_bytes(models["fairseq"])
    (folder / "vocab.json").write_text(json.dumps(table))
    (folder / "tokenizer_config.json").write_text(json.dumps({"source_lang": "en", "target_lang": "de"}))
    theirs = transformers.MarianTokenizer.from_pretrained(str(folder))
    ours = ap.load_tokenizer_of(folder)
    for line, ids in zip(LINES[:2], ours.encode_lines(LINES[:2]), strict=True):
        assert ids.tolist() == theirs(line)["input_ids"]
        assert ours.decode([29, *ids]) == line
    assert (ours.begin, ours.end, ours.padding, ours.vocab_size) == (29, 0, 29, 30)


@pytest.mark.parametrize("table", ["[1]", "{}", '{"<unk>": "a"}', '{"<unk>": -1}', '{"a": 0}', "{"])
def test_a_table_of_ids_that_is_none_is_named(table: str, models: dict[str, bytes], tmp_path: Path) -> None:
    for name in ("source.spm", "target.spm"):
        (tmp_path / name).write_bytes(models["fairseq"])
    (tmp_path / "vocab.json").write_text(table)
    with pytest.raises(ValueError, match=r"vocab\.json"):
        ap.load_tokenizer_of(tmp_path)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")
    for content in (b"", b"pieces", bytes(range(256))):
        (tmp_path / "tokenizer.model").write_bytes(content)
        with pytest.raises(ValueError, match=r"tokenizer.model' is no model of sentencepiece"):
            ap.load_tokenizer_of(tmp_path)


def test_the_library_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"pieces")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(
        ModuleNotFoundError,
        match=r"sentencepiece is not installed, which reads 'tokenizer.model': pip install",
    ):
        ap.load_tokenizer_of(tmp_path)
