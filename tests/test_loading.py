"""`ap.load`: opens whatever this package writes, and says what anything else is."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np
import pytest
from made_results import MADE, made_history
from safetensors.numpy import save_file
from small_models import small

import admin_py as ap
from admin_py.base import documents
from admin_py.base.locks import LOCK_FILE
from admin_py.base.tensors import FORMATS
from admin_py.cli import entry as cli
from admin_py.data import CharacterTokenizer, NumberTokenizer, SubwordTokenizer, WordTokenizer
from admin_py.experiments.study.results import StudyRun
from admin_py.loading import FOLDERS, TENSORS, result_classes
from admin_py.results import Result

SMALL: dict[str, Any] = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 2, "progress": False}
DATA = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What the three kinds of command write, reports, tables and pictures included."""
    base = tmp_path_factory.mktemp("written")
    small = ["--layers", "1", "--d-model", "8", "--d-ff", "16", "--heads", "2", "--task", "copy", "--quiet"]
    commands = {
        "study": ["study", "--schemes", "pre_ln/admin", "--steps", "2"],
        "grid": ["grid", "--scheme", "post_ln", "admin", "--steps", "2", "--workers", "1"],
        "train": ["train", "--steps", "2"],
        "profile": ["profile"],
        "analyse": ["analyse", "gradients"],
    }
    for name, (command, *more) in commands.items():
        assert cli.main([command, *more, *small, "--out", str(base / name)]) == 0
    return {name: base / name for name in commands}


# Folders


def test_the_folder_of_a_study_is_a_study(folders: dict[str, Path]) -> None:
    for path in (folders["study"], folders["study"] / "study.json", str(folders["study"]) + "/"):
        found = ap.load(path)
        assert isinstance(found, ap.Study)
        assert found == ap.Study.load(folders["study"])
        assert found.schemes == ("pre_ln/admin",)


def test_the_folder_of_a_run_is_that_run(folders: dict[str, Path]) -> None:
    (place,) = (folders["study"] / "runs").glob("pre_ln~admin-*")
    for path in (place, place / "run.json"):
        assert ap.load(path) == StudyRun.load(place)


def test_the_folder_of_a_grid_is_a_grid(folders: dict[str, Path]) -> None:
    for path in (folders["grid"], folders["grid"] / "grid.json"):
        found = ap.load(path)
        assert isinstance(found, ap.Grid)
        assert found == ap.Grid.load(folders["grid"])
        assert len(found.cells) == 2


def test_the_folder_of_a_training_is_a_trained_model(folders: dict[str, Path]) -> None:
    for path in (folders["train"], folders["train"] / "trained.json"):
        found = ap.load(path)
        assert isinstance(found, ap.TrainedModel)
        assert found.history == ap.History.load(folders["train"] / "history.json")


OPENED = {".json", ".safetensors"}
REFUSED = {
    ".csv": r"is a table \(CSV\)",
    ".png": r"is a picture \(PNG\)",
    ".svg": r"is a picture \(SVG\)",
    ".html": r"is a page \(HTML\)",
    ".txt": r"is a profile in the text format of Transformer-Clinic.*from_clinic opens it",
}


def test_every_file_that_commands_write_is_opened_or_named(folders: dict[str, Path]) -> None:
    seen: dict[str, int] = dict.fromkeys([*OPENED, *REFUSED], 0)
    for path in sorted(
        one
        for folder in folders.values()
        for one in folder.rglob("*")
        if one.is_file() and one.name != LOCK_FILE
    ):
        seen[path.suffix] += 1
        if path.suffix in OPENED:
            assert ap.load(path) is not None
        else:
            with pytest.raises(
                ValueError, match=f"{re.escape(path.name)}' {REFUSED[path.suffix]}.*expected a model"
            ):
                ap.load(path)
    assert all(seen.values()), seen


def test_what_opens_folders_is_in_one_table() -> None:
    assert [one.file for one in FOLDERS] == ["study.json", "grid.json", "run.json", "trained.json"]
    assert TENSORS.keys() == FORMATS.keys()


# Models and checkpoints


def test_models(tmp_path: Path) -> None:
    model = small("float64", scheme="rezero")
    model.save(tmp_path / "a")
    found = ap.load(str(tmp_path / "a"))
    assert isinstance(found, ap.Transformer)
    assert found.dtype == "float64"
    np.testing.assert_equal(dict(found.parameters), dict(model.parameters))


def test_a_checkpoint_is_the_model_as_it_was(tmp_path: Path) -> None:
    model = ap.Transformer(
        ap.TransformerConfig(
            vocab_size=DATA.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
        ),
        seed=7,
    )
    path = tmp_path / "run.ckpt"
    ap.train(model, DATA, optimizer=ap.Adam(), steps=3, checkpoint=path, progress=False)
    found = ap.load(path)
    assert (found.config, found.seed) == (model.config, 7)
    np.testing.assert_equal(dict(found.parameters), dict(model.parameters))


# Results


def test_every_class_of_result_is_opened_by_its_kind(tmp_path: Path) -> None:
    ours = {kind: one for kind, one in result_classes().items() if one.__module__.startswith("admin_py.")}
    assert len(ours) >= 11
    instances = {one: make() for one, make in MADE.items()}
    for kind, one in ours.items():
        path = tmp_path / f"{kind}.of_any_name"
        instances[one].save(path)
        found = ap.load(path)
        assert type(found) is one
        assert found == instances[one]


def test_results_of_a_users_class_are_opened_too(tmp_path: Path) -> None:
    def define() -> type[Result]:
        @dataclass(frozen=True, eq=False)
        class Likeness(Result):
            kind: ClassVar[str] = "likeness"
            value: float
            metadata: dict[str, Any]
            stacks: ClassVar[tuple[str, ...]] = ()

            def to_dataframe(self) -> Any:
                return None

            def plot(self, ax: Any = None) -> Any:
                return None

        return Likeness

    define()
    newest = define()  # as a cell of a notebook that is run twice
    newest(0.5, {}).save(tmp_path / "a.json")  # type: ignore[call-arg]
    assert type(ap.load(tmp_path / "a.json")) is newest


def test_a_users_class_takes_no_kind_of_ours() -> None:
    class History(Result):
        kind = "history"

    assert result_classes()["history"] is ap.History


@pytest.mark.parametrize(
    "tokenizer",
    [
        WordTokenizer(["a", "b"]),
        CharacterTokenizer("abc"),
        SubwordTokenizer.train(["the cat"], vocab_size=262),
        NumberTokenizer(),
    ],
    ids=repr,
)
def test_tokenizers(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer")
    assert ap.load(tmp_path / "tokenizer") == tokenizer


def test_tokenizers_of_hugging_face(tmp_path: Path) -> None:
    tokenizer = SubwordTokenizer.train(["the cat"], vocab_size=262)
    tokenizer._tokenizer.save(str(tmp_path / "tokenizer.json"), pretty=False)
    assert ap.load(tmp_path / "tokenizer.json") == tokenizer


@pytest.mark.parametrize(
    "made",
    [made_history, lambda: WordTokenizer(["a"]), lambda: SubwordTokenizer.train(["a"], vocab_size=260)],
    ids=["result", "tokenizer", "tokenizer of Hugging Face"],
)
def test_json_is_parsed_once(made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    def counted(text: Any) -> Any:
        parsed.append(text)
        return parse(text)

    parse = documents.parse
    made().save(tmp_path / "a.json")
    monkeypatch.setattr(documents, "parse", counted)
    assert ap.load(tmp_path / "a.json") == made()
    assert len(parsed) == 1


# Anything else


def cut(path: Path) -> None:
    small().save(path)
    path.write_bytes(path.read_bytes()[:-9])


def other_version(path: Path) -> None:
    path.write_text(json.dumps({**made_history().to_dict(), "format": 99}))


def torch_like(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    path.with_suffix(".npz").rename(path)


OTHERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty file": (Path.touch, "is an empty file"),
    "safetensors": (
        lambda path: save_file({"a": np.zeros(2)}, path),
        "is a safetensors file of something else, expected one of format 'admin-py model', 'admin-py ch",
    ),
    "safetensors of PyTorch": (
        lambda path: save_file({"a": np.zeros(2)}, path, metadata={"format": "pt"}),
        "is a safetensors file of format 'pt', expected",
    ),
    "cut off": (cut, "is cut off or not a safetensors file"),
    "JSON": (lambda path: path.write_text('{"a": 1}'), "is JSON without a kind, expected one of attention"),
    "a list": (lambda path: path.write_text("[1, 2]"), "is JSON without a kind"),
    "another kind": (
        lambda path: path.write_text('{"kind": "cat"}'),
        "is JSON of kind 'cat', expected one of",
    ),
    "a key twice": (
        lambda path: path.write_text('{"a": 1, "a": 2}'),
        r"is JSON that is not read: at \$: the key",
    ),
    "no UTF-8": (
        lambda path: path.write_bytes(b'{"a": "\xff"}'),
        "is cut off or not JSON: not UTF-8 at byte 7",
    ),
    "a result that was edited": (
        lambda path: path.write_bytes(documents.sealed({"a": 1}).replace(b"1", b"2", 1)),
        "is damaged: its digest does not fit",
    ),
    "no name of a kind": (lambda path: path.write_text('{"kind": [1]}'), r"is JSON of kind \[1\]"),
    "half JSON": (lambda path: path.write_text('{"kind": "hist'), "is cut off or not JSON"),
    "deep JSON": (lambda path: path.write_text("[" * 10**6), "is cut off or not JSON"),
    "another layout": (other_version, "layout 99 is not 1"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps([1])), "is a pickle, which may run any code"),
    "joblib": (lambda path: joblib.dump(np.zeros(3), path), "is a pickle"),
    "npy": (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"), r"is an array of NumPy \(\.npy\)"),
    "npz": (torch_like, "is a zip archive"),
    "gzip": (lambda path: path.write_bytes(b"\x1f\x8b\x08\x00"), "is compressed with gzip"),
    "text": (lambda path: path.write_text("Grüße\n" * 300, encoding="utf-8"), "is text"),
    "bytes": (lambda path: path.write_bytes(b"\xff\xfe" * 300), "is not of a kind that is known here"),
    "a study's header elsewhere": (
        lambda path: path.write_text('{"kind": "study"}'),
        r"is the file study\.json of a study under another name",
    ),
    "a grid's header elsewhere": (
        lambda path: path.write_text('{"kind": "grid"}'),
        r"is the file grid\.json of a grid under another name",
    ),
    "a pipe": (os.mkfifo, "is neither a file nor a folder"),
    "an empty folder": (Path.mkdir, "is an empty folder"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_anything_else_is_named(case: str, tmp_path: Path) -> None:
    make, words = OTHERS[case]
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(ValueError, match=f"thing' {words}" if case != "another layout" else words) as caught:
        ap.load(path)
    assert "thing" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_of_other_things_says_what_it_holds(tmp_path: Path) -> None:
    for i in range(8):
        (tmp_path / f"{i}.txt").touch()
    words = r"without any of study\.json, .*, trained\.json; it holds 0\.txt, .*5\.txt and 2 more"
    with pytest.raises(ValueError, match=words):
        ap.load(tmp_path)


def test_a_training_that_was_killed_names_its_checkpoint(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copy(folders["train"] / "checkpoint.safetensors", tmp_path)
    with pytest.raises(
        ValueError, match=r"it holds checkpoint\.safetensors\. Files are opened one at a time"
    ):
        ap.load(tmp_path)
    assert isinstance(ap.load(tmp_path / "checkpoint.safetensors"), ap.Transformer)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*nowhere'"):
        ap.load(tmp_path / "nowhere")
    for bad in (3, None, ["a"]):
        with pytest.raises(TypeError, match="path must be a path, got"):
            ap.load(bad)  # type: ignore[arg-type]


def test_python_m_admin_py() -> None:
    command = [sys.executable, "-m", "admin_py", "--version"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == f"admin-py {ap.__version__}\n"
