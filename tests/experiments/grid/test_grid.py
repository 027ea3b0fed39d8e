"""Grids: the cells of a cross, what they keep, that they go on after a stop, and what they refuse."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import admin_py as ap
from admin_py.experiments.grid import presets as grid_presets
from admin_py.experiments.grid.axes import AXES, plan_jobs
from admin_py.experiments.grid.cell import GridCell
from admin_py.experiments.grid.grid import DEFAULTS, SIZES
from admin_py.experiments.grid.results import Grid
from admin_py.experiments.grid.train_cell import run_cell
from admin_py.experiments.outcomes import BLIND, DIVERGED, STUCK, TRAINS
from admin_py.experiments.settings import check_training
from admin_py.schemes import Residual, Scale, Scheme

SMALL: dict[str, Any] = {
    "layers": 1,
    "d_model": 8,
    "d_ff": 16,
    "heads": 2,
    "steps": 3,
    "max_tokens": 128,
    "progress": False,
}
DATA = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)


def jobs_of(data: ap.data.Dataset = DATA, **axes: Any) -> list[Any]:
    """The jobs of a small grid."""
    options = {**DEFAULTS, **SMALL, **axes}
    training = check_training(data, options)
    own = {name: options[name] for name in SIZES}
    own["dropout"] = training["dropout"]
    return plan_jobs(data, {axis: options[axis] for axis in AXES}, own, training)


@pytest.fixture(scope="module")
def small() -> Grid:
    return ap.grid(DATA, scheme=("post_ln", "admin"), lr=(1e-3, 1e-2), seed=(1, 2), **SMALL)


def test_every_cell_of_the_cross_is_trained_once_the_last_axis_fastest(small: Grid) -> None:
    found = [(cell.scheme, cell.lr, cell.seed) for cell in small.cells]
    assert found == list(itertools.product(("post_ln", "admin"), (1e-3, 1e-2), (1, 2)))
    assert not small.interrupted
    assert small.varying == ("lr", "scheme")
    for cell in small.cells:
        assert (cell.layers, cell.beta2, cell.warmup, cell.optimizer) == (1, 0.98, 100, "adam")
        assert cell.history.num_steps == 3
        assert cell.history.valid["step"][-1] == 3
        assert math.isfinite(cell.valid_nll)
        assert cell.seconds == cell.history.seconds.sum()


def test_a_cell_is_the_run_of_a_study(small: Grid) -> None:
    run = ap.study(DATA, schemes=("admin",), seeds=(2,), lr=1e-2, samples=0, **SMALL).runs[0]
    cell = small.select(scheme="admin", lr=1e-2, seed=2).cells[0]
    np.testing.assert_array_equal(cell.history.loss, run.history.loss)
    np.testing.assert_array_equal(cell.history.valid["nll"], run.history.valid["nll"])
    assert (cell.train_nll, cell.valid_nll) == (run.train_nll, run.valid_nll)
    assert cell.num_parameters == run.num_parameters


def test_depths_hybrids_and_optimisers() -> None:
    found = ap.grid(
        DATA,
        scheme=("post_ln/pre_ln", ("admin", "pre_ln")),
        optimizer=("sgd", ap.RAdam, lambda lr: ap.AdamW(lr, weight_decay=0.5)),
        **{**SMALL, "layers": [2, (2, 1)], "steps": 1},
    )
    assert found.values("scheme") == ("post_ln/pre_ln", "admin/pre_ln")
    assert found.values("encoder") == ("post_ln", "admin")
    assert found.values("decoder") == ("pre_ln",)
    assert found.values("layers") == (2, (2, 1))
    names = found.values("optimizer")
    assert names[:2] == ("sgd", "RAdam")
    assert names[2].startswith("AdamW(")
    assert "weight_decay=0.5" in names[2]
    assert found.values("beta2") == (None, 0.999)
    assert found.varying == ("layers", "optimizer", "scheme")
    config = found.select(layers=(2, 1)).cells[0].setup["config"]
    assert (config["encoder_layers"], config["decoder_layers"]) == (2, 1)
    assert set(found.to_dataframe()["layers"]) == {2, "2-1"}


def test_what_has_no_beta2_is_trained_once() -> None:
    found = [
        (job.values["optimizer"], job.values["beta2"])
        for job in jobs_of(optimizer=("sgd", "adam", "novograd"), beta2=(0.9, 0.99), scheme="admin")
    ]
    assert sorted(found, key=str) == sorted(
        [("sgd", None), ("adam", 0.9), ("adam", 0.99), ("novograd", 0.9), ("novograd", 0.99)], key=str
    )


def test_beta2_reaches_the_optimiser() -> None:
    made = [
        job.new_optimizer()
        for job in jobs_of(beta2=(0.9, 0.99), optimizer=("adam", ap.RAdam), scheme="admin")
    ]
    assert sorted((one.kind, *one.to_dict()["betas"]) for one in made) == [
        ("adam", 0.9, 0.9),
        ("adam", 0.9, 0.99),
        ("radam", 0.9, 0.9),
        ("radam", 0.9, 0.99),
    ]


@pytest.mark.parametrize("name", ["inverse_sqrt", "constant", "linear", "cosine"])
def test_schedules(name: str) -> None:
    cell = ap.grid(DATA, scheme="admin", schedule=name, warmup=1, lr=0.5, **SMALL).cells[0]
    schedule = ap.schedules.from_dict(cell.setup["schedule"])
    np.testing.assert_array_equal(cell.history.lr, [schedule(step) for step in (1, 2, 3)])
    assert cell.history.lr[0] == 0.5


def test_language_models(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, and the dog sat on the cat. " * 40, encoding="utf-8")
    data = ap.data.text(text, context=64)
    found = ap.grid(data, scheme=("post_ln", "admin"), out=tmp_path / "out", **{**SMALL, "layers": (1, 2)})
    assert found.values("layers") == (1, 2)
    assert found.cells[0].setup["config"]["encoder_layers"] == 0
    assert Grid.load(tmp_path / "out") == found


different = {"unique": True, "min_size": 1, "max_size": 3}


@settings(max_examples=40, deadline=None, print_blob=True)
@given(
    scheme=st.lists(
        st.sampled_from(["post_ln", "pre_ln", "admin", "post_ln/pre_ln", "deepnorm"]), **different
    ),
    layers=st.lists(st.one_of(st.integers(1, 2), st.just((1, 2)), st.just((2, 1))), **different),
    lr=st.lists(st.floats(1e-6, 10.0), **different),
    beta2=st.one_of(st.none(), st.lists(st.floats(0.0, 0.999), **different)),
    warmup=st.lists(st.integers(0, 9), **different),
    optimizer=st.lists(st.sampled_from(["adam", "sgd", "radam", "adamw", "novograd"]), **different),
    seed=st.lists(st.integers(0, 99), **different),
)
def test_the_cells_are_the_cross_of_the_axes(**axes: Any) -> None:
    jobs = jobs_of(**axes)
    betas = axes["beta2"] or [0.98]
    expected = {
        (*values[:3], None if values[5] == "sgd" else values[3], *values[4:])
        for values in itertools.product(
            axes["scheme"], axes["layers"], axes["lr"], betas, axes["warmup"], axes["optimizer"], axes["seed"]
        )
    }
    found = [tuple(job.values[axis] for axis in AXES) for job in jobs]
    assert len(found) == len(set(found)), "no cell comes twice"
    assert set(found) == expected
    assert len({job.name.lower() for job in jobs}) == len(jobs), "file names differ in any file system"
    assert all(len(job.name) < 200 and "/" not in job.name for job in jobs)
    for job in jobs[:3]:
        again = pickle.loads(pickle.dumps(job))
        assert (again.name, again.setup) == (job.name, job.setup)


# Results


def test_tables(small: Grid) -> None:
    table = small.to_dataframe()
    assert list(table["valid_nll"]) == [cell.valid_nll for cell in small.cells]
    assert {*AXES, "train_nll", "best_valid_nll", "outcome", "diverged_at", "seconds"} <= set(table.columns)
    pivot = small.pivot("lr", "scheme")
    assert list(pivot.columns) == [1e-3, 1e-2]
    assert list(pivot.index) == ["post_ln", "admin"]
    mean = np.mean([cell.valid_nll for cell in small.cells if (cell.scheme, cell.lr) == ("admin", 1e-2)])
    assert pivot.loc["admin", 1e-2] == mean
    assert (small.table("lr", "scheme").runs == 2).all()


def test_a_pivot_never_mixes_what_is_not_a_seed(small: Grid) -> None:
    with pytest.raises(ValueError, match=r"lr varies too \(0.001, 0.01\); choose one with select\(lr="):
        small.pivot("scheme", "seed")
    with pytest.raises(ValueError, match="x must be one of"):
        small.pivot("depth", "scheme")
    with pytest.raises(ValueError, match="two axes"):
        small.pivot("lr", "lr")
    with pytest.raises(ValueError, match="value must be one of 'valid_nll'"):
        small.pivot("lr", "scheme", value="bleu")


def test_select(small: Grid) -> None:
    some = small.select(scheme=["admin"], seed=(2,))
    assert [cell.lr for cell in some.cells] == [1e-3, 1e-2]
    assert some.axes["scheme"] == ("admin",)
    assert not some.interrupted
    with pytest.raises(ValueError, match="no cell with scheme='pre_ln'"):
        small.select(scheme="pre_ln")
    with pytest.raises(ValueError, match="axis must be one of"):
        small.select(depth=1)


def test_what_is_loaded_copied_or_sent_equals_what_was_there(small: Grid, tmp_path: Path) -> None:
    small.save(tmp_path / "kept")
    assert Grid.load(tmp_path / "kept") == small
    assert Grid.from_dict(small.to_dict()) == small
    assert pickle.loads(pickle.dumps(small)) == small
    assert copy.deepcopy(small.cells[0]) == small.cells[0]
    assert not pickle.loads(pickle.dumps(small.cells[0])).history.loss.flags.writeable
    with pytest.raises(AttributeError):
        small.cells[0].lr = 1.0  # type: ignore[misc]


def test_repr(small: Grid) -> None:
    assert repr(small) == (
        "Grid(copy_task, 8 cells (2 scheme x 2 lr x 2 seed), 8 does not train within this budget)"
    )
    assert "<table" in small._repr_html_()
    assert repr(small.cells[0]).startswith(
        "GridCell(post_ln, layers 1, lr 0.001, beta2 0.98, warmup 100, adam"
    )


def test_divergence_is_a_result_with_its_step_and_its_tensor(tmp_path: Path) -> None:
    found = ap.grid(
        DATA, scheme=("post_ln", "pre_ln"), lr=(1e-3, 1e30), warmup=0, optimizer="sgd", out=tmp_path, **SMALL
    )
    for cell in found.select(lr=1e30).cells:
        assert cell.outcome == DIVERGED
        assert cell.diverged_at == cell.history.num_steps
        assert "not finite" in str(cell.diverged_because)
        assert math.isnan(cell.valid_nll)
        assert f"diverged at step {cell.diverged_at}" in repr(cell)
    table = found.table("lr", "scheme")
    assert table.diverged.tolist() == [[0, 1], [0, 1]]
    assert np.isnan(table.mean[:, 1]).all()
    assert (table.diverged_at[:, 1] > 0).all()
    assert (table.diverged_at[:, 0] == 0).all()
    assert Grid.load(tmp_path) == found


def test_outcomes_say_no_more_than_the_numbers(small: Grid) -> None:
    cell = small.cells[0]
    assert cell.outcome == STUCK, "three steps teach nothing"
    assert replace(cell, entropy=10.0).outcome == BLIND
    assert replace(cell, entropy=10.0, other_source_nll=2 * cell.valid_nll).outcome == TRAINS
    assert replace(cell, entropy=10.0, other_source_nll=None).outcome == TRAINS, "nobody asked"
    assert "diverged" not in repr(cell)


# The folder


def test_whole_cells_are_not_trained_again_and_axes_may_grow(tmp_path: Path, monkeypatch) -> None:
    trained = []

    def counted(job: Any, *arguments: Any) -> GridCell:
        trained.append(job.name)
        return run_cell(job, *arguments)

    monkeypatch.setattr("admin_py.experiments.grid.workers.run_cell", counted)
    first = ap.grid(DATA, scheme="post_ln", lr=(1e-3, 1e-2), out=tmp_path, **SMALL)
    assert len(trained) == 2
    again = ap.grid(DATA, scheme="post_ln", lr=(1e-3, 1e-2), out=tmp_path, **SMALL)
    assert len(trained) == 2
    assert again == first
    more = ap.grid(DATA, scheme=("post_ln", "admin"), lr=(1e-2, 1e-1), out=tmp_path, **SMALL)
    assert len(trained) == 5
    assert [(cell.scheme, cell.lr) for cell in more.cells] == [
        ("post_ln", 1e-3),
        ("post_ln", 1e-2),
        ("post_ln", 1e-1),
        ("admin", 1e-2),
        ("admin", 1e-1),
    ]
    assert not more.interrupted, "what the last call asked for is there"
    assert more.cells[0] == first.cells[0]
    (tmp_path / "cells" / f"{trained[-1]}.json").unlink()
    assert Grid.load(tmp_path).interrupted
    assert "1 not run yet" in repr(Grid.load(tmp_path))


def growing(step: float) -> Scheme:
    """A scheme of a user's own, of one name and several rules."""

    def rule(site: ap.Site) -> Residual:
        return Residual(norm_post="layer", omega=Scale("scalar", 1.0 + step * site.layer))

    return Scheme("growing skip", rule, "this test")


def test_a_folder_of_another_grid_is_refused(tmp_path: Path) -> None:
    options = {**SMALL, "layers": 2, "out": tmp_path}
    ap.grid(DATA, scheme=growing(0.5), **options)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    with pytest.raises(ValueError, match=r"out: .* holds a grid with steps 3, not 4"):
        ap.grid(DATA, scheme="admin", **{**options, "steps": 4})
    with pytest.raises(ValueError, match=r"out: .* holds a grid with schedule 'inverse_sqrt', not 'cosine'"):
        ap.grid(DATA, scheme="admin", schedule="cosine", warmup=0, **options)
    other = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6, seed=1)
    with pytest.raises(ValueError, match=r"out: .* holds a grid of other data"):
        ap.grid(other, scheme="admin", **options)
    with pytest.raises(ValueError, match=r"the scheme of 'growing skip, .* was another one"):
        ap.grid(DATA, scheme=growing(0.25), **options)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


@pytest.mark.parametrize("name", ["grid.json", "cells/*.json"])
def test_a_damaged_file_is_named(small: Grid, tmp_path: Path, name: str) -> None:
    small.save(tmp_path)
    path = next(tmp_path.glob(name))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=path.stem):
        Grid.load(tmp_path)


def test_a_folder_without_a_grid_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Grid.load(tmp_path)


# Bad input


class Own(ap.Adam):
    """An optimiser of a user's own."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": ()}, "scheme must have at least one value"),
        ({"scheme": ("admin", "admin")}, "scheme must have values that are all different, got 'admin' twice"),
        ({"scheme": ("admin", ("admin", "admin"))}, "'admin' twice"),
        ({"scheme": "admni"}, "did you mean 'admin'"),
        ({"scheme": [3]}, "scheme must be a name"),
        ({"scheme": {"admin", "post_ln"}}, "scheme must be one value or a sequence"),
        ({"layers": 0}, "layers must be an integer from 1"),
        ({"layers": [1, 1.5]}, "layers must be an integer"),
        ({"layers": [(1, 2, 3)]}, "layers must be one number or two"),
        ({"layers": [1, (1, 1)]}, "layers must have values that are all different, got 1 twice"),
        ({"lr": []}, "lr must have at least one value"),
        ({"lr": (1e-3, 0.0)}, "lr must be positive"),
        ({"lr": "fast"}, "lr must be a number"),
        ({"lr": (1e-3, math.nan)}, "lr must be a finite number"),
        ({"lr": (1e-3, 1e-3)}, "lr must have values that are all different, got 0.001 twice"),
        ({"beta2": (0.9, 1.0)}, r"beta2 must be in \[0, 1\)"),
        ({"beta2": (0.9, None)}, "beta2 must be a number"),
        ({"beta2": 0.9, "optimizer": Own}, "beta2 cannot be set for the optimizer 'Own'"),
        ({"warmup": (10, -1)}, "warmup must be an integer from 0"),
        ({"warmup": 3, "schedule": "linear"}, "steps must be more than the warm-up's 3"),
        ({"optimizer": "adagrad"}, "optimizer must be one of 'adam'"),
        ({"optimizer": (ap.Adam, ap.Adam)}, "got 'Adam' twice"),
        ({"optimizer": 3}, "optimizer must be a name"),
        ({"optimizer": lambda: None}, "optimizer must be a callable that takes lr="),
        ({"optimizer": lambda lr: lr}, "optimizer must return an optimiser"),
        ({"seed": (1, -1)}, "seed must be an integer from 0"),
        ({"seed": (1, 2.0)}, "seed must be an integer"),
        ({"heads": 3}, "heads must divide d_model"),
        ({"steps": 0}, "steps must be an integer from 1"),
        ({"dropout": 1.0}, "dropout must be a probability"),
        ({"clip_norm": 0.0}, "clip_norm must be above 0"),
        ({"schedule": "exponential"}, "schedule must be one of"),
        ({"dtype": "float16"}, "dtype must be one of"),
        ({"max_tokens": 2}, "max_tokens"),
        ({"preset": "all"}, "preset must be one of 'lr_beta2'"),
        ({"workers": 0}, "workers must be an integer from 1"),
        ({"threads": 0}, "threads must be an integer from 1"),
        ({"executor": 3}, r"executor must have submit\(function, \*arguments\), got 3"),
        ({"executor": 3, "workers": 2}, "executor or workers, not both"),
        ({"progress": 1}, "progress must be True or False"),
    ],
)
def test_bad_arguments_are_one_clear_error_before_anything_is_trained_or_written(
    tmp_path: Path, monkeypatch, options, message
) -> None:
    monkeypatch.setattr(
        "admin_py.experiments.grid.workers.run_cell", lambda *_: pytest.fail("a cell was trained")
    )
    with pytest.raises((ValueError, TypeError), match=message):
        ap.grid(DATA, **{**SMALL, "scheme": "admin", "out": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


def test_an_optimiser_of_ones_own_class_is_used() -> None:
    cell = ap.grid(DATA, scheme="admin", optimizer=Own, **SMALL).cells[0]
    assert cell.optimizer == "Own"
    assert isinstance(jobs_of(scheme="admin", optimizer=Own)[0].new_optimizer(), Own)


@pytest.mark.parametrize("name", grid_presets.names())
def test_presets_are_grids_and_what_is_given_goes_before_them(name: str) -> None:
    options = grid_presets.get(name).options
    assert (
        8 <= len(jobs_of(ap.data.number_words(train=100, valid=10), **{**options, "max_tokens": 512})) <= 48
    )
    found = ap.grid(DATA, preset=name, **{**SMALL, "steps": 1}, scheme="admin", lr=1e-3, seed=1)
    assert found.values("scheme") == ("admin",)
    assert found.settings["steps"] == 1
    varied = {"lr_beta2": "beta2", "optimisers": "optimizer"}.get(name)
    if varied is not None:
        assert found.values(varied) == options[varied]
    assert grid_presets.get(name).summary
    assert grid_presets.get(name).paper
