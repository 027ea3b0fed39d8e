"""The pictures of ``admin-py analyse``: all schemes and seeds of an analysis together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from admin_py.experiments.jobs import file_name
from admin_py.plots.files import HEIGHT, Picture
from admin_py.plots.output_change import height_for
from admin_py.plots.panels import panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from admin_py.analysis import Dependency, GradientNorms, OutputChange, UpdateNorms
    from admin_py.analysis.diagnosis.results import Diagnosis

PANELS = 3
"""Heatmaps in a row."""


def _first_seeds(found: Sequence[Any]) -> list[Any]:
    """The first result of each scheme."""
    firsts: dict[str, Any] = {}
    for one in found:
        firsts.setdefault(one.scheme, one)
    return list(firsts.values())


def _dependency(found: Sequence[Dependency]) -> Iterator[Picture]:
    """Heatmaps of the first seed, a picture a stack; shares of the own branches, of all seeds."""
    from admin_py import plots

    shown = _first_seeds(found)

    def heatmaps(figure: Figure, stack: str) -> None:
        if len(shown) == 1:
            plots.plot_dependency(shown[0], figure.subplots(), stack=stack)
        else:
            plots.plot_dependency_panels(shown, panels(figure, len(shown), PANELS), stack=stack)

    for stack in shown[0].stacks:
        height = HEIGHT + 0.8 if len(shown) == 1 else 0.3 + 2.7 * -(-len(shown) // PANELS)
        yield Picture(f"dependency_{stack}", height, partial(heatmaps, stack=stack))
    yield Picture(
        "dependency_own", HEIGHT, lambda figure: plots.plot_own_dependency(found, figure.subplots())
    )


def _output_change(found: Sequence[OutputChange]) -> Iterator[Picture]:
    """A line a scheme, mean and spread over seeds and repeats, a picture a stack."""
    from admin_py import plots
    from admin_py.analysis import pool

    shown = pool(found)
    for stack in shown[0].stacks:

        def draw(figure: Figure, stack: str = stack) -> None:
            plots.plot_output_change(shown, figure.subplots(), stack=stack, log=len(shown) > 1)

        yield Picture(f"output_change_{stack}", height_for(len(shown)), draw)


def _gradients(found: Sequence[GradientNorms]) -> Iterator[Picture]:
    """Bars, a panel a scheme, the range over seeds as error bars; matrices of the first seed."""
    from admin_py import plots
    from admin_py.analysis import pool

    shown, firsts = pool(found), _first_seeds(found)
    count = len(shown)
    height = HEIGHT if count == 1 else 0.4 + 2.1 * count

    def matrices(figure: Figure) -> None:
        plots.plot_matrix_gradient_panels(firsts, panels(figure, count))

    yield Picture("gradients", height, lambda figure: plots.plot_gradient_bars(shown, panels(figure, count)))
    yield Picture("gradients_matrices", height + 0.4, matrices)


def _updates(found: Sequence[UpdateNorms]) -> Iterator[Picture]:
    """Relative updates by kind, a panel a scheme; their histogram, of all seeds; omega where it moves."""
    from admin_py import plots
    from admin_py.analysis.updates import drifts

    firsts = _first_seeds(found)
    rows = len(firsts)
    height = HEIGHT + 0.2 if rows == 1 else 0.9 + 1.9 * rows
    yield Picture("updates", height, lambda figure: plots.plot_update_panels(firsts, panels(figure, rows)))
    yield Picture(
        "updates_histogram", HEIGHT, lambda figure: plots.plot_update_histogram(found, figure.subplots())
    )
    moved = [one for one in firsts if drifts(one)]
    count = sum(len(one.omega) for one in moved)
    if count:
        height = 2.9 * -(-count // 2)
        yield Picture(
            "updates_omega", height, lambda figure: plots.plot_omega_panels(moved, panels(figure, count, 2))
        )


def _diagnose(found: Sequence[Diagnosis]) -> Iterator[Picture]:
    """A picture a scheme, first seed: each has the known schemes in it already."""
    from admin_py import plots

    firsts = _first_seeds(found)
    for one in firsts:
        count = 2 if one.gradients else 1

        def draw(figure: Figure, one: Diagnosis = one, count: int = count) -> None:
            plots.plot_diagnosis(one, panels(figure, count))

        name = "diagnose" if len(firsts) == 1 else f"diagnose-{file_name(one.scheme)}"
        yield Picture(name, 2.9 * count, draw)


PICTURES: Mapping[str, Callable[[Sequence[Any]], Iterator[Picture]]] = {
    "dependency": _dependency,
    "output-change": _output_change,
    "gradients": _gradients,
    "updates": _updates,
    "diagnose": _diagnose,
}
"""Analysis -> pictures of its results, which are in the order of schemes, then seeds."""
