"""Paired bootstrap resampling: sacreBLEU's own numbers, a seed that is fixed, wrong systems."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from made_translations import made_translations, sacrebleu

import admin_py as ap
from admin_py.scores import METRICS, Comparison

pytest.importorskip("sacrebleu")

SOME = 200


def systems(count: int = 60) -> tuple[dict[str, list[str]], list[str]]:
    worse, references = made_translations(count)
    better = [line if i % 2 else other for i, (line, other) in enumerate(zip(references, worse, strict=True))]
    return {"base": worse, "better": better, "same": worse}, references


def compare(metric: str = "bleu", **options: int) -> Comparison:
    found, references = systems()
    options = {"resamples": SOME, **options}
    return ap.scores.paired_bootstrap(
        found,
        references,
        metric=metric,
        convention="published",
        **options,  # type: ignore[arg-type]
    )


def test_numbers_are_those_of_sacrebleus_command(tmp_path: Path) -> None:
    found, references = systems()
    options = ["--tokenize", "none", "-lc", "--force", "--paired-bs", "--paired-bs-n", str(SOME)]
    told = sacrebleu(tmp_path, found, references, *options)
    mine = compare()
    for i, row in enumerate(told):
        theirs = row["BLEU"]
        assert (mine.scores[i], mine.means[i], mine.half_widths[i]) == (
            theirs["score"],
            theirs["mean"],
            theirs["ci"],
        )
    assert mine.p_values[1] == told[1]["BLEU"]["p_value"]


@pytest.mark.parametrize("metric", METRICS)
def test_a_better_system_is_told_from_chance_and_the_same_one_is_not(metric: str) -> None:
    found = compare(metric)
    assert found.systems == ("base", "better", "same")
    assert np.isnan(found.p_values[0])
    assert found.p_values[1] < 0.05
    assert found.p_values[2] == 1  # where sacreBLEU says that it surely differs
    assert found.scores[0] == found.scores[2]
    assert (found.scores[1] > found.scores[0]) == (metric != "ter")


def test_the_seed_is_fixed_said_and_not_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    first = compare()
    assert f"|bs:{SOME}|seed:12345|" in first.signature
    assert "seed 12345" in repr(first)
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    assert compare() == first
    assert os.environ["SACREBLEU_SEED"] == "7"
    monkeypatch.delenv("SACREBLEU_SEED")
    other = compare(seed=7)
    assert "SACREBLEU_SEED" not in os.environ
    assert not np.array_equal(other.means, first.means)
    assert np.array_equal(other.scores, first.scores)


def test_the_table_is_printed_and_comes_back_from_its_file(tmp_path: Path) -> None:
    found = compare()
    assert repr(found).splitlines()[-1] == found.signature
    table = found.to_dataframe()
    assert table["system"].tolist() == ["base", "better", "same"]
    assert ((table["low"] < table["mean"]) & (table["mean"] < table["high"])).all()
    found.save(tmp_path / "comparison.json")
    assert ap.load(tmp_path / "comparison.json") == found


def test_wrong_systems_are_one_error() -> None:
    lines = ["a b c", "d e f"]
    wrong = [
        ({"a": lines}, lines, ValueError, "systems must be at least two, got 1"),
        ({"a": lines, "b": lines[:1]}, lines, ValueError, "systems .* 'a' has 2 and 'b' has 1"),
        ({"a": lines, "b": "a b c"}, lines, TypeError, "systems: 'b' must be a list of strings"),
        ({"a": lines, 3: lines}, lines, TypeError, "systems must have names that are strings, got 3"),
        ({"a": lines, "b": lines}, lines[:1], ValueError, "references must be as many as hypotheses, 2"),
        ([lines, lines], lines, TypeError, "systems must be a mapping"),
    ]
    for given, references, kind, message in wrong:
        with pytest.raises(kind, match=message):
            ap.scores.paired_bootstrap(given, references)  # type: ignore[arg-type]
    for options, message in (
        ({"resamples": 0}, "resamples must be an integer from 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"metric": "rouge"}, "metric must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            ap.scores.paired_bootstrap({"a": lines, "b": lines}, lines, **options)  # type: ignore[arg-type]
