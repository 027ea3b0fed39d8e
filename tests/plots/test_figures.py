"""Every figure is made of what is stored: labels, scales, legends, colours and data, but not pixels.

After a change on purpose: ``python tests/helpers/store_figures.py``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import matplotlib
import pytest
from drawn_figures import DRAWN, SMALL, Case, draw
from figure_structure import differences, dump, structure
from store_figures import STORED

from admin_py import plots


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    matplotlib.use("Agg", force=True)
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def stored(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STORED / f"{name}.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_made_of_what_is_stored(name: str) -> None:
    found = json.loads(dump(structure(draw(name))))
    wrong = differences(stored(name), found, name)
    assert not wrong, "\n".join(wrong[:20])


def test_every_plot_function_has_a_stored_figure_and_no_file_is_left_over() -> None:
    functions = {name for name in plots.__all__ if name.startswith("plot_")}
    assert functions <= {name.partition("-")[0] for name in DRAWN}
    assert {path.stem for path in STORED.glob("*.json")} == set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_has_a_title_and_a_name_for_both_axes(name: str) -> None:
    """Of panels side by side one may have it for all."""
    axes = structure(draw(name))["axes"]
    assert any(ax["title"] for ax in axes)
    for which in ("x", "y"):
        labels = [ax[which]["label"] for ax in axes]
        texts = [text for ax in axes for text in ax.get("texts", ())]
        assert any(labels) or any("layer" in text for text in texts)


def change_a_label(figure: dict[str, Any]) -> None:
    figure["axes"][0]["y"]["label"] += "."


def change_a_color(figure: dict[str, Any]) -> None:
    figure["axes"][0]["lines"][0]["color"] = "#000000"


def change_a_number(figure: dict[str, Any]) -> None:
    figure["axes"][0]["lines"][0]["y"][0] *= 1.001


def change_the_legend(figure: dict[str, Any]) -> None:
    figure["axes"][0]["legends"][0][0]["text"] = "Post-LN and more"


def drop_a_line(figure: dict[str, Any]) -> None:
    del figure["axes"][0]["lines"][-1]


def change_a_scale(figure: dict[str, Any]) -> None:
    figure["axes"][0]["y"]["scale"] = "log"


CHANGES = (change_a_label, change_a_color, change_a_number, change_the_legend, drop_a_line, change_a_scale)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_comparison_finds_a_change(change: Any) -> None:
    figure = stored("plot_quantity")
    changed = copy.deepcopy(figure)
    change(changed)
    assert not differences(figure, figure)
    assert len(differences(figure, changed)) == 1


@pytest.mark.parametrize("name", sorted(set(DRAWN) - {"plot_grid", "plot_grid_panels", "plot_schedule"}))
def test_other_data_give_another_figure(name: str) -> None:
    other = Case(3, ("admin", "pre_ln"))
    assert differences(stored(name), json.loads(dump(structure(draw(name, other)))))


def test_another_colour_of_a_scheme_gives_other_figures(monkeypatch) -> None:
    from admin_py.plots import style

    changed = {**style.SCHEMES, "post_ln": style.SCHEMES["post_ln"]._replace(color="#123456")}
    monkeypatch.setattr(style, "SCHEMES", changed)
    for name in ("plot_quantity", "plot_gradients", "plot_curves", "plot_update_histogram", "plot_diagnosis"):
        wrong = differences(stored(name), json.loads(dump(structure(draw(name, SMALL)))), name)
        assert any("#123456" in line for line in wrong)
