"""The benchmark that makes a published score again: whole, on a small task with a small model."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import admin_py as ap
from benchmarks import lines
from benchmarks import published_score as published

pytest.importorskip("sacrebleu")
pytest.importorskip("sacremoses")

SMALL = {
    "--layers": [1], "--d-model": [8], "--d-ff": [16], "--heads": [2], "--steps": [6], "--warmup": [2],
    "--keep-every": [1], "--valid-every": [2], "--max-tokens": [100],
}  # fmt: skip


def write_text(folder: Path) -> None:
    """Numbers in English and German, as sentences of three splits, and the codes of their subwords."""
    data = ap.data.number_words()
    words = [side for pair in data.pairs("train") for side in pair]
    ap.data.SubwordCodes.learn(words, merges=30).save(folder / "codes")
    for name, split in (("train", "train"), ("val", "valid"), ("test2016", "valid")):
        pairs = data.pairs(split)[:40]
        for language, side in (("en", 0), ("de", 1)):
            text = "".join(f"{pair[side]}\n" for pair in pairs)
            (folder / f"{name}.{language}.gz").write_bytes(gzip.compress(text.encode()))


def test_a_score_is_made_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(published, "VARIANTS", {published.PUBLISHED: SMALL})
    write_text(tmp_path)
    work, out = tmp_path / "work", tmp_path / "out"
    given = [
        "--data",
        str(tmp_path),
        "--codes",
        str(tmp_path / "codes"),
        "--work",
        str(work),
        "--out",
        str(out),
        "--threads",
        "1",
    ]
    published.main([*given, "--seeds", "1"])
    first = (out / published.FILE).read_text()
    published.main([*given, "--seeds", "1", "2"])
    text = (out / published.FILE).read_text()
    assert str(tmp_path) not in text
    entries = published.load(out)["entries"]
    assert [e["seed"] for e in entries] == [1, 2]
    assert entries[0]["curve"] == published.load(out)["entries"][0]["curve"]
    references = lines.read_lines(out / published.HYPOTHESES / published.REFERENCE)
    choice = published.best(entries)
    for entry in entries:
        assert set(entry["valid_bleu"]) == set(published.CHOICES)
        assert [step for step, _ in entry["curve"]] == [2, 4, 6]
        assert {published.USUAL, choice} <= set(entry["test"])
        for told in entry["test"].values():
            again = lines.read_lines(out / published.HYPOTHESES / told["hypotheses"])
            score = ap.scores.bleu(again, references, convention="published")
            assert (score.score, score.signature) == (told["bleu"], told["signature"])
    assert len(first) < len(text)
    capsys.readouterr()
    published.main(["--table", "--out", str(out)])
    printed = capsys.readouterr().out
    assert printed.startswith("published: seeds 1, 2; hours ")
    assert f"  {published.USUAL}: BLEU " in printed


def test_the_choice_is_the_best_of_the_validation_text() -> None:
    names = list(published.CHOICES)
    scores = [dict.fromkeys(names, 30.0) for _ in range(2)]
    scores[0][names[3]], scores[1][names[3]] = 31.0, 30.5
    scores[0][names[4]], scores[1][names[4]] = 32.0, 29.0
    assert published.best([{"valid_bleu": one} for one in scores]) == names[3]


def test_the_text_and_the_folder_have_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        published.main([])
    assert "--data, --codes and --work" in capsys.readouterr().err
