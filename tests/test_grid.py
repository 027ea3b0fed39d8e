"""Grids: the cells of a cross, the same wherever they run, kept when whole, gone on with after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import admin_py as ap
from admin_py.grid_presets import PRESETS
from admin_py.outcomes import DIVERGED

SIZES = {"layers": 1, "d_model": 8, "d_ff": 16, "heads": 2, "steps": 3, "max_tokens": 128, "progress": False}


@pytest.fixture(scope="module")
def data():
    return ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)


@pytest.fixture(scope="module")
def serial(data) -> ap.Grid:
    return ap.grid(data, scheme=("post_ln", "admin"), lr=(1e-3, 1e-2), seed=(1, 2), **SIZES)


def same_cells(one: ap.Grid, other: ap.Grid) -> bool:
    return len(one.cells) == len(other.cells) and all(
        mine.same_numbers(theirs) for mine, theirs in zip(one.cells, other.cells, strict=True)
    )


def test_a_cell_for_every_combination_in_order(serial: ap.Grid) -> None:
    found = [(cell.scheme, cell.lr, cell.seed) for cell in serial.cells]
    assert found == list(product(("post_ln", "admin"), (1e-3, 1e-2), (1, 2)))
    assert not serial.interrupted
    table = serial.to_dataframe()
    assert len(table) == 8
    assert {"scheme", "lr", "valid_nll", "outcome", "diverged_at"} <= set(table.columns)


def test_a_cell_is_the_training_that_train_does(serial: ap.Grid, data) -> None:
    cell = serial.select(scheme="admin", lr=1e-2, seed=2).cells[0]
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16,
        scheme="admin", dropout=0.1, max_length=cell.setup["config"]["max_length"],
    )  # fmt: skip
    model = ap.Transformer(config, seed=2)
    model.profile(next(data.batches(max_tokens=128, seed=2)), seed=2)
    history = ap.train(
        model,
        data,
        optimizer=ap.Adam(1e-2, betas=(0.9, 0.98), eps=1e-9),
        schedule=ap.schedules.inverse_sqrt(lr=1e-2, warmup=100),
        steps=3,
        max_tokens=128,
        valid_every=1,
        progress=False,
    )
    np.testing.assert_array_equal(cell.history.loss, history.loss)
    np.testing.assert_array_equal(cell.history.valid["nll"], history.valid["nll"])


def test_the_table_of_two_axes_holds_means_over_seeds(serial: ap.Grid) -> None:
    found = serial.pivot("lr", "scheme")
    cells = serial.select(scheme="post_ln", lr=1e-2).cells
    assert found.loc["post_ln", 1e-2] == pytest.approx(np.mean([cell.valid_nll for cell in cells]))
    with pytest.raises(ValueError, match="scheme varies too"):
        serial.pivot("lr", "layers")
    with pytest.raises(ValueError, match="two axes"):
        serial.pivot("lr", "lr")


def test_processes_and_threads_give_the_same_bits(serial: ap.Grid, data, tmp_path: Path) -> None:
    axes = {"scheme": ("post_ln", "admin"), "lr": (1e-3, 1e-2), "seed": (1, 2)}
    assert same_cells(ap.grid(data, workers=2, out=tmp_path, **axes, **SIZES), serial)
    with ThreadPoolExecutor(1) as executor:
        assert same_cells(ap.grid(data, executor=executor, **axes, **SIZES), serial)


@pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is not installed")
@pytest.mark.filterwarnings("ignore")
def test_dask_runs_cells(serial: ap.Grid, data) -> None:
    from distributed import Client

    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        executor = client.get_executor()
        found = ap.grid(data, scheme="post_ln", lr=1e-3, seed=(1, 2), executor=executor, **SIZES)
    assert same_cells(found, serial.select(scheme="post_ln", lr=1e-3))


def test_a_folder_is_gone_on_with_and_may_grow(data, tmp_path: Path, capsys) -> None:
    first = ap.grid(data, scheme="post_ln", lr=(1e-3,), out=tmp_path, **SIZES)
    file = next((tmp_path / "cells").iterdir())
    written = file.stat().st_mtime_ns
    grown = ap.grid(data, scheme="post_ln", lr=(1e-3, 1e-2), out=tmp_path, **{**SIZES, "progress": True})
    assert file.stat().st_mtime_ns == written
    assert "1 of 2 cells are there already" in capsys.readouterr().err
    assert len(grown.cells) == 2
    assert grown.cells[0] == first.cells[0]
    assert ap.Grid.load(tmp_path) == grown
    with pytest.raises(ValueError, match="steps 3, not 4"):
        ap.grid(data, scheme="post_ln", out=tmp_path, **{**SIZES, "steps": 4})
    with pytest.raises(ValueError, match="other data"):
        ap.grid(ap.data.number_words(train=100, valid=10), out=tmp_path, **SIZES)


KILLED = """
import sys
import admin_py as ap
data = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
ap.grid(data, scheme="post_ln", seed=range(1, 41), layers=2, d_model=16, d_ff=32, heads=2, steps=40,
        max_tokens=128, out=sys.argv[1])
"""


def test_a_killed_grid_goes_on(tmp_path: Path) -> None:
    """SIGKILL in the middle: the cells that were whole are not run again, the others come out as ever."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the first cell is whole
        process.send_signal(signal.SIGKILL)
        process.wait()
    cells = list((tmp_path / "killed" / "cells").glob("*.json"))
    assert 1 <= len(cells) < 40
    before = {path: path.stat().st_mtime_ns for path in cells}
    half = ap.Grid.load(tmp_path / "killed")
    assert half.interrupted
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True)
    assert "cells are there already" in done.stderr
    whole = ap.Grid.load(tmp_path / "killed")
    assert len(whole.cells) == 40
    assert not whole.interrupted
    assert {path: path.stat().st_mtime_ns for path in cells} == before


def test_divergence_is_a_result_that_is_marked(data) -> None:
    found = ap.grid(
        data, scheme="post_ln", optimizer="sgd", lr=(1e-3, 1e30), warmup=0, schedule="constant", **SIZES
    )
    lost = found.select(lr=1e30).cells[0]
    assert lost.outcome == DIVERGED
    assert lost.diverged_at is not None
    assert np.isnan(lost.valid_nll)
    ax = found.plot("lr", "scheme")
    shown = [text.get_text() for text in ax.texts]
    assert any(str(lost.diverged_at) in text and "\u00d7" in text for text in shown), shown
    assert len({patch.get_hatch() for patch in ax.patches}) == 2
    assert "learning rate" in ax.get_xlabel()
    table = found.table("lr", "scheme")
    np.testing.assert_array_equal(table.diverged, [[0, 1]])


def test_panels_share_one_scale(serial: ap.Grid) -> None:
    axes = serial.plot_panels("scheme", "lr", "layers")
    assert [ax.get_title(loc="left") or ax.get_title() for ax in axes] == ["Post-LN", "Admin"]
    assert len(axes[0].patches) == len(axes[1].patches) == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"lr": ()}, ValueError, "lr must have at least one value"),
        ({"lr": (1e-3, 1e-3)}, ValueError, "lr must have values that are all different"),
        ({"lr": -1.0}, ValueError, "lr"),
        ({"scheme": "no_such"}, ValueError, "no_such"),
        ({"optimizer": "adagrad"}, ValueError, "optimizer"),
        ({"optimizer": 3}, TypeError, "optimizer"),
        ({"beta2": 1.0}, ValueError, "beta2"),
        ({"seed": -1}, ValueError, "seed"),
        ({"preset": "none such"}, ValueError, "preset"),
        ({"workers": 0}, ValueError, "workers"),
        ({"schedule": "steps"}, ValueError, "schedule"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(
    data, tmp_path: Path, options: dict, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        ap.grid(data, out=tmp_path / "grid", **{**SIZES, **options})
    assert not (tmp_path / "grid").exists()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_grids_whose_arguments_can_be_replaced(name: str, data) -> None:
    chosen = PRESETS[name]
    assert chosen.summary
    assert chosen.paper
    found = ap.grid(data, preset=name, lr=1e-3, seed=3, **SIZES)
    assert {cell.seed for cell in found.cells} == {3}
    assert {cell.history.num_steps for cell in found.cells} == {3}
    varied = {"lr_beta2": "beta2", "optimisers": "optimizer", "hybrids": "scheme", "depth": "scheme"}[name]
    assert len(found.values(varied)) == len(chosen.options[varied])


@given(
    lrs=st.lists(st.sampled_from((1e-4, 1e-3, 1e-2)), min_size=1, max_size=3, unique=True),
    seeds=st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True),
    warmups=st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True),
)
@settings(max_examples=25, deadline=None)
def test_cells_are_the_cross_of_the_axes(lrs: list[float], seeds: list[int], warmups: list[int]) -> None:
    from admin_py.grid import DEFAULTS
    from admin_py.grid_axes import AXES, plan_jobs
    from admin_py.study_settings import check_training

    data = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)
    options = {**DEFAULTS, "lr": lrs, "seed": seeds, "warmup": warmups, "scheme": "admin", "layers": 1}
    training = check_training(data, options)
    sizes = {name: options[name] for name in ("d_model", "d_ff", "heads", "schedule", "dropout")}
    jobs = plan_jobs(data, {axis: options[axis] for axis in AXES}, sizes, training)
    found = [(job.values["lr"], job.values["warmup"], job.values["seed"]) for job in jobs]
    assert found == list(product(lrs, warmups, seeds))
    assert len({job.name for job in jobs}) == len(jobs)
