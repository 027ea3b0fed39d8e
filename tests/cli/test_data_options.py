"""The options that name data, of every command."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

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


def test_texts(folder: Path) -> None:
    data = load("--text", "a", "--valid-text", "c", "--test-text", "d", "--context", "7")
    assert [data.texts(split)[0] for split in data.splits] == [
        (folder / name).read_text() for name in ("a", "c", "d")
    ]
    assert data.split("train").source.lengths.max() == 8
    data = load("--text", "a", "--vocab-size", "270")
    assert (data.vocab_size, data.splits) == (270, ("train", "valid"))


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
