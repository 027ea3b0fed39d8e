"""Heatmaps of grids: the numbers of the table, what diverged and what does not train told apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pytest
from made_results import made_grid_table as made
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import admin_py as ap
from admin_py.cli.grid import draw
from admin_py.experiments.grid.results import Grid
from admin_py.plots import plot_grid, plot_grid_panels

SMALL: dict[str, Any] = {
    "layers": 1,
    "d_model": 8,
    "d_ff": 16,
    "heads": 2,
    "steps": 2,
    "max_tokens": 128,
    "progress": False,
}
DATA = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6)


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    matplotlib.use("Agg", force=True)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="module")
def trained() -> Grid:
    return ap.grid(DATA, schemes=["post_ln", "admin"], lr=[1e-3, 1e-2], warmup=[0, 5, 9], **SMALL)


def places(ax: Axes) -> dict[tuple[int, int], tuple[str | None, str]]:
    """(row, column) -> hatch and text."""
    hatches = {(round(b.get_y() + 0.5), round(b.get_x() + 0.5)): b.get_hatch() for b in ax.patches}
    texts = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in ax.texts}
    assert hatches.keys() == texts.keys()
    return {place: (hatches[place], texts[place]) for place in hatches}


def test_every_place_has_its_number_and_what_came_of_it() -> None:
    ax = Figure(layout="constrained").subplots()
    assert plot_grid(made(), ax) is ax
    assert places(ax) == {
        (0, 0): (None, "0.25"),
        (0, 1): ("///", "2.75"),
        (0, 2): ("xxx", "1.50\n× 57, 1 of 2"),
        (1, 0): ("...", "0.50"),
        (1, 1): ("xxx", "× 12, 2 of 2"),
    }, "nothing where nothing was run"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.9", "0.98", "none"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0.001", "0.002"]
    assert ax.get_ylabel() == "largest learning rate"
    (colorbar,) = ax.child_axes
    assert colorbar.get_ylabel() == "validation nll per token, nats"
    np.testing.assert_array_equal(
        np.ma.filled(ax.collections[0].get_array(), np.nan).reshape(2, 3), made().mean
    )


@pytest.mark.parametrize(("worst", "end", "arrow"), [(3.0, 3.0, "neither"), (1e17, 5.6, "max")])
def test_one_enormous_loss_leaves_the_others_apart(worst: float, end: float, arrow: str) -> None:
    mean = np.array([[0.25, 0.5, 1.2], [2.75, 2.8, worst]])
    stuck = np.array([[0, 0, 0], [1, 1, 1]])
    zeros = np.zeros_like(stuck)
    table = dataclasses.replace(
        made(), mean=mean, runs=zeros + 1, stuck=stuck, diverged=zeros, diverged_at=zeros
    )
    ax = plot_grid(table)
    assert ax.collections[0].norm.vmin == 0.25
    assert ax.collections[0].norm.vmax == pytest.approx(end)
    assert ax.collections[0].colorbar.extend == arrow


def test_what_blew_up_has_a_mark_of_its_own_and_leaves_the_colours_to_the_rest() -> None:
    zeros = np.zeros((2, 3), np.int64)
    blown = np.array([[0, 0, 1], [1, 0, 0]])
    runs = np.array([[1, 1, 1], [2, 1, 1]])
    mean = np.array([[0.25, 0.5, 28504.0], [600.0, 2.75, 1.0]])
    stuck = np.array([[0, 0, 0], [0, 1, 0]])
    table = made(
        mean=mean, runs=runs, blown=blown, stuck=stuck, blind=zeros, diverged=zeros, diverged_at=zeros
    )
    ax = plot_grid(table)
    found = places(ax)
    assert found[0, 2] == ("++", "↑ 2.85e+04")
    assert found[1, 0] == ("++", "600\n↑ 1 of 2")
    assert found[1, 1] == ("///", "2.75")
    assert ax.collections[0].norm.vmax == 2.75
    assert ax.collections[0].colorbar.extend == "max"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "blew up: ↑ the loss ends above where it began",
        "does not train within this budget",
    ]
    everything = plot_grid(replace(table, blown=runs, stuck=zeros))
    assert everything.collections[0].norm.vmax == 28504.0, "where nothing else is"


def test_what_the_hatches_mean_is_said_only_where_there_are_any() -> None:
    ax = plot_grid(made())
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {
        "diverged: × first step not finite, in how many seeds",
        "does not train within this budget",
        "does not read its source within this budget",
    }
    nothing = np.zeros((2, 3), np.int64)
    assert not plot_grid(made(diverged=nothing, stuck=nothing, blind=nothing)).get_legend()


def test_text_stands_out_from_its_ground() -> None:
    ax = plot_grid(made())
    colors = {text.get_text(): to_hex(text.get_color()) for text in ax.texts}
    assert colors["0.25"] == "#1b1f24", "dark on yellow"
    assert colors["2.75"] == "#ffffff", "light on dark blue"


def test_a_table_without_a_finite_number_is_drawn() -> None:
    mean = np.full((2, 3), np.nan)
    ax = plot_grid(made(mean=mean))
    ax.figure.canvas.draw()
    assert places(ax)[1, 1] == ("xxx", "× 12, 2 of 2")


def test_panels_have_one_scale_and_the_schemes_names() -> None:
    tables = [made(), made(mean=2 * made().mean, title="pre_ln")]
    axes = plot_grid_panels(tables)
    assert [ax.get_title(loc="left") for ax in axes] == ["Post-LN", "Pre-LN"]
    assert {ax.collections[0].get_clim() for ax in axes} == {(0.25, 5.5)}
    with pytest.raises(ValueError, match="axes: expected 2, one a table, got 1"):
        plot_grid_panels(tables, axes[:1])
    with pytest.raises(ValueError, match="tables: expected at least one"):
        plot_grid_panels([])


def test_a_grid_draws_the_axes_that_vary(trained: Grid) -> None:
    axes = trained.plot_panels()
    assert [ax.get_title(loc="left") for ax in axes] == ["Post-LN", "Admin"]
    assert axes[0].get_xlabel() == "largest learning rate"
    assert axes[0].get_ylabel() == "warm-up, steps"
    with pytest.raises(ValueError, match="scheme varies too"):
        trained.plot()
    first = trained.select(scheme="admin", lr=1e-3, warmup=0).cells[0]
    ax = trained.select(scheme="admin").plot("warmup", "lr", Figure().subplots(), value="train_nll")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("warm-up, steps", "largest learning rate")
    assert places(ax)[0, 0][1] == f"{first.train_nll:.3g}"


def test_one_axis_is_a_row_and_hybrids_are_a_square() -> None:
    one = ap.grid(DATA, schemes="admin", lr=[1e-3, 1e-2], **SMALL).plot()
    assert (one.get_xlabel(), one.get_ylabel()) == ("largest learning rate", "scheme")
    pairs = ["post_ln", "post_ln/pre_ln", "pre_ln/post_ln", "pre_ln"]
    square = ap.grid(DATA, schemes=pairs, seeds=[1, 2], **SMALL).plot()
    assert (square.get_xlabel(), square.get_ylabel()) == ("decoder's scheme", "encoder's scheme")
    assert places(square).keys() == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_the_command_says_what_its_figure_leaves_out(trained: Grid) -> None:
    assert draw(trained).figure.get_suptitle() == ""
    axes = {"lr": [1e-3, 1e-2], "warmup": [0, 5], "optimizer": ["adam", "sgd"]}
    more = ap.grid(DATA, schemes=["post_ln", "admin"], **axes, **SMALL)
    assert draw(more).figure.get_suptitle() == "only adam; the others are in grid.csv"
