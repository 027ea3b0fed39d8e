"""Studies, grids, reports and trained models where another process writes, or was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lock_holder import holder

import admin_py as ap
from admin_py.base import locks
from admin_py.base.scratch import PREFIX

DATA = ap.data.copy_task(train=20, valid=5, symbols=5, max_length=5)
SMALL = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 1, "max_tokens": 64, "progress": False}


def save_trained(folder: Path) -> None:
    config = ap.TransformerConfig(
        vocab_size=DATA.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    ap.TrainedModel(ap.Transformer(config, seed=1), DATA.tokenizer).save(folder)


WRITERS: dict[str, tuple[Callable[[Path], Any], str | None]] = {
    "study": (lambda folder: ap.study(DATA, schemes="admin", out=folder, **SMALL), None),
    "grid": (lambda folder: ap.grid(DATA, schemes="admin", out=folder, **SMALL), None),
    "copy of a study": (lambda folder: ap.study(DATA, schemes="admin", **SMALL).save(folder), None),
    "copy of a grid": (lambda folder: ap.grid(DATA, schemes="admin", **SMALL).save(folder), None),
    "report": (lambda folder: ap.study(DATA, schemes="admin", **SMALL).report(folder), "report.html"),
    "trained model": (save_trained, None),
}
"""What is written, and the file whose lock it takes where that is not the folder's."""


@pytest.mark.parametrize("name", WRITERS)
def test_the_second_is_told_who_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    write, file = WRITERS[name]
    held = holder(tmp_path) if file is None else holder(tmp_path / file, "locked_file")
    with held as process:
        before = os.listdir(tmp_path)
        with pytest.raises(RuntimeError, match=f"is being written by process {process.pid};"):
            write(tmp_path)
        assert os.listdir(tmp_path) == before


@pytest.mark.parametrize("call", [ap.study, ap.grid])
def test_everything_half_written_is_cleared_and_what_a_living_process_writes_is_not(
    tmp_path: Path, call: Callable[..., Any]
) -> None:
    """Of headers, members and checkpoints alike."""
    call(DATA, schemes="admin", out=tmp_path, **SMALL)
    folders = {tmp_path, *(path.parent for path in tmp_path.rglob("*.json"))}
    for folder in folders:
        for name in (f"{call.__name__}.json", "run.json", "x" * 255):
            (folder / f".{name[:200]}.0123abcd.part").write_text("half")
    script = "import sys; from admin_py.base.whole_files import written_whole as w\nwith w(sys.argv[1]):\n"
    script += " print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(tmp_path / "another.json")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as living:
        assert living.stdout is not None
        assert living.stdout.readline() == "open\n"
        call(DATA, schemes=["admin", "pre_ln"], out=tmp_path, **SMALL)
        assert [one.name.split(".")[1] for one in tmp_path.rglob("*.part")] == ["another"]
        living.communicate()
        assert living.returncode == 0
    assert not list(tmp_path.rglob(".*"))


KILLED = """
import os, signal, sys, tempfile
import admin_py as ap

def done(*_):
    os.kill(os.getppid(), signal.SIGKILL)  # the process that asked

if __name__ == "__main__":
    data = ap.data.copy_task(train=20, valid=5, symbols=5, max_length=5)
    ap.grid(data, schemes=["admin", "pre_ln"], layers=1, d_model=8, d_ff=16, heads=2, steps=3, max_tokens=64,
            workers=1, out=sys.argv[1], progress=False, callbacks=[done])
"""


def test_data_for_the_workers_of_a_killed_process_are_cleared_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path / "out")]
    done = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(scratch)}, capture_output=True, timeout=300, check=False
    )
    assert done.returncode < 0, done.stderr
    assert list(scratch.glob(f"{PREFIX}*/data"))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(locks, "PATIENCE", 300.0)
    found = ap.grid(
        DATA, schemes=["admin", "pre_ln"], out=tmp_path / "out", **{**SMALL, "steps": 3}
    )  # at once, while the worker ends
    assert len(found.cells) == 2
    assert not list(scratch.glob(f"{PREFIX}*"))
