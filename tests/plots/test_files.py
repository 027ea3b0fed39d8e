"""Figures as bytes."""

from __future__ import annotations

import matplotlib
import pytest
from made_results import made_profile
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from admin_py import plots
from admin_py.plots.files import FORMATS, HEIGHT, rendered, saved
from admin_py.plots.style import WIDTH, context


def profiles(figure: Figure) -> None:
    for ax, quantity in zip(figure.subplots(1, 2), ("omega", "var_branch")):
        plots.plot_quantity([made_profile("post_ln"), made_profile("a scheme")], ax, quantity=quantity)


@pytest.mark.parametrize("dpi", [None, 50])
@pytest.mark.parametrize("kind", FORMATS)
def test_it_is_what_is_saved_of_a_figure_with_a_layout(kind: str, dpi: float | None) -> None:
    with context():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        profiles(figure)
        assert rendered(profiles, kind, dpi=dpi) == saved(figure, kind, dpi=dpi)


@pytest.mark.parametrize("kind", FORMATS)
def test_all_is_drawn_once(kind: str) -> None:
    drawn = []

    class Counted(Rectangle):
        def draw(self, renderer) -> None:
            drawn.append(self)
            super().draw(renderer)

    with matplotlib.rc_context({"figure.constrained_layout.use": True}):
        rendered(lambda figure: figure.subplots().add_patch(Counted((0, 0), 1, 1)), kind)
    assert len(drawn) == 1


def test_no_renderer_is_made_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside those of the drawing and of the layout: each would measure all texts anew."""
    made = []
    make = Figure._get_renderer
    monkeypatch.setattr(Figure, "_get_renderer", lambda figure: made.append(figure) or make(figure))
    figure = Figure(layout="constrained")
    profiles(figure)
    figure.draw_without_rendering()
    assert made.count(figure) == 1
