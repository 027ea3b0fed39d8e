"""The options that name data, of every command."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from admin_py.cli import main
from admin_py.cli.options import UsageError, add_data, load_data


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    for name in ("a", "b", "c", "d", "e", "f"):
        (tmp_path / name).write_text("".join(f"{name} line {i}\n" for i in range(20 if name in "ab" else 3)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(*arguments: str):
    parser = argparse.ArgumentParser()
    add_data(parser)
    return load_data(parser.parse_args(arguments))


def test_pairs_of_files(folder: Path) -> None:
    pair = ["--source", "a", "--target", "b", "--pretokenized"]
    data = load(
        *pair, "--valid-source", "c", "--valid-target", "d", "--test-source", "e", "--test-target", "f"
    )
    assert data.splits == ("train", "valid", "test")
    assert data.pairs("valid") == [(f"c line {i}", f"d line {i}") for i in range(3)]
    assert data.pairs("test") == [(f"e line {i}", f"f line {i}") for i in range(3)]
    data = load(*pair, "--test-source", "e", "--test-target", "f", "--max-lines", "10")
    assert [data.num_sequences(split) for split in data.splits] == [9, 1, 3]


def test_plain_text_by_moses_and_codes(folder: Path) -> None:
    pytest.importorskip("sacremoses")
    (folder / "codes").write_text("#version: 0.2\nl i\nn e</w>\n", encoding="utf-8")
    data = load("--source", "a", "--target", "b", "--moses", "en", "de", "--codes", "codes")
    assert [data.tokenizer.piece(int(i)) for i in data.encode("A line 3")[:-1]] == ["a", "li@@", "ne", "3"]
    assert data.decode(data.encode("B line 3", side="target")) == "b line 3"
    for arguments, message in (
        (["--source", "a", "--target", "b", "--codes", "codes"], "--codes goes with --moses"),
        (["--text", "a", "--moses", "en", "de"], "--moses goes with --source and --target"),
    ):
        with pytest.raises(UsageError, match=message):
            load(*arguments)


def test_texts(folder: Path) -> None:
    data = load("--text", "a", "--valid-text", "c", "--test-text", "d", "--context", "7")
    assert [data.texts(split)[0] for split in data.splits] == [
        (folder / name).read_text() for name in ("a", "c", "d")
    ]
    assert data.split("train").source.lengths.max() == 8
    data = load("--text", "a", "--vocab-size", "270")
    assert (data.vocab_size, data.splits) == (270, ("train", "valid"))


def test_a_vocabulary_that_was_saved(folder: Path) -> None:
    first = load("--source", "a", "--target", "b", "--vocab-size", "280")
    first.tokenizer.save("kept.json")
    for arguments in (["--source", "c", "--target", "d"], ["--text", "e"]):
        assert load(*arguments, "--tokenizer", "kept.json").tokenizer == first.tokenizer
    with pytest.raises(UsageError, match="--tokenizer has a vocabulary: --vocab-size learns another one"):
        load("--text", "e", "--tokenizer", "kept.json", "--vocab-size", "280")
    with pytest.raises(UsageError, match="--tokenizer goes with --source or --text"):
        load("--task", "copy", "--tokenizer", "kept.json")


def test_a_model_is_analysed_on_data_of_its_own_vocabulary_alone(folder: Path, capsys) -> None:
    small = ["--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--quiet"]
    text = ["--text", "a", "--context", "8"]
    assert main(["train", *small, *text, "--steps", "2", "--out", "run"]) == 0
    analysed = ["analyse", "gradients", "--model", "run/model.safetensors", "--out", "out"]
    assert main([*analysed, *text]) == 0
    other = folder / "other"
    other.write_text((folder / "a").read_text().replace("a", "q"))
    capsys.readouterr()
    assert main([*analysed, "--text", "other"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "'other'" in told
    assert "'a'" in told
    assert "--tokenizer" in told
    assert main([*analysed, "--text", "other", "--context", "8", "--tokenizer", "run/tokenizer.json"]) == 0
    capsys.readouterr()
    assert main([*analysed, "--source", "a", "--target", "b", "--pretokenized"]) == 1
    assert "must be of kind 'language_model'" in capsys.readouterr().err


def test_tasks() -> None:
    assert load().name == "number_words"
    assert load("--task", "copy").name == "copy_task"


PAIR = ("--source", "a", "--target", "b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "a"], "--source and --target go together"),
        (["--task", "copy", *PAIR], "give one of --task, --source with --target, and --text"),
        ([*PAIR, "--valid-source", "c"], "--valid-source and --valid-target go together, with --source"),
        ([*PAIR, "--test-target", "c"], "--test-source and --test-target go together, with --source"),
        (["--text", "a", "--test-source", "c", "--test-target", "d"], "--test-source and --test-target go"),
        (
            ["--task", "copy", "--valid-source", "c", "--valid-target", "d"],
            "--valid-source and --valid-target",
        ),
        ([*PAIR, "--test-text", "c"], "--test-text goes with --text"),
        (["--valid-text", "c"], "--valid-text goes with --text"),
        ([*PAIR, "--context", "9"], "--context goes with --text"),
        (["--text", "a", "--max-lines", "9"], "--max-lines goes with --source and --target"),
        (["--max-lines", "0"], "--max-lines goes with --source and --target"),
        (["--text", "a", "--pretokenized"], "--pretokenized goes with --source and --target"),
        (["--task", "numbers", "--vocab-size", "300"], "--vocab-size goes with --source or --text"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together(folder: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(*arguments)
