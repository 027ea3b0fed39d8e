"""Small files of lines that translate each other, word by word."""

from __future__ import annotations

from pathlib import Path

WORDS = ("the", "cat", "dog", "sleeps", "runs", "here", "there")
TURNED = {word: word.upper()[::-1] for word in WORDS}


def write_pair(folder: Path, name: str, count: int) -> tuple[Path, Path]:
    """Two files of so many lines."""
    lines = [[WORDS[(i * (j + 3) + j) % len(WORDS)] for j in range(2 + i % 4)] for i in range(count)]
    source, target = folder / f"{name}.en", folder / f"{name}.de"
    source.write_text("".join(" ".join(one) + "\n" for one in lines), encoding="utf-8")
    target.write_text("".join(" ".join(TURNED[w] for w in one) + "\n" for one in lines), encoding="utf-8")
    return source, target
