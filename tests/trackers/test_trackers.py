"""What trackers keep, read back with their own libraries' readers; trainings whose tracker fails."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from command import run

import admin_py as ap
from admin_py.trackers.tracker import Tracker, flat, run_name

DATA = ap.data.copy_task(train=64, valid=8)
GRID: dict[str, Any] = {
    "schemes": ["post_ln", "admin"], "layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 3,
    "max_tokens": 128, "progress": False,
}  # fmt: skip


def train(*trackers: Any, steps: int = 12, **options: Any) -> ap.History:
    config = ap.TransformerConfig(
        vocab_size=DATA.vocab_size, encoder_layers=1, decoder_layers=2, d_model=16, heads=2, d_ff=32,
        scheme="admin",
    )  # fmt: skip
    given = {
        "optimizer": "adam",
        "lr": 0.01,
        "max_tokens": 128,
        "valid_every": 4,
        "observe": 4,
        "progress": False,
    }
    return ap.train(
        ap.Transformer(config, seed=1), DATA, steps=steps, callbacks=trackers, **{**given, **options}
    )


SETTINGS = {"model.config.d_model": 16, "optimizer.kind": "adam", "steps": 12, "data.name": "copy_task"}
"""Some of the hyperparameters."""


def check_scalars(found: Mapping[str, list[tuple[int, float]]], history: ap.History) -> None:
    """Loss, norms and rates of all steps, validations, and omega at observed steps."""
    for name, column in {
        "train/nll": history.nll, "train/lr": history.lr, "train/gradient norm": history.grad_norm,
    }.items():  # fmt: skip
        steps, values = zip(*found[name], strict=True)
        assert steps == tuple(range(1, 13))
        np.testing.assert_allclose(values, column, rtol=1e-6)
    assert [step for step, _ in found["valid/nll"]] == [4, 8, 12]
    np.testing.assert_allclose([value for _, value in found["valid/nll"]], history.valid["nll"], rtol=1e-6)
    omega = history.observations["encoder"]["omega"].mean(axis=1)
    assert [step for step, _ in found["omega/encoder"]] == history.observations["step"].tolist()
    np.testing.assert_allclose([value for _, value in found["omega/encoder"]], omega, rtol=1e-6)


def test_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All within one second, after which the library names its files."""
    writers = pytest.importorskip("tensorboardX.event_file_writer")
    monkeypatch.setattr(writers, "time", SimpleNamespace(time=lambda: 1.6e9))
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = train(ap.trackers.TensorBoard(tmp_path))
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("admin-1-2-seed1-")
    events = reader.EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    check_scalars(
        {
            tag.replace("_", " "): [(one.step, one.value) for one in events.Scalars(tag)]
            for tag in tags["scalars"]
        },
        history,
    )
    assert "gradient_norm/q" in tags["histograms"]
    last = events.Histograms("gradient_norm/fc1")[-1]
    assert last.step == 12
    assert last.histogram_value.num == 3  # one matrix a layer
    assert tags["images"] == ["history"]
    train(ap.trackers.TensorBoard(tmp_path))
    assert len(list(folder.glob("events*"))) == 2
    session = next(
        event.summary
        for path in folder.glob("events*")
        for event in _events(path)
        if _is_session_start(event)
    )
    plugin = session.value[0].metadata.plugin_data.content
    told = _hparams(plugin)
    assert {name: told[name] for name in SETTINGS} == SETTINGS


def _events(path: Path) -> Iterator[Any]:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    yield from EventFileLoader(str(path)).Load()


def _is_session_start(event: Any) -> bool:
    return event.HasField("summary") and event.summary.value[0].tag == "_hparams_/session_start_info"


def _hparams(content: bytes) -> dict[str, Any]:
    from tensorboard.plugins.hparams import plugin_data_pb2

    data = plugin_data_pb2.HParamsPluginData.FromString(content)
    return {
        name: value.number_value if value.HasField("number_value") else value.string_value
        for name, value in data.session_start_info.hparams.items()
    }


def test_mlflow(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    history = train(ap.trackers.MLflow(tmp_path / "store", experiment="residuals"))
    client = mlflow.MlflowClient(tracking_uri=str(tmp_path / "store"))
    (one,) = client.search_runs([client.get_experiment_by_name("residuals").experiment_id])
    assert one.info.run_name.startswith("admin-1-2-seed1-")
    assert one.info.status == "FINISHED"
    assert {name: one.data.params[name] for name in SETTINGS} == {k: str(v) for k, v in SETTINGS.items()}
    names = ("train/nll", "train/lr", "train/gradient norm", "valid/nll", "omega/encoder")
    found = {
        name: [(m.step, m.value) for m in client.get_metric_history(one.info.run_id, name)] for name in names
    }
    check_scalars(found, history)
    assert one.data.metrics["final/valid nll"] == pytest.approx(history.valid["nll"][-1])
    assert "gradient norm/q/median" in one.data.metrics
    assert [file.path for file in client.list_artifacts(one.info.run_id)] == ["history.png"]


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    history = train(ap.trackers.WandB("residuals", folder=tmp_path))
    wandb.teardown()
    (file,) = tmp_path.rglob("*.wandb")
    found, told = _wandb_records(file)
    check_scalars(found, history)
    assert told["run"].display_name.startswith("admin-1-2-seed1-")
    config = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in told["config"]}
    assert {name: config[name] for name in SETTINGS} == SETTINGS
    assert {"gradient norm/q/values", "relative update/fc1/bins"} <= told["names"]
    assert any(name.startswith("history") for name in told["names"])


def _log(file: Path) -> Iterator[bytes]:
    """Records of a log as LevelDB writes them, in blocks of 32 KiB, behind a head of seven bytes."""
    data, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last of several
            yield parts
            parts = b""


def _wandb_records(file: Path) -> tuple[dict[str, list[tuple[int, float]]], dict[str, Any]]:
    """Numbers by name, the run, its configuration and all names, from the file that would be sent."""
    from wandb.proto import wandb_internal_pb2

    found: dict[str, list[tuple[int, float]]] = {}
    told: dict[str, Any] = {"names": set(), "config": [], "run": None}
    for data in _log(file):
        record = wandb_internal_pb2.Record.FromString(data)
        if record.HasField("run"):
            told["run"] = record.run
            told["config"] = [*told["config"], *record.run.config.update]
        if record.HasField("history"):
            rows = record.history.item
            items = {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in rows}
            step = int(items.get("_step", record.history.step.num))
            told["names"] |= set(items)
            for name, value in items.items():
                if isinstance(value, float | int):
                    found.setdefault(name, []).append((step, float(value)))
    return found, told


# Any tracker


class Noting(Tracker):
    """Keeps in memory what it is told, and fails where it is told to."""

    def __init__(self, fails_in: str = "", every: int = 1) -> None:
        super().__init__(every)
        self.fails_in = fails_in
        self.calls: list[tuple[str, Any]] = []

    def _note(self, name: str, what: Any) -> None:
        self.calls.append((name, what))
        if name == self.fails_in:
            raise ConnectionError("the server is away")

    def _open(self, name: str, settings: Mapping[str, Any]) -> Any:
        self._note("open", (name, dict(settings)))
        return name

    def _scalars(self, run: Any, values: Mapping[str, float], step: int) -> None:
        self._note("scalars", (run, dict(values), step))

    def _histograms(self, run: Any, values: Mapping[str, Any], step: int) -> None:
        self._note("histograms", (run, dict(values), step))

    def _figure(self, run: Any, name: str, figure: Any, step: int) -> None:
        self._note("figure", (run, name, step))

    def _close(self, run: Any, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        self._note("close", (run, dict(metrics)))


@pytest.mark.parametrize("where", ["open", "scalars", "histograms", "figure", "close"])
def test_a_training_goes_on_where_its_tracker_fails(where: str, capfd: pytest.CaptureFixture[str]) -> None:
    tracker = Noting(where)
    history = train(tracker)
    assert history.num_steps == 12
    assert history.nll.tolist() == train().nll.tolist()
    names = [name for name, _ in tracker.calls]
    assert names.count(where) == 1
    assert names[-1] == where, "it is left alone after that"
    said = capfd.readouterr().err
    assert (
        said.count("Noting failed, the training goes on without it: ConnectionError: the server is away") == 1
    )
    train(tracker)
    assert [name for name, _ in tracker.calls].count(where) == 2, "the next training tries again"


def test_every_says_how_often_and_validations_are_all_kept() -> None:
    tracker = Noting(every=5)
    train(tracker)
    scalars = [what for name, what in tracker.calls if name == "scalars"]
    assert [step for _, values, step in scalars if "train/nll" in values] == [5, 10]
    assert [step for _, values, step in scalars if "valid/nll" in values] == [4, 8, 12]
    with pytest.raises(ValueError, match="every must be"):
        Noting(every=0)


def test_a_training_that_diverges_is_told_to_its_end() -> None:
    tracker = Noting()
    history = train(tracker, optimizer="sgd", lr=1e30, observe=0)
    assert history.diverged_at is not None
    name, (_, metrics) = tracker.calls[-1]
    assert name == "close"
    assert metrics["final/diverged"] == 1.0


def test_one_that_goes_on_from_a_checkpoint_has_the_name_of_the_first(tmp_path: Path) -> None:
    tracker = Noting()
    for steps in (4, 12):
        train(tracker, steps=steps, checkpoint=tmp_path / "checkpoint")
    first, second = (what for name, what in tracker.calls if name == "open")
    assert first[0] == second[0]
    scalars = [what for name, what in tracker.calls if name == "scalars"]
    assert [step for _, values, step in scalars if "train/nll" in values] == list(range(1, 13))


def test_every_cell_of_a_grid_has_a_run_of_its_own() -> None:
    tracker = Noting()
    ap.grid(DATA, lr=[1e-3, 1e-2], callbacks=[tracker], **GRID)
    opened = [what[0] for name, what in tracker.calls if name == "open"]
    assert len(set(opened)) == len(opened) == 4
    tracker = Noting()
    with ThreadPoolExecutor(2) as executor:
        ap.grid(DATA, lr=[1e-3, 1e-2], callbacks=[tracker], executor=executor, **GRID)
    told = {what[0] for name, what in tracker.calls if name == "scalars"}
    assert told == set(opened)
    for run_of in opened:
        steps = [what[2] for name, what in tracker.calls if name == "scalars" and what[0] == run_of]
        assert [step for step in steps if step <= 3] == sorted(steps)


def test_trackers_go_to_other_processes(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    tracker = ap.trackers.TensorBoard(tmp_path / "board", every=2)
    again = pickle.loads(pickle.dumps(tracker))
    assert repr(again) == repr(tracker)
    ap.grid(DATA, callbacks=[tracker], workers=2, **GRID)
    assert sorted(path.name.split("-")[0] for path in (tmp_path / "board").iterdir()) == ["admin", "post_ln"]


@pytest.mark.parametrize("command", ["train", "study", "grid"])
def test_the_command(command: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    schemes = ["--scheme", "admin"] if command == "train" else ["--schemes", "admin"]
    said = run(
        command, "--task", "copy", *schemes, "--layers", "1", "--d-model", "8", "--d-ff", "16",
        "--heads", "2", "--steps", "3", "--quiet", "--out", tmp_path / "out",
        "--track", f"tensorboard:{tmp_path / 'board'}",
        *(["--workers", "1"] if command == "grid" else []),
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    (folder,) = (tmp_path / "board").iterdir()
    assert folder.name.startswith("admin-1-1-seed1-")


@pytest.mark.parametrize("text", ["tensorboard", "tensorboard:", "paper:notes", ""])
def test_what_is_no_tracker(text: str, tmp_path: Path) -> None:
    said = run("train", "--steps", "1", "--out", tmp_path / "out", "--track", text)
    assert said.returncode == 2
    assert "--track must be one of tensorboard:FOLDER, wandb:PROJECT, mlflow:STORE, got" in said.stderr


def test_names_of_runs_tell_settings_apart() -> None:
    settings = {
        "model": {
            "config": {"scheme": "post_ln/pre_ln", "encoder_layers": 6, "decoder_layers": 1},
            "seed": 3,
        },
        "optimizer": {"lr": 0.1},
    }
    assert run_name(settings).startswith("post_ln~pre_ln-6-1-seed3-")
    assert run_name({**settings, "optimizer": {"lr": 0.2}}) != run_name(settings)
    assert run_name({**settings, "steps": 9}) == run_name(settings), "it goes on"
    assert flat({"a": {"b": [1, 2], "c": None}, "d": True}) == {"a.b": "[1, 2]", "d": True}
