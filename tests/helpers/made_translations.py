"""Translations that are made up, and what sacreBLEU's own command says of some."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any


def made_translations(count: int, seed: int = 1) -> tuple[list[str], list[str]]:
    """Translations in which some words are wrong, moved or missing, and their references, tokenised."""
    chance = random.Random(seed)
    words = [
        "the",
        "a",
        "cat",
        "dog",
        "Man",
        "woman",
        "sits",
        "runs",
        "on",
        "under",
        "Bench",
        "tree",
        ",",
        "and",
    ]
    found, references = [], []
    for _ in range(count):
        line = [chance.choice(words) for _ in range(chance.randint(4, 14))]
        references.append(" ".join([*line, "."]))
        changed = [chance.choice(words) if chance.random() < 0.2 else word for word in line]
        if chance.random() < 0.3:
            changed.insert(0, changed.pop())
        found.append(" ".join([*changed[: chance.randint(3, 20)], "."]))
    return found, references


def plain(lines: list[str]) -> list[str]:
    """Tokenised lines as people write them."""
    return [line.replace(" ,", ",").replace(" .", ".") for line in lines]


def sacrebleu(folder: Path, systems: dict[str, list[str]], references: list[str], *options: str) -> Any:
    """What sacreBLEU's command prints of systems in files, as JSON."""
    for name, lines in {**systems, "reference": references}.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    inputs = [str(folder / name) for name in systems]
    done = subprocess.run(
        [sys.executable, "-m", "sacrebleu", str(folder / "reference"), "-i", *inputs, "-f", "json", *options],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
