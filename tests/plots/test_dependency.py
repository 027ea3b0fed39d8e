"""Figures of dependency and output change: they hold the results' numbers, on one scale where compared."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest
from made_results import made_dependency, made_output_change
from matplotlib.figure import Figure
from pictures import painted

from admin_py import plots
from admin_py.plots.style import MUTED, scheme_style


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    matplotlib.use("Agg", force=True)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.parametrize("scale", ["row", "std"])
def test_the_heatmap_is_beta_below_the_diagonal_and_blank_above(scale: str) -> None:
    one, ax = made_dependency(), Figure().subplots()
    assert plots.plot_dependency(one, ax, stack="decoder", scale=scale) is ax
    shown = ax.images[0].get_array()
    lower = np.tri(6, 7, 1, dtype=bool)
    np.testing.assert_array_equal(~np.ma.getmaskarray(shown), lower)
    np.testing.assert_array_equal(np.asarray(shown)[lower], one.beta("decoder", scale=scale)[lower])
    assert ax.get_title(loc="left") == "Admin, decoder"
    sheet = painted(ax)
    assert sheet.is_at("white", ax, 6, 1)
    for column, row in ((1, 6), (0, 1), (6, 6)):
        assert sheet.is_at(ax.images[0].to_rgba(shown)[row - 1, column], ax, column, row)


def test_a_pair_has_one_scale_and_says_which_is_which() -> None:
    left, right = plots.plot_dependency_pair(made_dependency(seed=1), made_dependency(seed=2))
    assert left.images[0].get_clim() == right.images[0].get_clim()
    titles = [ax.get_title(loc="left") for ax in (left, right)]
    assert titles == ["Admin, encoder, before training", "Admin, encoder, after training"]
    with pytest.raises(ValueError, match="axes: expected two, got 1"):
        plots.plot_dependency_pair(made_dependency(), made_dependency(), [left])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_cells_that_are_not_finite_are_grey_and_named() -> None:
    one = made_dependency(lost=True)
    ax = plots.plot_dependency(one)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["not finite"]
    row, column = np.argwhere(~np.isfinite(one.beta("encoder")))[0]
    assert painted(ax).is_at(MUTED, ax, column, row + 1)


def test_measured_and_predicted_dependency_are_both_drawn() -> None:
    one = made_dependency("post_ln")
    ax = plots.plot_own_dependency(one)
    shown = {float(y) for line in ax.lines for y in line.get_ydata()}
    for stack in one.stacks:
        assert set(one.own(stack)) <= shown
        assert set(one.predicted[stack]) <= shown
    assert painted(ax).shows(scheme_style("post_ln").color) > 50


@pytest.mark.parametrize("log", [False, True])
def test_output_change_has_mean_theory_and_the_better_fit(log: bool) -> None:
    found = [made_output_change(scheme, seed=seed) for seed, scheme in enumerate(("post_ln", "pre_ln"))]
    ax = plots.plot_output_change(found, Figure().subplots(), stack="decoder", log=log)
    curves = [list(line.get_ydata()) for line in ax.lines]
    for one in found:
        assert list(one.mean("decoder")) in curves
        assert list(one.theory("decoder")) in curves
        colors = {line.get_color() for line in ax.lines}
        assert scheme_style(one.scheme).color in colors
    assert len(ax.collections) == 2
    assert ax.get_yscale() == ("log" if log else "linear")
    assert all(painted(ax).shows(scheme_style(one.scheme).color) > 50 for one in found)


def test_what_cannot_be_drawn_is_one_clear_error() -> None:
    for draw in (plots.plot_own_dependency, plots.plot_output_change):
        with pytest.raises(ValueError, match="expected at least one, got none"):
            draw([])
    with pytest.raises(ValueError, match="stack must be one of 'encoder', 'decoder', got 'middle'"):
        plots.plot_dependency(made_dependency(), stack="middle")
