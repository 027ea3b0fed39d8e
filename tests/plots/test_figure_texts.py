"""Figures can be read: no text on another, none cut off, no legend on the data, schemes apart in grey."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import matplotlib
import pytest
from drawn_figures import DRAWN, SMALL, Case, draw
from figure_texts import clipped, on_data, overlaps, texts
from made_results import (
    made_attention,
    made_dependency,
    made_diagnosis,
    made_gradients,
    made_output_change,
    made_study,
    made_updates,
)
from matplotlib.figure import Figure

from admin_py.cli import analyse as analyse_command
from admin_py.experiments.study.results import Study, StudyRun
from admin_py.plots.style import SCHEMES, WIDTH, context, scheme_style
from admin_py.report import pictures as report_pictures

CASES = {
    "small": SMALL,
    "one": Case(1, ("admin",)),
    "deep": Case(18, ("post_ln", "pre_ln", "admin", "post_ln/pre_ln")),
    "many": Case(
        6,
        (
            *("post_ln", "pre_ln", "admin", "post_ln/pre_ln"),
            *("admin_torch_1_trained", "layernorm_scaling", "a scheme of my own"),
        ),
    ),
}
"""Layers and schemes from few to as many as a figure is likely to be given."""

MAY_STAND_ON_DATA = ("plot_curves", "plot_training", "plot_schedule")
"""Their legends look for the emptiest place among curves."""


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    matplotlib.use("Agg", force=True)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def assert_readable(figure: Figure, *, data: bool = True) -> None:
    drawn = texts(figure)
    assert drawn
    assert not overlaps(drawn)
    assert not clipped(figure, drawn)
    if data:
        assert not on_data(figure)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_read(name: str, case: str) -> None:
    assert_readable(draw(name, CASES[case]), data=name not in MAY_STAND_ON_DATA)


def full_study(schemes: tuple[str, ...], layers: int) -> Study:
    """A made study whose runs have every analysis."""
    made = made_study({scheme: [0.5, 0.6] for scheme in schemes}, layers=layers)
    runs = [
        StudyRun(
            **{
                **vars(run),
                "dependency_before": made_dependency(run.scheme, layers=layers, seed=number),
                "dependency_after": made_dependency(run.scheme, layers=layers, seed=number + 50),
                "attention": made_attention(run.scheme, layers=layers, seed=number),
                "output_change": made_output_change(run.scheme, layers=layers, seed=number),
            }
        )
        for number, run in enumerate(made.runs)
    ]
    return made.with_members(runs)


@pytest.mark.parametrize("case", ["small", "many"])
def test_every_picture_of_a_report_can_be_read(case: str) -> None:
    study = full_study(tuple(CASES[case].schemes), CASES[case].layers)
    for one in report_pictures.pictures(study):
        with context():
            figure = Figure(figsize=(WIDTH, one.height), layout="constrained")
            one.draw(figure)
            assert_readable(figure, data=one.name != "losses")


MADE = {
    "dependency": made_dependency,
    "output-change": made_output_change,
    "gradients": made_gradients,
    "updates": made_updates,
    "diagnose": made_diagnosis,
}


@pytest.mark.parametrize("case", ["one", "many"])
@pytest.mark.parametrize("name", analyse_command.PICTURES)
def test_every_picture_of_the_command_can_be_read(name: str, case: str) -> None:
    results = CASES[case].seeds(MADE[name])
    for one in analyse_command.PICTURES[name](results):
        with context():
            figure = Figure(figsize=(WIDTH, one.height), layout="constrained")
            one.draw(figure)
            assert_readable(figure)


def test_the_check_can_fail() -> None:
    figure = Figure(figsize=(4, 3), dpi=100)
    ax = figure.subplots()
    ax.plot([0.0, 1.0], [0.0, 1.0], label="a line")
    ax.legend(loc="lower left")
    figure.text(0.4, 0.5, "one text")
    figure.text(0.45, 0.51, "another")
    figure.text(0.95, 0.2, "too far to the right")
    drawn = texts(figure)
    assert [line.split(":")[0] for line in overlaps(drawn)] == ["'one text' and 'another'"]
    assert [line.split(":")[0] for line in clipped(figure, drawn)] == ["'too far to the right'"]
    assert on_data(figure) == ["legend a line on 1 points of a line"]


LEAST_GREY = 8.0
"""Steps of L* that two greys are told apart by beside each other, in print; 2.3 is just noticed."""


def lightness(color: str) -> float:
    """L* of a colour, 0 to 100."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(color)
    )
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return float(116 * y ** (1 / 3) - 16) if y > 216 / 24389 else float(24389 / 27 * y)


HYBRIDS = tuple("/".join(pair) for pair in itertools.permutations(("post_ln", "pre_ln", "admin"), 2))


def test_schemes_are_told_apart_without_colour() -> None:
    """By lightness or by dashes; so are hybrids of the main three from these."""
    pairs = [
        *itertools.combinations(SCHEMES, 2),
        *itertools.product(("post_ln", "pre_ln", "admin"), HYBRIDS),
        ("post_ln/pre_ln", "pre_ln/post_ln"),
    ]
    alike = []
    for a, b in pairs:
        one, other = scheme_style(a), scheme_style(b)
        apart = abs(lightness(one.color) - lightness(other.color))
        if one.dashes == other.dashes and apart < LEAST_GREY:
            alike.append(f"{a} and {b}: L* {apart:.1f} apart, the same dashes")
    assert not alike
