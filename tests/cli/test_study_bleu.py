"""``admin-py study --bleu``: the table, the report, and that it goes on without training again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from command import run

import admin_py as ap

pytest.importorskip("sacrebleu")

SIZES = ["--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--steps", "2"]


@pytest.fixture
def text(tmp_path: Path) -> list[str]:
    """Options of text with a split "test"."""
    given = []
    for name, count in (("train", 60), ("test", 7)):
        for side, code in (("source", "en"), ("target", "de")):
            path = tmp_path / f"{name}.{code}"
            path.write_text("".join(f"a {code} house of {i} .\n" for i in range(count)))
            given += [f"--{side}" if name == "train" else f"--{name}-{side}", str(path)]
    return [*given, "--pretokenized"]


def test_held_out_text_is_translated_and_told(text: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["study", *text, "--schemes", "post_ln", "admin", *SIZES, "--out", str(out)]
    plain = run(*command, "--quiet")
    assert plain.returncode == 0, plain.stderr
    assert "bleu" not in plain.stdout
    histories = [one.history for one in ap.load(out).runs]
    found = run(*command, "--bleu", "--quiet")
    assert found.returncode == 0, found.stderr
    study = ap.load(out)
    assert [one.history for one in study.runs] == histories, "translated, not trained again"
    table = pd.read_csv(out / "results.csv")
    assert list(table["bleu"]) == pytest.approx([one.bleu for one in study.runs])
    assert "bleu" in found.stdout.splitlines()[0]
    assert "BLEU of 7 sentences of test, published: nrefs:1|" in found.stdout
    assert 'id="translations"' in (out / "report.html").read_text("utf-8")


def test_language_models_are_refused_in_one_line(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("a house and a tree and a cat\n" * 200)
    found = run("study", "--text", book, *SIZES, "--bleu", "--out", tmp_path / "new")
    assert found.returncode == 1
    assert found.stderr == "admin-py: error: bleu is of translations, and book.txt is of language models: " \
        "leave it out\n"  # fmt: skip
    assert not (tmp_path / "new").exists()
