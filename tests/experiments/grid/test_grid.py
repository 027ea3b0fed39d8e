"""Grids: the cells of a cross, what they hold and tell, and what they refuse."""

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
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_grid import DATA, SMALL

import admin_py as ap
from admin_py.experiments.grid import presets as grid_presets
from admin_py.experiments.grid.results import Grid
from admin_py.experiments.grid.train_cell import TrainCell
from admin_py.experiments.jobs import plan_jobs
from admin_py.experiments.outcomes import BLIND, DIVERGED, STUCK, TRAINS
from admin_py.experiments.settings import ARGUMENT_OF, AXES, DEFAULTS


def jobs_of(data: ap.data.Dataset = DATA, **axes: Any) -> list[Any]:
    """The jobs of a small grid."""
    given = {**DEFAULTS, **SMALL, **axes}
    return plan_jobs(data, {name: given[name] for name in DEFAULTS})[0]


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
    run = ap.study(DATA, schemes=["admin"], seeds=[2], lr=1e-2, samples=0, **SMALL).runs[0]
    cell = small.select(scheme="admin", lr=1e-2, seed=2).cells[0]
    np.testing.assert_array_equal(cell.history.loss, run.history.loss)
    np.testing.assert_array_equal(cell.history.valid["nll"], run.history.valid["nll"])
    assert (cell.train_nll, cell.valid_nll) == (run.train_nll, run.valid_nll)
    assert cell.num_parameters == run.num_parameters


def test_depths_hybrids_and_optimisers() -> None:
    found = ap.grid(
        DATA,
        schemes=["post_ln/pre_ln", ("admin", "pre_ln")],
        optimizer=["sgd", ap.RAdam, lambda lr: ap.AdamW(lr, weight_decay=0.5)],
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
        for job in jobs_of(optimizer=["sgd", "adam", "novograd"], beta2=[0.9, 0.99], schemes="admin")
    ]
    assert sorted(found, key=str) == sorted(
        [("sgd", None), ("adam", 0.9), ("adam", 0.99), ("novograd", 0.9), ("novograd", 0.99)], key=str
    )


def test_beta2_reaches_the_optimiser() -> None:
    made = [
        job.new_optimizer()
        for job in jobs_of(beta2=[0.9, 0.99], optimizer=["adam", ap.RAdam], schemes="admin")
    ]
    assert sorted((one.kind, *one.to_dict()["betas"]) for one in made) == [
        ("adam", 0.9, 0.9),
        ("adam", 0.9, 0.99),
        ("radam", 0.9, 0.9),
        ("radam", 0.9, 0.99),
    ]


@pytest.mark.parametrize("name", ["inverse_sqrt", "constant", "linear", "cosine"])
def test_schedules(name: str) -> None:
    cell = ap.grid(DATA, schemes="admin", schedule=name, warmup=1, lr=0.5, **SMALL).cells[0]
    schedule = ap.schedules.from_dict(cell.setup["schedule"])
    np.testing.assert_array_equal(cell.history.lr, [schedule(step) for step in (1, 2, 3)])
    assert cell.history.lr[0] == 0.5


def test_language_models(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, and the dog sat on the cat. " * 40, encoding="utf-8")
    data = ap.data.text(text, context=64)
    found = ap.grid(data, schemes=["post_ln", "admin"], out=tmp_path / "out", **{**SMALL, "layers": [1, 2]})
    assert found.values("layers") == (1, 2)
    assert found.cells[0].setup["config"]["encoder_layers"] == 0
    assert Grid.load(tmp_path / "out") == found


different = {"unique": True, "min_size": 1, "max_size": 3}


@settings(max_examples=40, deadline=None, print_blob=True)
@given(
    schemes=st.lists(
        st.sampled_from(["post_ln", "pre_ln", "admin", "post_ln/pre_ln", "deepnorm"]), **different
    ),
    layers=st.lists(st.one_of(st.integers(1, 2), st.just((1, 2)), st.just((2, 1))), **different),
    lr=st.lists(st.floats(1e-6, 10.0), **different),
    beta2=st.one_of(st.none(), st.lists(st.floats(0.7, 0.999), **different)),
    warmup=st.lists(st.integers(0, 9), **different),
    optimizer=st.lists(st.sampled_from(["adam", "sgd", "radam", "adamw", "novograd"]), **different),
    seeds=st.lists(st.integers(0, 99), **different),
)
def test_the_cells_are_the_cross_of_the_axes(**axes: Any) -> None:
    assume(axes["beta2"] is None or axes["optimizer"] != ["sgd"])  # which has none
    jobs = jobs_of(**axes)
    betas = axes["beta2"] or [0.98]
    depths = list(dict.fromkeys(axes["layers"]))
    names = ("schemes", "lr", "warmup", "optimizer", "seeds")
    expected = {
        (scheme, depth, lr, None if optimizer == "sgd" else beta2, warmup, optimizer, seed)
        for scheme, lr, warmup, optimizer, seed in itertools.product(*(axes[name] for name in names))
        for depth in depths
        for beta2 in betas
    }
    told = ("scheme", "layers", "lr", "beta2", "warmup", "optimizer", "seed")
    found = [tuple(job.values[axis] for axis in told) for job in jobs]
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
        small.pivot("lr", "scheme", value="chrf")


def test_select(small: Grid) -> None:
    some = small.select(scheme=["admin"], seed=[2])
    assert [cell.lr for cell in some.cells] == [1e-3, 1e-2]
    assert some.axes["scheme"] == ("admin",)
    assert not some.interrupted
    with pytest.raises(ValueError, match="nothing with scheme='pre_ln'"):
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
    html = small._repr_html_()
    assert html.count('<td style="white-space: nowrap">') == small.to_dataframe().size, "words stay in a line"
    assert html.index('<div style="overflow-x: auto">') < html.index("<table")
    assert repr(small.cells[0]).startswith(
        "GridCell(post_ln, layers 1, d_model 8, d_ff 16, heads 2, max_tokens 128, seed 1: "
    )


def test_divergence_is_a_result_with_its_step_and_its_tensor(tmp_path: Path) -> None:
    found = ap.grid(
        DATA, schemes=["post_ln", "pre_ln"], lr=[1e-3, 1e30], warmup=0, optimizer="sgd", out=tmp_path, **SMALL
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


# Bad input


class Own(ap.Adam):
    """An optimiser of a user's own."""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schemes": []}, "schemes must have at least one value"),
        (
            {"schemes": ["admin", "admin"]},
            "schemes must have values that are all different, got 'admin' twice",
        ),
        ({"schemes": ["admin", ("admin", "admin")]}, "'admin' twice"),
        ({"schemes": ("admin",) * 3}, "schemes must be one scheme, or two as a model's encoder and decoder"),
        ({"schemes": "admni"}, "did you mean 'admin'"),
        ({"schemes": [3]}, "schemes must be a name"),
        ({"schemes": {"admin", "post_ln"}}, "schemes must be one value, or a list of values to compare"),
        ({"layers": 0}, "layers must be an integer from 1"),
        ({"layers": [1, 1.5]}, "layers must be an integer"),
        ({"layers": [(1, 2, 3)]}, "layers must be one number, or two as one model's"),
        ({"layers": [1, (1, 1)]}, "layers must have values that are all different, got 1 twice"),
        ({"lr": []}, "lr must have at least one value"),
        ({"lr": [1e-3, 0.0]}, "lr must be positive"),
        ({"lr": (1e-3, 1e-2)}, r"lr must be one value, or a list .* got the tuple \(0.001, 0.01\)"),
        ({"lr": "fast"}, "lr must be a number"),
        ({"lr": [1e-3, math.nan]}, "lr must be a finite number"),
        ({"lr": [1e-3, 1e-3]}, "lr must have values that are all different, got 0.001 twice"),
        ({"beta2": [0.9, 1.0]}, r"beta2 must be in \[0, 1\)"),
        ({"beta2": 0.9, "optimizer": Own}, "beta2 cannot be set for the optimizer 'Own'"),
        (
            {"optimizer": Own(1e-3)},
            "optimizer must be of one of the package's classes where an object is given",
        ),
        ({"d_model": [8, 0]}, "d_model must be an integer from 1"),
        ({"d_ff": 1.5}, "d_ff must be an integer"),
        ({"activation": ["relu", "swish"]}, "activation must be one of 'relu', 'gelu'"),
        ({"init_gain": [1.0, 0.0]}, "init_gain must be positive"),
        ({"warmup": [10, -1]}, "warmup must be an integer from 0"),
        ({"warmup": 3, "schedule": "linear"}, "steps must be more than the warm-up's 3"),
        ({"optimizer": "adagrad"}, "optimizer must be one of 'adam'"),
        ({"optimizer": [ap.Adam, ap.Adam]}, "optimizer must have values that are all different"),
        ({"optimizer": 3}, "optimizer must be a name"),
        ({"optimizer": lambda: None}, "optimizer must be a callable that takes lr="),
        ({"optimizer": lambda lr: lr}, "optimizer must return an optimiser"),
        ({"seeds": [1, -1]}, "seeds must be an integer from 0"),
        ({"seeds": [1, 2.0]}, "seeds must be an integer"),
        ({"heads": 3}, "heads must divide d_model"),
        ({"steps": 0}, "steps must be an integer from 1"),
        ({"steps": [1, 2]}, "steps must be an integer, got "),
        ({"keep_models": 1}, "keep_models must be True or False"),
        ({"callbacks": [3]}, "callbacks must be callable"),
        ({"dropout": [0.1, 1.0]}, "dropout must be a probability"),
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
    monkeypatch.setattr(TrainCell, "__call__", lambda *_: pytest.fail("a cell was trained"))
    with pytest.raises((ValueError, TypeError), match=message):
        ap.grid(DATA, **{**SMALL, "schemes": "admin", "out": tmp_path / "out", **options})
    assert not (tmp_path / "out").exists()


def test_an_optimiser_of_ones_own_class_is_used() -> None:
    cell = ap.grid(DATA, schemes="admin", optimizer=Own, **SMALL).cells[0]
    assert cell.optimizer == "Own"
    assert isinstance(jobs_of(schemes="admin", optimizer=Own)[0].new_optimizer(), Own)


def test_every_axis_reaches_what_is_trained() -> None:
    """Each axis alone, with a second value: two cells, whose setups differ in it."""
    seconds = {
        "schemes": "pre_ln",
        "layers": 2,
        "d_model": 12,
        "d_ff": 20,
        "heads": 4,
        "dropout": 0.2,
        "activation": "gelu",
        "init_gain": 0.5,
        "max_tokens": 96,
        "lr": 2e-3,
        "beta2": 0.9,
        "warmup": 3,
        "optimizer": "sgd",
    }
    assert set(seconds) | {"seeds"} == set(ARGUMENT_OF.values())
    for name, second in seconds.items():
        first = {**DEFAULTS, **SMALL, "schemes": "post_ln"}[name]
        jobs = jobs_of(**{"schemes": "post_ln", name: [first, second]})
        assert len(jobs) == 2, name
        assert jobs[0].setup != jobs[1].setup, name
        assert jobs[0].name != jobs[1].name, name
    one, two = jobs_of(schemes="admin", init_gain=[1.0, 0.5])
    gains = [job.config.to_core()["encoder"]["sublayers"][0]["gains"]["q"] for job in (one, two)]
    assert gains == [1.0, 0.5]
    assert one.training["max_tokens"] == SMALL["max_tokens"]


def test_init_gain_scales_the_first_weights() -> None:
    one, two = (ap.Transformer(job.config, seed=1) for job in jobs_of(schemes="admin", init_gain=[1.0, 0.5]))
    scaled = [name for name in one.parameters if name.endswith(("q.weight", "out.weight", "fc1.weight"))]
    assert len(scaled) == 8
    for name in scaled:
        np.testing.assert_array_equal(two.parameters[name], 0.5 * one.parameters[name])


def test_an_axis_may_be_called_by_its_own_name() -> None:
    sizes = {**SMALL, "steps": 1}
    grid = ap.grid(DATA, scheme=["post_ln", "admin"], seed=3, **sizes)
    assert [(cell.scheme, cell.seed) for cell in grid.cells] == [("post_ln", 3), ("admin", 3)]
    study = ap.study(DATA, scheme=("admin",), seed=[2], samples=0, **sizes)
    assert (study.schemes, study.seeds) == (("admin",), (2,))
    for function in (ap.grid, ap.study):
        with pytest.raises(TypeError, match="schemes and scheme are one setting"):
            function(DATA, schemes="admin", scheme="post_ln", **sizes)


def test_a_tuple_is_one_value_and_a_list_an_axis(small: Grid) -> None:
    depths = [job.values["layers"] for job in jobs_of(schemes="admin", layers=[2, 3, (2, 3)])]
    assert depths == [2, 3, (2, 3)]
    assert [job.values["layers"] for job in jobs_of(schemes="admin", layers=(2, 3))] == [(2, 3)]
    found = ap.grid(DATA, schemes="admin", **{**SMALL, "layers": [1, 2, (1, 2)], "steps": 1})
    assert [cell.layers for cell in found.select(layers=(1, 2)).cells] == [(1, 2)]
    assert [cell.layers for cell in found.select(layers=[1, (1, 2)]).cells] == [1, (1, 2)]
    assert found.select(schemes="admin", seeds=1) == found, "an axis has its argument's name, too"


@pytest.mark.parametrize("name", grid_presets.names())
def test_presets_are_grids_and_what_is_given_goes_before_them(name: str) -> None:
    options = grid_presets.get(name).options
    assert (
        8 <= len(jobs_of(ap.data.number_words(train=100, valid=10), **{**options, "max_tokens": 512})) <= 48
    )
    found = ap.grid(DATA, preset=name, **{**SMALL, "steps": 1}, schemes="admin", lr=1e-3, seeds=1)
    assert found.values("scheme") == ("admin",)
    assert found.settings["steps"] == 1
    varied = {"lr_beta2": "beta2", "optimisers": "optimizer"}.get(name)
    if varied is not None:
        assert found.values(varied) == tuple(options[varied])
    assert grid_presets.get(name).summary
    assert grid_presets.get(name).paper
