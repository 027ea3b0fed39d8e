"""The Python examples of README.md and docs/*.md: a page in order, in one namespace and an empty folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?:python|\{code-cell\} *(?:python|ipython3))\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OPTION = re.compile(r"\A(?::[a-z-]+:.*\n)+\n?")
"""Lines such as ``:tags: [remove-cell]`` before the code of a cell."""


def blocks(text: str) -> list[tuple[int, str]]:
    """Line and code of every Python block; a cell that is not shown only prepares the page's pictures.

    >>> blocks("a\\n```python\\nx = 1\\n```\\n```{code-cell} python\\n:tags: [remove-cell]\\ny = 2\\n```\\n")
    [(3, 'x = 1\\n')]
    """
    found = []
    for fence in FENCE.finditer(text):
        options = OPTION.match(fence[1])
        if options is None or "remove-cell" not in options[0]:
            start = fence.start(1) + (options.end() if options else 0)
            found.append((text.count("\n", 0, start) + 1, text[start : fence.end(1)]))
    return found


def text_files(names: dict[str, Any]) -> None:
    """The two files and the arrays that the README supposes."""
    pairs = ap.data.number_words(train=300, valid=20).pairs("train")
    for side, name in enumerate(("train.en", "train.de")):
        Path(name).write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")
    random = np.random.default_rng(1)
    x, dy = (random.standard_normal((7, 64)).astype(np.float32) for _ in range(2))
    names.update(x=x, dy=dy, lengths=[4, 3])


@dataclass(frozen=True)
class Example:
    """What is done to a page so that it runs in seconds.

    Attributes
    ----------
    smaller : mapping
        Text of the page -> what is run instead; each has to be there.
    prepare : callable
        Makes the names and files that the page supposes.
    """

    smaller: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[dict[str, Any]], None] = lambda names: None


EXAMPLES: Mapping[str, Example] = {
    "README.md": Example(
        {
            "encoder_layers=18, decoder_layers=18": "encoder_layers=2, decoder_layers=2",
            "d_model=128": "d_model=16",
            "d_ff=256": "d_ff=16",
            "steps=2000": "steps=8",
            "steps=200,": "steps=4,",
            "layers=[6, 12]": "layers=[1, 2], d_model=16, d_ff=16, steps=2",
        },
        text_files,
    ),
    "docs/index.md": Example({"layers=12, steps=100": "layers=1, d_model=16, d_ff=16, steps=3"}),
    "docs/guide.md": Example(
        {
            "ap.data.number_words()": "ap.data.number_words(train=200, valid=20)",
            "encoder_layers=18, decoder_layers=18": "encoder_layers=3, decoder_layers=3",
            "d_model=64, heads=4, d_ff=128": "d_model=16, heads=4, d_ff=32",
            "decoder.17.": "decoder.2.",
            "layers=[3, 12], steps=100": "layers=[1, 2], d_model=16, d_ff=16, steps=3",
            "layers=3, steps=100": "layers=1, d_model=16, d_ff=16, steps=3",
            "warmup=100), steps=100": "warmup=4), steps=4",
            "valid_every=25": "valid_every=2",
            "lr=1e-3, steps=150": "lr=1e-3, steps=6",
            "keep_every=30": "keep_every=2",
        }
    ),
    "docs/performance.md": Example({"vocab_size=1000": "vocab_size=20, d_model=16, heads=2, d_ff=16"}),
}
"""Pages that need something; all others are run as they are."""

PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if blocks(path.read_text("utf-8"))
]


def test_every_page_with_examples_is_found() -> None:
    assert set(EXAMPLES) <= set(PAGES)
    assert "docs/schemes.md" in PAGES


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib
    import matplotlib.pyplot as plt

    matplotlib.use("Agg", force=True)
    monkeypatch.chdir(tmp_path)
    text, example = (ROOT / page).read_text("utf-8"), EXAMPLES.get(page, Example())
    for real, small in example.smaller.items():
        assert real in text, f"{page} no longer has {real!r}"
        text = text.replace(real, small)
    threads, schemes = ap.get_num_threads(), ap.schemes.names()
    names: dict[str, Any] = {"__name__": "__main__"}
    example.prepare(names)
    try:
        for line, code in blocks(text):
            exec(compile("\n" * (line - 1) + code, str(ROOT / page), "exec", dont_inherit=True), names)
            plt.close("all")
    finally:
        plt.close("all")
        ap.set_num_threads(threads, oversubscribe=True)
        for name in set(ap.schemes.names()) - set(schemes):
            ap.schemes.unregister(name)
