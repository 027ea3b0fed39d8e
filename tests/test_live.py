"""The picture that renews itself: one output, replaced; nothing outside a notebook."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import Any

import pytest

import admin_py as ap
from admin_py import live as module


@pytest.fixture
def task() -> tuple[Any, ap.Transformer]:
    data = ap.data.copy_task(train=64, valid=8)
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    )
    return data, ap.Transformer(config, seed=1)


def train(task: tuple[Any, ap.Transformer], live: ap.LivePlot, **options: Any) -> ap.History:
    data, model = task
    return ap.train(
        model, data, optimizer=ap.Adam(lr=1e-3), steps=6, max_tokens=128, callbacks=[live], progress=False,
        valid_every=3, **options,
    )  # fmt: skip


def test_one_output_is_replaced(task: tuple[Any, ap.Transformer], monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []

    class Handle:
        def update(self, figure: Any) -> None:
            shown.append(("update", figure))

    def display(figure: Any, *, display_id: bool) -> Handle:
        assert display_id
        shown.append(("display", figure))
        return Handle()

    fake = ModuleType("IPython.display")
    fake.display = display  # type: ignore[attr-defined]
    shell = ModuleType("IPython")
    shell.version_info = (9, 0)  # type: ignore[attr-defined]  # Matplotlib asks for it,
    shell.get_ipython = lambda: None  # type: ignore[attr-defined]  # before 3.9 for this, too
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    monkeypatch.setattr(module, "in_notebook", lambda: True)
    live = ap.LivePlot(every=2)
    train(task, live, observe=1)
    assert [how for how, _ in shown] == ["display", "update", "update"]
    png, metadata = shown[-1][1]._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert metadata == {"width": 1000}
    labels = {ax.get_ylabel() for ax in live.figure.axes}
    assert any("omega" in label for label in labels), labels
    assert any("W_t" in label for label in labels), labels
    assert {ax.get_title(loc="left") or ax.get_title() for ax in live.figure.axes} >= {"Admin"}


def test_outside_a_notebook_the_last_picture_is_kept(task: tuple[Any, ap.Transformer], capsys) -> None:
    live = ap.LivePlot(every=3)
    history = train(task, live)
    assert len(live.figure.axes) == 1
    assert capsys.readouterr().out == ""
    other = train((task[0], task[1].copy()), ap.LivePlot(every=1))
    assert history.num_steps == other.num_steps == 6


def test_every_is_checked() -> None:
    with pytest.raises(ValueError, match="every"):
        ap.LivePlot(every=0)
    assert repr(ap.LivePlot(every=5)) == "LivePlot(every=5)"


def test_a_picture_that_cannot_be_drawn_is_left_out_and_said_once(
    task: tuple[Any, ap.Transformer], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("no such font")

    monkeypatch.setattr(module, "draw", fail)
    live = ap.LivePlot(every=2)
    assert train(task, live).num_steps == 6
    assert capsys.readouterr().err == (
        "the picture of step 2 is left out, it could not be drawn: RuntimeError: no such font\n"
    )


# In a real kernel

CELLS = (
    "import admin_py as ap\n"
    "data = ap.data.copy_task(train=64, valid=8)\n"
    "config = ap.TransformerConfig(vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=8,"
    " heads=2, d_ff=16)\n"
    "live = ap.LivePlot(every=2)\n"
    "def train(seed):\n"
    "    ap.train(ap.Transformer(config, seed=seed), data, optimizer='adam', lr=1e-3, steps=6,"
    " max_tokens=128, callbacks=[live], progress=False)",
    "train(1)",
    "train(2)",
    "train(3); train(4)",
)


def test_the_first_figure_of_a_kernel_is_a_picture_and_every_training_has_its_own(tmp_path: Any) -> None:
    pytest.importorskip("ipykernel", reason="needs a Jupyter kernel")
    nbclient = pytest.importorskip("nbclient", reason="needs a Jupyter kernel")
    nbformat = pytest.importorskip("nbformat", reason="needs a Jupyter kernel")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel's client, about its own loop
        nbclient.NotebookClient(book, timeout=300, kernel_name="python3", cwd=str(tmp_path)).execute()
    pictures = [
        [one.data["image/png"] for one in cell.outputs if one.output_type == "display_data"]
        for cell in book.cells[1:]
    ]
    assert [len(found) for found in pictures] == [1, 1, 2], "one output a training, replaced"
    assert len({png for found in pictures for png in found}) == 4
