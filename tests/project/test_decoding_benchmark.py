"""The benchmark of decoding: what its sides compute, keep and print. No test asserts a time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import admin_py as ap
from benchmarks import decoding, keeping, machine
from benchmarks.decoding_cases import CASES, TOKENS, Case, make_sources
from benchmarks.our_decoding_side import Side

FEW = Case("tiny", beam=2, batch=2, goal=1.0, count=3)


def test_both_ways_to_decode_find_the_same_tokens() -> None:
    """The side itself compares them."""
    with ap.threads(1):
        side = Side(FEW, make_sources(FEW.count, FEW.workload.vocab_size), threads=1)
        first, second = side.whole_passes(FEW.count)
        seconds, cpu_seconds, found = side.decode(FEW.count)
    assert min(first, second, seconds, cpu_seconds) > 0
    assert [len(ids) for ids in found] == [TOKENS] * FEW.count


def test_a_case_is_measured_kept_and_printed(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    entry = decoding.measure(FEW, threads=1, cpu="native", samples=2, rest=0.0)
    path = tmp_path / "decoding.json"
    keeping.save(path, decoding.KIND, machine.describe(), {FEW.name: entry})
    found = keeping.load(path, decoding.KIND)
    assert len(found["entries"][FEW.name]["ctranslate2"]["cpu_seconds"]) == 2
    text = decoding.format_table(found)
    assert re.search(r"tiny, beam 2, 2 at once .* \d+\.\d\d \(\d", text)
    assert "whole" not in text


def test_the_table_says_how_much_longer_whole_passes_take() -> None:
    side = {"seconds": [1.0, 1.0], "cpu_seconds": [1.0, 1.0]}
    about = {"case": {"count": 10, "goal": 1.5}, "load": 0.25, "ours": side}
    theirs = {"seconds": [2.0, 4.0], "cpu_seconds": [1.0, 2.0]}
    entry = about | {"ctranslate2": theirs, decoding.WHOLE_PASSES: [[1.0, 11.0], [2.0, 24.0]]}
    text = decoding.format_table({"machine": machine.describe(), "entries": {"one": entry}})
    assert re.search(r"one +10 +3 +3\.00 \(2\.50 to 3\.50\) +1\.5 yes +1\.50 +0\.2", text)
    assert "a pass for every token takes 11.5 times as long" in text


def test_every_case_has_a_goal() -> None:
    assert {case.goal for case in CASES.values() if case.model == "small"} == {1.0}
    assert len(CASES) == 8
