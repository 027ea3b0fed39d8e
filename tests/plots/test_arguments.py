"""A plot function that is given what it does not take says what it takes, and leaves no figure behind."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from made_results import (
    MADE,
    made_attention,
    made_comparison,
    made_dependency,
    made_diagnosis,
    made_gradients,
    made_grid_table,
    made_history,
    made_memory_plan,
    made_observation,
    made_output_change,
    made_profile,
    made_source_use,
    made_updates,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import admin_py as ap
from admin_py import plots
from admin_py.analysis import pool
from admin_py.plots.drawing import drawing, new_axes
from admin_py.results import Result

NAMES = [name for name in plots.__all__ if name.startswith("plot_")]

RIGHT: dict[str, tuple[Any, ...]] = {
    "plot_attention": (made_attention(),),
    "plot_attention_panels": ([made_attention()],),
    "plot_curves": ([("admin", made_history())],),
    "plot_dependency": (made_dependency(),),
    "plot_dependency_pair": (made_dependency(), made_dependency()),
    "plot_dependency_panels": ([made_dependency()],),
    "plot_diagnosis": (made_diagnosis(),),
    "plot_gradient_bars": (pool(made_gradients()),),
    "plot_gradient_lines": ([made_gradients()],),
    "plot_gradients": (made_gradients(),),
    "plot_grid": (made_grid_table(),),
    "plot_grid_panels": ([made_grid_table()],),
    "plot_history": (made_history(),),
    "plot_matrix_gradient_panels": ([made_gradients()],),
    "plot_matrix_gradients": (made_gradients(),),
    "plot_memory": (made_memory_plan(),),
    "plot_observation": (made_observation(),),
    "plot_omega_drift": (made_updates(),),
    "plot_omega_panels": ([made_updates()],),
    "plot_output_change": ([made_output_change()],),
    "plot_own_dependency": ([made_dependency()],),
    "plot_predicted_dependency": ([made_profile()],),
    "plot_profile": (made_profile(),),
    "plot_quantity": ([made_profile()],),
    "plot_schedule": ([1, 2], [0.1, 0.2]),
    "plot_scores": (made_comparison(),),
    "plot_source_use": ([made_source_use()],),
    "plot_training": ([("admin", made_history())],),
    "plot_update_histogram": ([made_updates()],),
    "plot_update_panels": ([made_updates()],),
    "plot_updates": (made_updates(),),
}
"""Plot function -> arguments that it takes."""

MODEL = ap.Transformer(
    ap.TransformerConfig(vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2, d_ff=16)
)

WRONG: dict[str, Any] = {
    "a text": "run/result.json",
    "a path": Path("run/result.json"),
    "a model": MODEL,
    "nothing": None,
    "an array": np.zeros((2, 3)),
    "a number": 3,
    "a mapping": {"admin": made_profile()},
    "a class": ap.History,
    "a list of wrong": [made_profile(), 3],
}


@pytest.fixture(autouse=True)
def no_figure_is_left() -> Iterator[None]:
    matplotlib.use("Agg", force=True)
    plt.close("all")
    yield
    plt.close("all")


def function_of(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(plots, name)
    return found


def test_every_function_is_here() -> None:
    assert set(RIGHT) == set(NAMES)
    assert set(plots.__all__) - set(NAMES) == {"context", "scheme_style"}


def given(name: str, number: int, wrong: Any) -> list[Any]:
    """The right arguments but for one."""
    arguments = list(RIGHT[name])
    arguments[number] = wrong
    return arguments


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_argument_is_one_error_that_says_what_is_taken(name: str, wrong: str) -> None:
    parameters = list(inspect.signature(function_of(name)).parameters)
    for number in range(len(RIGHT[name])):
        if (name, wrong) == ("plot_attention", "an array"):
            continue  # which it takes
        with pytest.raises(TypeError) as caught:
            function_of(name)(*given(name, number, WRONG[wrong]))
        said = str(caught.value)
        assert re.match(rf"{name}: {parameters[number]} must be .+, got .+", said), said
        assert len(said.splitlines()) == 1
        assert caught.value.__cause__ is None
        assert not plt.get_fignums()


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_a_result_of_another_kind_is_refused_with_what_draws_it(name: str, kind: type[Result]) -> None:
    result = MADE[kind]()
    arguments = given(name, 0, result)
    if re.search(rf"\b{kind.__name__}\b", str(inspect.signature(function_of(name)))):
        function_of(name)(*arguments)
        return
    draws = re.escape(result.drawn_by or "its plot()")
    said = rf"{name}: \w+ must be .+, got an? {kind.__name__}, which {draws} draws$"
    with pytest.raises(TypeError, match=said):
        function_of(name)(*arguments)
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "plot_schedule"])
def test_one_for_a_list_and_a_list_of_one_for_one_are_taken(name: str) -> None:
    bare = [one[0] if isinstance(one, list) else one for one in RIGHT[name]]
    bare = [one[1] if isinstance(one, tuple) else one for one in bare]  # a history without its scheme
    for arguments in (bare, [[one] for one in bare]):
        drawn = function_of(name)(*arguments)
        assert isinstance(np.atleast_1d(np.asarray(drawn, dtype=object)).ravel()[0], Axes)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("plot_attention", "plot_attention_panels"),
        ("plot_dependency", "plot_dependency_panels"),
        ("plot_gradients", "plot_gradient_lines"),
        ("plot_grid", "plot_grid_panels"),
        ("plot_history", "plot_curves"),
        ("plot_matrix_gradients", "plot_matrix_gradient_panels"),
        ("plot_omega_drift", "plot_omega_panels"),
        ("plot_profile", "plot_quantity"),
        ("plot_updates", "plot_update_panels"),
    ],
)
def test_several_for_one_name_the_function_that_takes_them(name: str, other: str) -> None:
    one = RIGHT[name][0]
    told = f"got a list of 2 {type(one).__name__}; {other} takes several"
    with pytest.raises(TypeError, match=f"{name}: .*{told}"):
        function_of(name)([one, one])
    assert not plt.get_fignums()
    assert function_of(other)([one, one]) is not None


def test_a_path_is_told_how_it_is_loaded() -> None:
    with pytest.raises(TypeError, match=r"'run/result.json': load it first, GradientNorms.load\(path\)"):
        plots.plot_gradients("run/result.json")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_axes_that_are_none_are_refused(name: str) -> None:
    where = "axes" if "axes" in inspect.signature(function_of(name)).parameters else "ax"
    for wrong in (3, made_profile(), [1, 2]):
        with pytest.raises(TypeError, match=rf"{name}: {where} must be .*Axes of Matplotlib, got"):
            function_of(name)(*RIGHT[name], **{where: wrong})
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", NAMES)
def test_an_argument_too_few_or_too_many_names_the_function(name: str) -> None:
    for arguments, options in (((), {}), (RIGHT[name], {"colour": "red"})):
        with pytest.raises(TypeError, match=rf"^{name}: .*argument"):
            function_of(name)(*arguments, **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plot_dependency", {"stack": "middle"}),
        ("plot_dependency", {"scale": "other"}),
        ("plot_dependency_pair", {"stack": "middle"}),
        ("plot_dependency_panels", {"stack": "middle"}),
        ("plot_attention", {"tokens": ("a",)}),
        ("plot_curves", {"split": "test"}),
        ("plot_omega_drift", {"stack": "middle"}),
        ("plot_omega_panels", {"quantity": "other"}),
        ("plot_output_change", {"stack": "middle"}),
        ("plot_quantity", {"quantity": "other"}),
        ("plot_update_histogram", {"quantity": "other"}),
        ("plot_update_panels", {"stack": "middle"}),
        ("plot_updates", {"quantity": "other"}),
    ],
)
def test_a_call_that_fails_half_way_leaves_no_figure(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        function_of(name)(*RIGHT[name], **options)
    assert not plt.get_fignums()


def test_only_figures_of_the_call_that_fails_are_closed() -> None:
    mine, _ = plt.subplots()
    kept = plots.plot_profile(made_profile())

    @drawing
    def plot_two() -> None:
        new_axes()
        plots.plot_profile(made_profile())  # succeeds within one that does not
        raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        plot_two()
    assert plt.get_fignums() == [mine.number, kept.figure.number]


@pytest.mark.parametrize("name", NAMES)
def test_a_call_that_succeeds_opens_one_figure_and_none_where_axes_are_given(name: str) -> None:
    drawn = function_of(name)(*RIGHT[name])
    assert len(plt.get_fignums()) == 1
    plt.close("all")
    count = np.atleast_1d(np.asarray(drawn, dtype=object)).size
    axes = list(np.atleast_1d(Figure(figsize=(12, 8)).subplots(1, count)))
    where = "axes" if "axes" in inspect.signature(function_of(name)).parameters else "ax"
    function_of(name)(*RIGHT[name], **{where: axes if where == "axes" else axes[0]})
    assert not plt.get_fignums()


def test_the_name_of_a_scheme_is_a_text() -> None:
    for wrong in (None, 3, MODEL, ["admin"], made_profile()):
        with pytest.raises(TypeError, match="name must be a string, got"):
            plots.scheme_style(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        plots.context("admin")  # type: ignore[call-arg]
