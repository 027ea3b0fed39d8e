"""Reading: pipes, devices and sockets are one error, at once, and never waited for."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import admin_py as ap
from admin_py.base.plain_files import open_plain, read_plain

READERS: dict[str, Callable[[Path], object]] = {
    "load": ap.load,
    "model": ap.Transformer.load,
    "result": ap.History.load,
    "observation": ap.Observation.load,
    "profile of Transformer-Clinic": lambda path: ap.VarianceProfile.from_clinic(
        path, encoder_layers=1, decoder_layers=1
    ),
    "tokenizer": ap.data.load_tokenizer,
    "text": ap.data.text,
    "held-out text": lambda path: ap.data.text(__file__, valid=path),
    "tokenizer of a text": lambda path: ap.data.text(__file__, tokenizer=path),
    "pair": lambda path: ap.data.parallel_text(path, __file__),
    "held-out pair": lambda path: ap.data.parallel_text(__file__, __file__, valid=(__file__, path)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ["pipe", "pipe.safetensors", "pipe.gz"])
def test_a_pipe_is_refused(tmp_path: Path, reader: str, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=r"is a pipe, expected a file|is neither a file nor a folder"):
        READERS[reader](tmp_path / name)


@pytest.mark.parametrize("reader", READERS)
def test_a_device_without_an_end_is_refused(reader: str) -> None:
    with pytest.raises(ValueError, match=r"is a device, expected a file|is neither a file nor a folder"):
        READERS[reader](Path("/dev/zero"))


@pytest.mark.parametrize("file", ["study.json", "grid.json"])
def test_a_folder_with_a_pipe_is_refused(tmp_path: Path, file: str) -> None:
    os.mkfifo(tmp_path / file)
    kind = {"study.json": ap.Study, "grid.json": ap.Grid}[file]
    with pytest.raises(ValueError, match="is a pipe"):
        kind.load(tmp_path)


def test_a_socket_and_a_folder(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="No such device"):
            open_plain(tmp_path / "s")
    with pytest.raises(IsADirectoryError):
        open_plain(tmp_path)


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to("a")
    assert read_plain(tmp_path / "b") == b"x"


@pytest.mark.parametrize("compressed", [False, True])
def test_text_comes_through_the_standard_input_stream(compressed: bool) -> None:
    """As ``zcat train.gz | ...`` gives it: that pipe is open already, so nobody waits for who writes."""
    text = b"row, row, row your boat\n" * 10
    script = "import admin_py as ap; print(ap.data.text('/dev/stdin', context=16))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=gzip.compress(text) if compressed else text,
        capture_output=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.startswith(b"Dataset('stdin', language_model, vocab_size=15, train 14")
