"""Every figure at the sizes that journals print: nothing overlaps, is cut off, merges or fuses."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawn_figures import DRAWN, SMALL, axes_of
from figure_checks import SHEETS, check, findings, fused, marks_of, merged, overprinted
from figure_texts import texts
from made_results import made_history, made_profile
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from admin_py import plots


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    matplotlib.use("Agg", force=True)
    yield
    plt.close("all")


CHECKED = (
    ("small", "3.3 x 2.4"),
    ("deep", "3.3 x 2.4 laid out"),
    ("long", "4 x 3, 14 points"),
    ("small", "2 x 2"),
)
"""Of all cases and sheets, which `tools/check_figures.py` draws, the hardest."""


@pytest.mark.parametrize(("case", "sheet"), CHECKED)
@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_read_at_every_size(name: str, case: str, sheet: str) -> None:
    _, found = check(name, case, sheet)
    assert not found


@pytest.mark.parametrize("name", ["plot_quantity", "plot_output_change", "plot_source_use", "plot_grid"])
def test_a_figure_that_is_made_smaller_afterwards_is_fitted_again(name: str) -> None:
    axes = axes_of(name, SMALL)
    axes[0].figure.set_size_inches(3.3, 2.4)
    assert not findings(axes)


@pytest.mark.parametrize("sheet", ["4 x 3, dark", "new, 14 points"])
def test_a_users_style_is_kept(sheet: str) -> None:
    axes, found = check("plot_quantity", "small", sheet)
    assert not found
    ax = axes[0]
    settings = SHEETS[sheet].settings
    labels = [text.artist for text in texts(ax.figure) if text.artist is ax.yaxis.label]
    assert [label.get_fontsize() for label in labels] == [settings.get("font.size", 10.0)]
    if "text.color" in settings:
        assert ax.get_legend().get_texts()[0].get_color() == settings["text.color"]
        assert ax.title.get_fontfamily() == ["serif"]


def titles(ax: Axes) -> list[str]:
    return [title for loc in ("left", "center", "right") if (title := ax.get_title(loc=loc))]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", ["plot_quantity", "plot_history", "plot_grid", "plot_updates"])
def test_the_users_title_is_the_only_one(name: str, first: bool) -> None:
    ax = Figure().subplots()
    if first:
        ax.set_title("mine")
    axes_of(name, SMALL, ax=ax)
    assert len(titles(ax)) == 1
    if not first:
        ax.set_title("mine")
    ax.figure.draw_without_rendering()
    assert titles(ax) == ["mine"]


def test_a_layout_of_the_users_own_is_left_alone() -> None:
    figure = plt.figure(figsize=(6, 4), layout="constrained")
    engine = figure.get_layout_engine()
    plots.plot_quantity(made_profile(), figure.subplots())
    assert figure.get_layout_engine() is engine
    figure, ax = plt.subplots()
    figure.subplots_adjust(left=0.3, right=0.6)
    plots.plot_quantity(made_profile(), ax)
    figure.draw_without_rendering()
    assert (ax.get_position().x0, ax.get_position().x1) == pytest.approx((0.3, 0.6))
    figure, ax = plt.subplots()
    plots.plot_quantity(made_profile(), ax)
    figure.subplots_adjust(left=0.3, right=0.6)  # no warning that it is not obeyed
    figure.draw_without_rendering()
    assert (ax.get_position().x0, ax.get_position().x1) == pytest.approx((0.3, 0.6))
    figure.tight_layout()


def test_legends_that_the_user_replaces_or_removes_stay_so() -> None:
    ax = plots.plot_curves([("admin", made_history()), ("pre_ln", made_history(seed=1))])
    ax.get_legend().remove()
    ax.figure.set_size_inches(4, 3)
    ax.figure.draw_without_rendering()
    assert ax.get_legend() is None
    ax = plots.plot_curves([("admin", made_history()), ("pre_ln", made_history(seed=1))])
    mine = ax.legend(loc="upper right")
    ax.figure.set_size_inches(4, 3)
    ax.figure.draw_without_rendering()
    assert ax.get_legend() is mine


def test_seeds_are_a_mean_in_a_band_and_the_legend_says_so() -> None:
    profiles = [made_profile("admin", seed=seed) for seed in range(3)]
    ax = plots.plot_quantity(profiles)
    mean = np.mean([profile.omega("encoder") for profile in profiles], axis=0)
    assert any(np.allclose(line.get_ydata(), mean) for line in ax.lines if len(line.get_ydata()) == len(mean))
    low = np.min([profile.omega("encoder") for profile in profiles], axis=0)
    bands = np.concatenate([path.vertices[:, 1] for one in ax.collections for path in one.get_paths()])
    assert set(low) <= set(bands)
    assert "mean, min to max of seeds" in [text.text for text in texts(ax.figure)]
    assert not plots.plot_quantity(profiles[:1]).collections


def test_the_loss_axis_begins_where_the_data_do() -> None:
    history = made_history()
    ax = plots.plot_history(history)
    low, high = ax.get_ylim()
    least = min(*history.nll, *history.valid["nll"])
    assert 0.0 < low < least < low + 0.1 * (high - low)


def test_bins_are_shared_by_all_results() -> None:
    edges = [patch.get_data().edges for patch in axes_of("plot_update_histogram", SMALL)[0].patches]
    assert len(edges) > 3
    assert all(np.array_equal(one, edges[0]) for one in edges)


def test_the_measure_can_fail() -> None:
    figure = Figure(figsize=(3, 2), dpi=100)
    ax = figure.subplots()
    (line,) = ax.plot(np.linspace(0, 1, 200), np.zeros(200), "o-")
    ax.set_xticks([0.5, 0.56], ["24", "1"])
    ax.text(0.5, 0.0, "on the line", va="center")
    drawn = texts(figure)
    assert fused(ax)
    assert merged(ax, drawn)
    assert overprinted(ax, drawn) == ["'on the line' by 1 lines"]
    line.set_markevery([0, 199])
    assert len(marks_of(line)) == 2
    assert not fused(ax)
