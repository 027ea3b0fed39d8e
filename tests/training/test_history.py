"""The history of a training: what it keeps, how it grows, its files, table and picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admin_py as ap
from admin_py.training.history import STEP_COLUMNS
from admin_py.training.recorder import Column, Recorder


def recorded(steps: int = 5) -> Recorder:
    """Numbers that tell steps and columns apart, with one loss that is not finite at the end."""
    recorder = Recorder()
    for step in range(1, steps + 1):
        values: dict[str, Any] = {name: step + 0.1 * i for i, name in enumerate(STEP_COLUMNS)}
        recorder.add_step(**values | {"tokens": 10 * step, "seconds": 0.5})
        if step % 2 == 0:
            recorder.add_validation(nll=step / 3, loss=step / 7)
            recorder.add_observation(step, {"encoder": {"omega": np.full(4, step)}})
    recorder.diverged_at, recorder.diverged_because = steps, "the loss is nan"
    return recorder


def test_arrays_by_step_hold_what_was_recorded() -> None:
    history = recorded().freeze({"seed": 1})
    assert history.num_steps == 5
    np.testing.assert_array_equal(history.steps, [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(history.loss, [1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(history.tokens, [10, 20, 30, 40, 50])
    assert history.tokens.dtype == np.int64
    np.testing.assert_array_equal(history.valid["step"], [2, 4])
    np.testing.assert_array_equal(history.valid["nll"], [2 / 3, 4 / 3])
    np.testing.assert_array_equal(history.observations["step"], [2, 4])
    assert history.observations["encoder"]["omega"].tolist() == [[2.0] * 4, [4.0] * 4]
    assert history.tokens_per_second == 150 / 2.5
    assert history.metadata["seed"] == 1


def test_a_history_does_not_change() -> None:
    recorder = recorded()
    history = recorder.freeze()
    with pytest.raises(dataclasses.FrozenInstanceError):
        history.loss = np.zeros(5)  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        history.nll[0] = 0.0
    with pytest.raises(TypeError):
        history.valid["nll"] = np.zeros(2)  # type: ignore[index]
    recorder.add_step(**dict.fromkeys(STEP_COLUMNS, 9))
    assert history.num_steps == 5


def test_a_recorder_goes_on_from_the_arrays_of_another() -> None:
    whole, half = recorded(6), recorded(3)
    later = Recorder(half.arrays())
    for step in range(4, 7):
        later.add_step(**{name: getattr(whole, name)[step - 1] for name in STEP_COLUMNS})
        if step % 2 == 0:
            later.add_validation(nll=step / 3, loss=step / 7)
            later.add_observation(step, {"encoder": {"omega": np.full(4, step)}})
    later.diverged_at, later.diverged_because = whole.diverged_at, whole.diverged_because
    assert later.freeze() == whole.freeze()


def test_what_else_is_monitored_is_the_same_at_every_validation(tmp_path: Path) -> None:
    recorder = Recorder()
    for step in (1, 2):
        recorder.add_step(**dict.fromkeys(STEP_COLUMNS, 1))
        recorder.add_validation(nll=1.0, loss=2.0, bleu=10.0 * step)
    recorder.add_step(**dict.fromkeys(STEP_COLUMNS, 1))
    for wrong in ({}, {"chrf": 1.0}, {"bleu": 1.0, "chrf": 1.0}):
        with pytest.raises(ValueError, match="monitored must be as before, step, nll, loss, bleu, got step"):
            recorder.add_validation(nll=1.0, loss=2.0, **wrong)
    with pytest.raises(TypeError, match="bleu must be a number, got 'a'"):
        recorder.add_validation(nll=1.0, loss=2.0, bleu="a")  # type: ignore[arg-type]
    history = recorder.freeze()
    assert history.valid["bleu"].tolist() == [10.0, 20.0]
    assert Recorder(recorder.arrays()).freeze() == history
    history.save(tmp_path / "history.json")
    assert ap.History.load(tmp_path / "history.json") == history
    table = history.to_dataframe()
    assert list(table.columns)[-3:] == ["valid_nll", "valid_loss", "valid_bleu"]
    assert table["valid_bleu"].tolist()[:2] == [10.0, 20.0]


def test_a_column_of_a_validation_of_another_length_is_refused() -> None:
    data = recorded().freeze().to_dict()
    data["valid"]["bleu"] = {"__array__": "float64", "shape": [1], "data": [1.0]}
    with pytest.raises(ValueError, match=r"valid\['bleu'\] must be an array float64 \[2\]"):
        ap.History.from_dict(data)


def test_a_column_grows_past_its_room_and_its_views_stay() -> None:
    column = Column(np.float64)
    for i in range(100):
        column.append([i, -i])
        if i == 9:
            early = column.values
    assert early.tolist() == [[i, -i] for i in range(10)]
    assert column.values.tolist() == [[i, -i] for i in range(100)]
    assert not column.values.flags.writeable


def test_files_give_back_the_same_bits(tmp_path: Any) -> None:
    recorder = recorded()
    recorder.add_step(**dict.fromkeys(STEP_COLUMNS, 1) | {"loss": np.nan, "nll": np.inf, "lr": 1 / 3})
    history = recorder.freeze({"seed": 2, "versions": {"numpy": "2"}})
    history.save(tmp_path / "history.json")
    again = ap.History.load(tmp_path / "history.json")
    assert again == history
    assert np.isnan(again.loss[-1])
    assert again.nll[-1] == np.inf


@pytest.mark.parametrize("keep", [0, 1, 100, 400])
def test_a_file_cut_off_is_an_error_that_names_it(tmp_path: Any, keep: int) -> None:
    path = tmp_path / "history.json"
    recorded().freeze().save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"history\.json"):
        ap.History.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nll": np.zeros(4)}, "nll must be an array float64"),
        ({"tokens": np.zeros(5)}, "tokens must be an array int64"),
        ({"valid": {"step": np.array([1])}}, "valid must map"),
        (
            {"valid": {"step": np.array([6]), "nll": np.zeros(1), "loss": np.zeros(1)}},
            "must be from 1 to 5, got 6 to 6",
        ),
        ({"observations": {}}, "observations must be a mapping"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(recorded().freeze(), **change)


def test_a_step_needs_all_its_numbers() -> None:
    with pytest.raises(ValueError, match="loss, nll, lr"):
        Recorder().add_step(loss=1.0)


def test_the_table_has_a_row_a_step_and_gaps_where_nothing_was_validated() -> None:
    table = recorded().freeze().to_dataframe()
    assert table["step"].tolist() == [1, 2, 3, 4, 5]
    assert table["valid_nll"].isna().tolist() == [True, False, True, False, True]
    assert table["valid_loss"][3] == 4 / 7
    assert table.columns.tolist() == ["step", *STEP_COLUMNS, "valid_nll", "valid_loss"]


def test_what_is_printed_says_how_it_ended() -> None:
    text = repr(recorded().freeze())
    assert "5 steps" in text
    assert "diverged at step 5: the loss is nan" in text
    assert "validation nll 1.333 at step 4" in text
    assert "<table" in recorded().freeze()._repr_html_()


@pytest.mark.parametrize("grown", [True, False])
def test_the_picture_shows_both_losses(grown: bool) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    _, ax = pyplot.subplots()
    recorder = recorded()
    assert (recorder if grown else recorder.freeze()).plot(ax) is ax
    train, valid = ax.get_lines()[:2]
    np.testing.assert_array_equal(train.get_ydata(), recorder.nll)
    np.testing.assert_array_equal(valid.get_xdata(), [2, 4])
    pyplot.close("all")


def test_norms_of_matrices_are_kept_with_their_names(tmp_path: Path) -> None:
    recorder, names = recorded(), ("embedding.weight", "output.weight")
    assert "matrices" not in recorder.observations
    fresh = Recorder()
    for step in (1, 2):
        fresh.add_observation(step, {"matrices": {"norm": np.array([step, 0.5])}}, matrices=names)
    history = fresh.freeze()
    assert history.observations["matrices"]["names"] == names
    assert history.observations["matrices"]["norm"].tolist() == [[1.0, 0.5], [2.0, 0.5]]
    history.save(tmp_path / "history.json")
    assert ap.History.load(tmp_path / "history.json") == history
    assert "names" not in fresh.arrays()["observations"]["matrices"], "arrays alone, for a checkpoint"
    again = Recorder(fresh.arrays(), matrices=names)
    again.add_observation(3, {"matrices": {"norm": np.array([3, 0.5])}}, matrices=names)
    assert again.observations["matrices"]["norm"].shape == (3, 2)
    assert again.observations["matrices"]["names"] == names
