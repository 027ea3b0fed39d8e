"""``admin-py score``: what it prints, as text and as JSON, and how it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command import run
from made_translations import made_translations, plain

import admin_py as ap
from admin_py.scores import Comparison, Score

pytest.importorskip("sacrebleu")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with two systems and a reference, tokenised and plain."""
    found, references = made_translations(40)
    texts = {"worse": found, "better": [*references[:20], *found[20:]], "reference": references}
    for name, lines in texts.items():
        write(tmp_path / name, plain(lines))
        write(tmp_path / f"{name}.tok", lines)
    return tmp_path


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read(path: Path) -> list[str]:
    return path.read_text("utf-8").split("\n")[:-1]


def test_one_system_is_scored_and_every_score_shows_its_signature(files: Path) -> None:
    found = run(
        *("score", "--system", files / "worse", "--reference", files / "reference"),
        *("--metrics", "bleu", "chrf", "ter"),
    )
    assert (found.returncode, found.stderr) == (0, "")
    name, bleu, chrf, ter = found.stdout.splitlines()
    assert name == str(files / "worse")
    expected = ap.scores.bleu(read(files / "worse"), read(files / "reference"))
    assert f"BLEU {expected.score:.2f}, " in bleu
    assert expected.signature in bleu
    assert "chrF2 " in chrf
    assert "|nc:6|" in chrf
    assert "|tok:tercom|" in ter


def test_systems_are_compared_with_the_one_that_is_named(files: Path) -> None:
    arguments = ["score", "--system", files / "worse", "--against", files / "better"]
    arguments += ["--reference", files / "reference", "--resamples", "100", "--json"]
    found = run(*arguments)
    assert (found.returncode, found.stderr) == (0, "")
    told = json.loads(found.stdout)
    (compared,) = map(Comparison.from_dict, told["comparisons"])
    assert compared.systems == (str(files / "better"), str(files / "worse"))
    assert compared == ap.scores.paired_bootstrap(
        {str(files / name): read(files / name) for name in ("better", "worse")},
        read(files / "reference"),
        resamples=100,
    )
    for name in ("better", "worse"):
        (score,) = map(Score.from_dict, told["scores"][str(files / name)])
        assert score == ap.scores.bleu(read(files / name), read(files / "reference"))


def test_several_systems_are_printed_as_a_table(files: Path) -> None:
    found = run(
        *(
            "score",
            "--system",
            files / "worse.tok",
            files / "better.tok",
            "--reference",
            files / "reference.tok",
        ),
        *("--convention", "published", "--resamples", "100"),
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "100 resamples, seed 12345" in found.stdout
    assert "|case:lc|eff:no|tok:none|" in found.stdout


def test_text_of_the_other_convention_is_said_in_one_line_each(files: Path) -> None:
    found = run("score", "--system", files / "worse.tok", "--reference", files / "reference")
    assert found.returncode == 0
    (line,) = found.stderr.splitlines()
    assert line.startswith("admin-py: warning: hypotheses look tokenised, in 40 of 40 lines")


def test_several_references_may_lack_lines(files: Path) -> None:
    lines = read(files / "reference")
    write(files / "second", [line if i % 2 else "" for i, line in enumerate(lines)])
    references = ["--reference", files / "reference", files / "second"]
    found = run("score", "--system", files / "worse", *references)
    assert found.returncode == 0
    assert "nrefs:var" in found.stdout


def test_what_is_wrong_is_one_line(files: Path) -> None:
    write(files / "short", ["a"])
    write(files / "blank", [""] * 40)
    reference = ["--reference", files / "reference"]
    wrong = [
        (["--system", files / "short", *reference], 1, "--system: .*short' has 1 lines, the reference 40"),
        (["--system", files / "none", *reference], 1, "none"),
        (["--system", files / "worse", "--reference", files / "blank"], 1, "references: number 0 is blank"),
        (["--system", files / "worse", *reference, files / "short"], 1, "--reference: .* 40 lines and .* 1"),
        (["--system", files / "worse", *reference, "--seed", "3"], 2, "--seed goes with several systems"),
    ]
    for arguments, status, message in wrong:
        found = run("score", *arguments)
        assert found.returncode == status
        assert len(found.stderr.splitlines()) == 1
        assert re.search(message, found.stderr), found.stderr
