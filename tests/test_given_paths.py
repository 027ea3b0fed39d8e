"""Paths that users give, to everything that takes one: home directories, bytes, names that are no UTF-8."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from foreign_tensors import fairseq_tensors
from safetensors.numpy import save_file

import admin_py as ap
from admin_py.cli.entry import COMMANDS

DATA = ap.data.copy_task(symbols=5, max_length=5, train=20, valid=5)
CONFIG = ap.TransformerConfig(
    vocab_size=DATA.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
)
SMALL = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 1, "max_tokens": 64, "progress": False}
TEXT = "row, row, row your boat\n" * 20


class Use(NamedTuple):
    """Something that writes to a path and reads from it again."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def made() -> ap.Transformer:
    return ap.Transformer(CONFIG, seed=1)


def profile() -> ap.VarianceProfile:
    return made().profile(next(DATA.batches()))


def train(path: Any, steps: int = 1, **more: Any) -> ap.History:
    return ap.train(
        made(), DATA, optimizer=ap.Adam(lr=1e-3), steps=steps, checkpoint=path, progress=False, **more
    )


def study(path: Any) -> ap.Study:
    return ap.study(DATA, schemes="admin", keep_models=True, out=path, **SMALL)


@cache
def studied() -> ap.Study:
    return study(None)


def grid(path: Any) -> ap.Grid:
    return ap.grid(DATA, schemes="admin", keep_models=True, out=path, **SMALL)


def write_text(path: Any) -> None:
    place = Path(os.path.expanduser(os.fsdecode(path)))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(TEXT)


USES = {
    "model": Use(lambda path: made().save(path), ap.Transformer.load),
    "result": Use(lambda path: profile().save(path), ap.VarianceProfile.load),
    "profile of Transformer-Clinic": Use(
        lambda path: profile().to_clinic(path),
        lambda path: ap.VarianceProfile.from_clinic(path, encoder_layers=1, decoder_layers=1),
    ),
    "observation": Use(
        lambda path: made().observe(next(DATA.batches())).save(path), lambda path: ap.Observation.load(path)
    ),
    "tokenizer": Use(lambda path: DATA.tokenizer.save(path), ap.data.load_tokenizer),
    "checkpoint": Use(train, lambda path: train(path, steps=2)),
    "kept weights": Use(
        lambda path: train(None, keep=path, keep_last=1, keep_every=1, resume=False),
        lambda path: ap.average(path, last=1),
    ),
    "trained model": Use(
        lambda path: ap.TrainedModel(made(), DATA.tokenizer).save(path), ap.TrainedModel.load
    ),
    "study": Use(study, lambda path: ap.Study.load(path).runs[0].model.seed),
    "copy of a study": Use(lambda path: studied().save(path), ap.Study.load),
    "run": Use(lambda path: studied().runs[0].save(path), lambda path: type(studied().runs[0]).load(path)),
    "grid": Use(grid, lambda path: ap.Grid.load(path).cells[0].model.seed),
    "copy of a grid": Use(lambda path: grid(None).save(path), ap.Grid.load),
    "anything": Use(lambda path: made().save(path), ap.load),
    "folder of PyTorch": Use(lambda path: ap.interop.torch.write(made(), path), ap.load_pretrained),
    "folder of Hugging Face": Use(lambda path: ap.interop.to_hugging_face(made(), path), ap.load_pretrained),
    "text": Use(write_text, lambda path: ap.data.text(path, valid=path, test=path)),
    "pair": Use(
        write_text, lambda path: ap.data.parallel_text(path, path, valid=(path, path), vocab_size=270)
    ),
}

FOLDERS = (
    "kept weights", "trained model", "study", "copy of a study", "run", "grid", "copy of a grid",
    "folder of PyTorch", "folder of Hugging Face",
)  # fmt: skip
TEXTS = ("text", "pair")
FILES = tuple(name for name in USES if name not in (*FOLDERS, *TEXTS))

NO_UTF8 = os.fsdecode(b"caf\xe9-\xff")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory and a home of our own."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    with ap.threads(1):
        yield


@pytest.mark.parametrize("given", ["~/folder/it", b"~/folder/it"], ids=["str", "bytes"])
@pytest.mark.parametrize("name", USES)
def test_a_tilde_is_the_home_directory(tmp_path: Path, name: str, given: Any) -> None:
    USES[name].write(given)
    USES[name].read(given)
    assert (tmp_path / "home" / "folder" / "it").exists()
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize("given", [Path(NO_UTF8), os.fsencode(NO_UTF8)], ids=["path", "bytes"])
@pytest.mark.parametrize("name", USES)
def test_a_name_that_is_no_utf8(tmp_path: Path, name: str, given: Any) -> None:
    USES[name].write(given)
    USES[name].read(given)
    assert os.listdir(tmp_path / "work") == [NO_UTF8]


@pytest.mark.usefixtures("no_pictures")
def test_a_report_at_home_whose_folder_s_name_is_no_utf8(tmp_path: Path) -> None:
    page = studied().report(os.fsencode(f"~/{NO_UTF8}"))  # type: ignore[arg-type]
    assert page == tmp_path / "home" / NO_UTF8 / "report.html"
    assert page.exists()


@pytest.mark.parametrize("name", USES)
def test_a_name_as_long_as_the_system_takes_it(tmp_path: Path, name: str) -> None:
    given = "x" + "ü" * 127
    USES[name].write(given)
    USES[name].read(given)
    assert os.listdir(tmp_path / "work") == [given]


@pytest.mark.parametrize("name", FILES)
def test_what_a_link_leads_to_is_written(tmp_path: Path, name: str) -> None:
    Path("link").symlink_to(tmp_path / "home" / "file")
    for _ in range(2):  # a link that leads to nothing yet, and to a file
        USES[name].write("link")
    USES[name].read("link")
    assert Path("link").is_symlink()
    assert os.listdir(tmp_path / "home") == ["file"]


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_that_nobody_reads_is_refused(name: str) -> None:
    os.mkfifo("pipe")
    with pytest.raises(OSError, match="pipe"):
        USES[name].write("pipe")
    assert stat.S_ISFIFO(os.stat("pipe").st_mode)


@pytest.mark.parametrize("name", FILES)
def test_a_device_is_written_to_or_refused(name: str) -> None:
    Path("null").symlink_to("/dev/null")
    if name == "checkpoint":
        with pytest.raises(OSError, match="checkpoint must be a file, and here is a device"):
            USES[name].write("null")
    else:
        USES[name].write("null")
    assert Path("null").is_symlink()
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("name", FILES)
def test_a_private_file_stays_private(name: str) -> None:
    Path("file").touch(mode=0o600)
    if name == "checkpoint":
        train("file", resume=False)
    else:
        USES[name].write("file")
    assert stat.S_IMODE(os.stat("file").st_mode) == 0o600


# Another working directory


def leave(*_: Any) -> None:
    os.chdir("/")


def test_a_checkpoint_stays_where_it_was(tmp_path: Path) -> None:
    train("run/checkpoint", steps=2, checkpoint_every=1, callbacks=[leave])
    assert os.listdir(tmp_path / "work" / "run") == ["checkpoint"]


@pytest.mark.parametrize("call", [ap.study, ap.grid])
def test_a_folder_of_trainings_stays_where_it_was(tmp_path: Path, call: Callable[..., Any]) -> None:
    found = call(DATA, schemes=["admin", "pre_ln"], keep_models=True, callbacks=[leave], out="run", **SMALL)
    assert len(ap.load(tmp_path / "work" / "run").asked) == 2
    assert not found.interrupted
    assert [one.model.seed for one in (found.runs if call is ap.study else found.cells)] == [1, 1]


def test_models_are_found_after_the_folder_was_loaded() -> None:
    study("study")
    found = ap.load("study")
    leave()
    assert found.runs[0].model.seed == 1


# The command line


def test_commands_take_names_that_are_no_utf8(tmp_path: Path) -> None:
    """All in one process, whose output is strict in what it takes."""
    write_text(NO_UTF8)
    script = """
import sys
from admin_py.cli.entry import main
sizes = ["--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--quiet", "--context", "16"]
untrained = ["profile"], ["analyse", "gradients"], ["diagnose"]
for command in (*untrained, ["train"], ["study"], ["grid", "--workers", "1"]):
    trained = [] if command in untrained else ["--steps", "2"]
    out = f"{sys.argv[2]}-{command[0]}"
    status = main([*command, *sizes, *trained, "--text", sys.argv[1], "--out", out])
    assert status == 0, command
assert main(["translate", f"{sys.argv[2]}-train"]) == 0
heads = ["--setting", "decoder_attention_heads=2"]
assert main(["convert", *heads, f"{sys.argv[2]}-theirs", f"{sys.argv[2]}-convert"]) == 0
"""
    save_file(fairseq_tensors(), tmp_path / "theirs")
    (tmp_path / "theirs").rename(tmp_path / "home" / f"{NO_UTF8}-theirs")
    done = subprocess.run(
        [sys.executable, "-c", script, NO_UTF8, f"~/{NO_UTF8}"],
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr.decode()
    written = {os.fsencode(name) for name in os.listdir(tmp_path / "home")}
    write_none = ("info", "recipes", "score", "translate", "watch")
    expected = {os.fsencode(f"{NO_UTF8}-{name}") for name in COMMANDS if name not in write_none}
    assert expected <= written
    assert os.listdir(tmp_path / "work") == [NO_UTF8]
