"""JSON from files: strict, bounded, checked by types, and with a digest that notices every flipped bit."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from admin_py.base import documents


class _Row(msgspec.Struct):
    lr: float


DOCUMENT = {"kind": "thing", "rows": [1, 2.5, None], "more": {"text": "ä\n", "deep": [[1], [2]]}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 1}', r"at \$: the key 'a' stands there twice"),
        ('{"x": [0, {"lr": 1, "lr": 2}]}', r"at \$\.x\[1\]: the key 'lr' stands there twice"),
        ('{"x": {"a": 1, "a": {"b": 1}}}', r"at \$\.x: the key 'a'"),
        ('{"x": [NaN]}', "not JSON.*NaN"),
        ('{"x": -Infinity}', "not JSON.*-Infinity"),
        ('{"x": [0.5, 1e999]}', r"at \$\.x\[1\]: the number is too large"),
        (f'{{"seed": {2**64}}}', r"at \$\.seed: the integer does not fit"),
        (f'{{"seed": {"9" * 5000}}}', "."),
        ("[" * 100_000, "nested more than 64"),
        ("[" * 65 + "]" * 65, "nested more than 64"),
        ('{"a": 1', "cut off or not JSON"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
    ],
)
def test_what_json_may_not_have_is_named_with_its_place(text: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        documents.parse(text)


def test_what_json_may_have_comes_back() -> None:
    text = "[" * 64 + "]" * 64
    assert documents.parse(text) is not None
    assert documents.parse(f'[{2**64 - 1}, {-(2**63)}, 1e308, "a"]') == [2**64 - 1, -(2**63), 1e308, "a"]


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    documents.write(path, DOCUMENT)
    whole = path.read_bytes()
    named = accepted = 0
    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = documents.read(path, lambda value: value)
        except ValueError as error:
            named += str(path) in str(error)
            continue
        # The key of the digest itself: no file of this package has an entry of another name.
        assert found.keys() - DOCUMENT.keys(), f"bit {place}"
        accepted += 1
    assert named + accepted == 8 * len(whole)
    assert accepted <= 8 * len("digest")


def test_an_edit_is_refused_and_the_way_out_is_said(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    documents.write(path, DOCUMENT)
    path.write_text(path.read_text().replace("2.5", "3.5"))
    with pytest.raises(ValueError, match=r"thing\.json.*digest does not fit.*without its last entry"):
        documents.read(path, lambda value: value)
    path.write_text(documents.dump({**DOCUMENT, "rows": [3]}))
    assert documents.read(path, lambda value: value)["rows"] == [3]


def test_a_digest_that_is_not_the_last_entry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    path.write_text('{"digest": "sha256:0", "a": 1}')
    with pytest.raises(ValueError, match="digest is damaged"):
        documents.read(path, lambda value: value)


def test_text_after_a_document_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    documents.write(path, DOCUMENT)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ValueError, match="digest"):
        documents.read(path, lambda value: value)


@pytest.mark.parametrize("seed", range(20))
def test_bytes_that_are_anything_are_one_error(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    path = tmp_path / "thing.json"
    path.write_bytes(rng.choice((b"", b'{"a": ')) + rng.randbytes(rng.randrange(60)))
    with pytest.raises(ValueError, match=r"thing\.json"):
        documents.read(path, lambda value: {}[value])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    code = "import sys, admin_py as ap\ntry: ap.History.load(sys.argv[1])\nexcept ValueError as e: print(e)"
    found = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "pipe"],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    assert "is a pipe, expected a file" in found.stdout


def test_a_type_says_what_stands_where() -> None:
    with pytest.raises(ValueError, match=r"at \$\.runs\[3\]\.lr: expected `float`, got `str`"):
        documents.convert({"lr": "x"}, _Row, "$.runs[3]")
