"""Figures: they hold the numbers they were given, in the scheme's one colour, and change no settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest
from made_results import made_gradients, made_grid_table, made_history, made_output_change, made_profile
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pictures import painted

from admin_py import plots, schemes
from admin_py.model.profile import VarianceProfile
from admin_py.plots.output_change import FIT
from admin_py.plots.style import SCHEMES, scheme_style
from admin_py.plots.sublayers import positions
from admin_py.plots.updates import MARKS
from admin_py.schemes.labels import LABELS

SCHEMES_SHOWN = ("post_ln", "pre_ln", "admin", "a scheme of my own")


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    matplotlib.use("Agg", force=True)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


def drawn(ax: Axes, color: str) -> list[float]:
    """Ordinates of all lines of a colour."""
    lines = [line for line in ax.lines if to_hex(line.get_color()).upper() == color.upper()]
    return [float(y) for line in lines for y in line.get_ydata()]


def legend_of(ax: Axes) -> dict[str, str]:
    """Label -> colour of the lines of the axes' own legend."""
    legend = ax.get_legend()
    return {
        text.get_text(): to_hex(line.get_color()).upper()
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }


def test_omega_is_drawn_for_every_sublayer_of_every_profile(ax: Axes) -> None:
    profiles = [made_profile(scheme, seed=seed) for seed, scheme in enumerate(SCHEMES_SHOWN)]
    assert plots.plot_quantity(profiles, ax) is ax
    for profile in profiles:
        shown = drawn(ax, scheme_style(profile.scheme).color)
        for stack in profile.stacks:
            assert set(profile.omega(stack)) <= set(shown)
    assert set(legend_of(ax)) == {scheme_style(scheme).label for scheme in SCHEMES_SHOWN}


@pytest.mark.parametrize("quantity", ["omega", "var_branch", "var_input"])
def test_each_quantity_has_its_own_numbers_and_label(ax: Axes, quantity: str) -> None:
    profile = made_profile("post_ln")
    plots.plot_quantity([profile], ax, quantity=quantity)
    shown = set(drawn(ax, scheme_style("post_ln").color))
    for stack in profile.stacks:
        assert set(getattr(profile, quantity)(stack)) <= shown
    assert ax.get_ylabel()
    assert (ax.get_yscale() == "log") == (quantity != "omega")


def test_one_profile_has_omega_as_a_line_and_variances_as_bars(ax: Axes) -> None:
    profile = made_profile("admin")
    plots.plot_profile(profile, ax)
    omega = np.concatenate([profile.omega(stack) for stack in profile.stacks])
    branch = np.concatenate([profile.var_branch(stack) for stack in profile.stacks])
    assert set(omega) <= set(drawn(ax, SCHEMES["admin"].color))
    heights = [bar.get_height() for container in ax.containers for bar in container]
    assert sorted(heights) == pytest.approx(sorted(branch))


def test_every_kind_of_sublayer_has_its_marker(ax: Axes) -> None:
    profile = made_profile("admin", layers=3)
    plots.plot_quantity([profile], ax)
    count = {line.get_marker(): 0 for line in ax.lines if line.get_linestyle() == "None"}
    for line in ax.lines:
        if line.get_linestyle() == "None":
            count[line.get_marker()] += len(line.get_xdata())
    assert count == {"o": 6, "s": 3, "^": 6}


def test_the_predicted_dependency_is_the_profiles(ax: Axes) -> None:
    profile = made_profile("pre_ln")
    assert plots.plot_predicted_dependency([profile], ax) is ax
    shown = set(drawn(ax, SCHEMES["pre_ln"].color))
    for stack in profile.stacks:
        assert set(profile.beta2(stack)) <= shown
    assert ax.get_yscale() == "log"


def test_gradients_are_drawn_relative_to_the_largest(ax: Axes) -> None:
    found = [made_gradients(scheme, seed=seed) for seed, scheme in enumerate(SCHEMES_SHOWN)]
    plots.plot_gradient_lines(found, ax)
    for one in found:
        shown = drawn(ax, scheme_style(one.scheme).color)
        assert max(shown) == 1.0
        for stack in one.outputs:
            assert set(one.outputs[stack][1:] / one.largest) <= set(shown)


def test_the_bars_of_one_models_gradients_end_at_its_numbers(ax: Axes) -> None:
    one = made_gradients("post_ln", layers=3)
    plots.plot_gradients(one, ax)
    tops = [bar.get_y() + bar.get_height() for container in ax.containers for bar in container]
    wanted = np.concatenate([one.relative(stack)[1:] for stack in one.outputs])
    assert sorted(tops) == pytest.approx(sorted(wanted))
    assert ax.get_yscale() == "log"
    assert {to_hex(bar.get_facecolor()).upper() for box in ax.containers for bar in box} == {
        SCHEMES["post_ln"].color
    }


def test_every_matrix_has_its_gradient_in_the_picture(ax: Axes) -> None:
    one = made_gradients("post_ln", layers=3)
    assert one.plot_matrices(ax) is ax
    shown = sorted(y for line in ax.lines for y in line.get_ydata() if line.get_marker() != "None")
    assert shown == pytest.approx(sorted(one.matrices.values()))
    crossed = [line for line in ax.lines if line.get_fillstyle() == "none"]
    wanted = [value for name, value in one.matrices.items() if "cross_attn" in name]
    assert sorted(y for line in crossed for y in line.get_ydata()) == pytest.approx(sorted(wanted))
    labels = [text.get_text().strip() for text in ax.get_legend().get_texts()]
    assert set(labels) == {"Q", "K", "V", "O", "1", "2", "embedding", "of cross-attention"}


def test_matrices_without_a_gradient_are_left_out_and_an_output_of_its_own_stands_last(ax: Axes) -> None:
    norms = {"decoder.embedding.weight": 0.5, "decoder.0.feed_forward.fc1.weight": 0.0, "output.weight": 0.25}
    one = made_gradients()
    plots.plot_matrix_gradients(type(one)(**{**vars(one), "matrices": norms}), ax)
    shown = {x: y for line in ax.lines for x, y in line.get_xydata() if np.isfinite(y)}
    assert shown == {0.0: 0.5, 2.0: 0.25}
    assert ax.get_yscale() == "log"
    assert painted(ax).drawn > 0.01


def test_training_and_validation_stand_side_by_side_on_one_scale() -> None:
    histories = [(scheme, made_history(seed=seed)) for seed, scheme in enumerate(SCHEMES_SHOWN)]
    left, right = plots.plot_training(histories, entropy=2.5)
    assert left.get_ylim() == right.get_ylim()
    assert left.get_xlim() == right.get_xlim()
    for scheme, history in histories:
        color = scheme_style(scheme).color
        assert set(history.nll) <= set(drawn(left, color))
        assert set(history.valid["nll"]) <= set(drawn(right, color))
    assert [2.5, 2.5] in [list(line.get_ydata()) for line in right.lines]


def test_one_history_shows_training_and_validation(ax: Axes) -> None:
    history = made_history()
    assert plots.plot_history(history, ax) is ax
    ordinates = [list(line.get_ydata()) for line in ax.lines]
    assert list(history.nll) in ordinates
    assert list(history.valid["nll"]) in ordinates
    assert ax.get_xlabel() == "step"


def test_a_run_that_diverged_is_marked_where_it_was_finite_last(ax: Axes) -> None:
    history = made_history(diverged_at=7)
    plots.plot_history(history, ax, scheme="post_ln")
    cross = next(line for line in ax.lines if line.get_marker() == "X")
    assert list(cross.get_xdata()) == [6]
    assert list(cross.get_ydata()) == [history.nll[5]]
    assert np.isfinite(ax.get_ylim()).all()
    assert painted(ax).shows(scheme_style("post_ln").color) > 50


def test_a_scheme_has_the_same_colour_in_all_figures() -> None:
    axes = [Figure().subplots() for _ in range(5)]
    plots.plot_quantity([made_profile(scheme) for scheme in SCHEMES_SHOWN], axes[0])
    plots.plot_quantity([made_profile(scheme) for scheme in SCHEMES_SHOWN], axes[1], quantity="var_branch")
    plots.plot_predicted_dependency([made_profile(scheme) for scheme in reversed(SCHEMES_SHOWN)], axes[2])
    plots.plot_gradient_lines([made_gradients(scheme) for scheme in SCHEMES_SHOWN], axes[3])
    plots.plot_curves([(scheme, made_history()) for scheme in reversed(SCHEMES_SHOWN)], axes[4])
    axes[4].legend()
    wanted = {scheme_style(scheme).label: scheme_style(scheme).color for scheme in SCHEMES_SHOWN}
    for one in axes:
        assert legend_of(one) == wanted


def test_every_built_in_scheme_has_a_style_of_its_own() -> None:
    assert set(SCHEMES) == set(LABELS) == set(schemes.BUILT_IN)
    looks = [(style.color, style.dashes) for style in SCHEMES.values()]
    assert len(set(looks)) == len(looks)
    assert len({style.label for style in SCHEMES.values()}) == len(looks)


def test_a_hybrid_is_labelled_by_both_of_its_schemes() -> None:
    assert scheme_style("post_ln/pre_ln").label == "Post-LN / Pre-LN"
    assert scheme_style("post_ln/pre_ln").color not in {style.color for style in SCHEMES.values()}


# Machado, Oliveira, Fernandes (2009): what protanopes, deuteranopes and tritanopes see, on linear RGB.
COLOR_VISION = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def lab(linear_rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB, D65."""
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.072175],
            [0.0193339, 0.119192, 0.9503041],
        ]
    )
    xyz = to_xyz @ np.clip(linear_rgb, 0.0, 1.0) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", COLOR_VISION)
def test_colours_stay_apart_for_all_kinds_of_colour_vision(vision: str) -> None:
    """A difference of 2.3 is just noticed; ask for four times that, more between the main three."""

    def seen(color: str) -> np.ndarray:
        rgb = np.array(matplotlib.colors.to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return lab(np.array(COLOR_VISION[vision]) @ linear)

    for a, b in itertools.combinations(sorted({style.color for style in SCHEMES.values()}), 2):
        assert np.linalg.norm(seen(a) - seen(b)) > 9.2, (a, b)
    for a, b in itertools.combinations(("post_ln", "pre_ln", "admin"), 2):
        assert np.linalg.norm(seen(SCHEMES[a].color) - seen(SCHEMES[b].color)) > 15, (a, b)


def test_the_users_settings_are_left_alone() -> None:
    before = dict(matplotlib.rcParams)
    plots.plot_quantity([made_profile()])
    plots.plot_training([("admin", made_history())])
    with pytest.raises(ValueError):
        plots.plot_quantity([], None)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["$x", "$\\frac{", "_hidden", "a & <b>"])
def test_names_are_shown_as_they_are(name: str) -> None:
    ax = plots.plot_quantity([made_profile(name)])
    assert painted(ax).shows(scheme_style(name).color) > 50
    assert [text.get_text().replace("\\$", "$").strip() for text in ax.get_legend().get_texts()] == [name]
    plots.plot_curves([(name, made_history())], Figure().subplots())
    assert painted(plots.plot_gradients(made_gradients(name))).shows(scheme_style(name).color) > 50


def test_ticks_count_within_each_stack(ax: Axes) -> None:
    plots.plot_quantity([made_profile(layers=6)], ax)
    labels = [int(text.get_text()) for text in ax.get_xticklabels()]
    middle = labels.index(1, 1)
    assert labels[0] == 1
    assert labels[middle - 1] == 12
    assert labels[-1] == 18
    assert sorted(labels[:middle]) == labels[:middle]
    places = positions({"encoder": 12, "decoder": 18})
    assert ax.get_xticks()[middle] == places["decoder"][0] > places["encoder"][-1] + 1


def test_a_stack_alone_is_drawn_without_a_gap(ax: Axes) -> None:
    table = {"decoder": {"omega": [1.0, 2.0], "var_input": [1.0, 1.0], "var_branch": [0.5, 0.5]}}
    profile = VarianceProfile.from_arrays(table, scheme="admin")
    plots.plot_quantity([profile], ax)
    assert ax.get_xticks().tolist() == [1.0, 2.0]


def test_lines_that_coincide_are_both_to_be_seen(ax: Axes) -> None:
    plots.plot_quantity([made_profile("post_ln", seed=1), made_profile("pre_ln", seed=1)], ax)
    width = {
        scheme: max(
            line.get_linewidth()
            for line in ax.lines
            if line.get_color() == SCHEMES[scheme].color and line.get_linestyle() != "None"
        )
        for scheme in ("post_ln", "pre_ln")
    }
    assert width["post_ln"] > 1.5 * width["pre_ln"]


def test_what_cannot_be_drawn_is_one_clear_error() -> None:
    with pytest.raises(ValueError, match=r"quantity: expected one of omega, .*got 'beta'"):
        plots.plot_quantity([made_profile()], quantity="beta")
    with pytest.raises(ValueError, match="split: expected 'train' or 'valid', got 'test'"):
        plots.plot_curves([("admin", made_history())], split="test")
    for draw in (
        plots.plot_quantity,
        plots.plot_predicted_dependency,
        plots.plot_gradient_lines,
        plots.plot_curves,
    ):
        with pytest.raises(ValueError, match="expected at least one, got none"):
            draw([])


def test_gradients_that_are_all_zero_can_be_drawn() -> None:
    one = made_gradients()
    zero = type(one)(**{**vars(one), "outputs": {stack: 0 * norms for stack, norms in one.outputs.items()}})
    ax = plots.plot_gradients(zero)
    assert all(0 < low < high for low, high in [ax.get_ylim()])
    assert painted(ax).drawn > 0.01


def test_every_hybrid_has_a_look_that_no_scheme_and_no_other_hybrid_has() -> None:
    names = [*SCHEMES, *("/".join(pair) for pair in itertools.permutations(SCHEMES, 2))]
    looks = [(scheme_style(name).color, scheme_style(name).dashes) for name in names]
    assert len(set(looks)) == len(looks) == len(SCHEMES) ** 2
    deepnorm = scheme_style("deepnorm").color
    assert all(color != deepnorm for color, _ in looks[len(SCHEMES) :])


def test_kinds_of_matrices_have_colours_that_no_scheme_has() -> None:
    kinds = {color.upper() for color, _ in MARKS.values()}
    assert len(kinds) == len(MARKS)
    shown = [*SCHEMES, "post_ln/pre_ln", "admin/post_ln", "mine", "yours"]
    assert not kinds & {scheme_style(name).color.upper() for name in shown}


def test_every_fit_has_the_colour_of_its_curve(ax: Axes) -> None:
    plots.plot_output_change([made_output_change("post_ln"), made_output_change("admin", seed=1)], ax)
    thin = {to_hex(line.get_color()).upper() for line in ax.lines if line.get_linewidth() == FIT["linewidth"]}
    assert thin == {SCHEMES["post_ln"].color, SCHEMES["admin"].color}


def test_numbers_of_a_grid_have_the_same_decimals(ax: Axes) -> None:
    table = made_grid_table()
    plots.plot_grid(table, ax)
    numbers = [text.get_text().split("\n")[0].lstrip("↑ ") for text in ax.texts if text.get_text()[0] != "×"]
    assert len(numbers) > 2
    assert len({len(number.partition(".")[2]) for number in numbers}) == 1
