"""The folder of a grid: what comes back, that it goes on after any stop, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_grid import DATA, SMALL
from small_models import growing

import admin_py as ap
from admin_py.experiments.grid.results import Grid
from admin_py.experiments.grid.train_cell import TrainCell


def test_whole_cells_are_not_trained_again_and_axes_may_grow(tmp_path: Path, monkeypatch) -> None:
    trained = []
    original = TrainCell.__call__

    def counted(self: TrainCell, job: Any, *arguments: Any) -> Any:
        trained.append(job.name)
        return original(self, job, *arguments)

    monkeypatch.setattr(TrainCell, "__call__", counted)
    first = ap.grid(DATA, schemes="post_ln", lr=[1e-3, 1e-2], out=tmp_path, **SMALL)
    assert len(trained) == 2
    again = ap.grid(DATA, schemes="post_ln", lr=[1e-3, 1e-2], out=tmp_path, **SMALL)
    assert len(trained) == 2
    assert again == first
    more = ap.grid(DATA, schemes=["post_ln", "admin"], lr=[1e-2, 1e-1], out=tmp_path, **SMALL)
    assert len(trained) == 5
    assert [(cell.scheme, cell.lr) for cell in more.cells] == [
        ("post_ln", 1e-3),
        ("post_ln", 1e-2),
        ("post_ln", 1e-1),
        ("admin", 1e-2),
        ("admin", 1e-1),
    ]
    assert not more.interrupted, "what the last call asked for is there"
    assert more.cells[0] == first.cells[0]
    (tmp_path / "cells" / f"{trained[-1]}.json").unlink()
    assert Grid.load(tmp_path).interrupted
    assert "1 not run yet" in repr(Grid.load(tmp_path))


def test_a_folder_of_another_grid_is_refused(tmp_path: Path) -> None:
    options = {**SMALL, "layers": 2, "out": tmp_path}
    ap.grid(DATA, schemes=growing(0.5), **options)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    with pytest.raises(ValueError, match=r"out: .* holds a grid with steps 3, not 4"):
        ap.grid(DATA, schemes="admin", **{**options, "steps": 4})
    with pytest.raises(ValueError, match=r"out: .* holds a grid with schedule 'inverse_sqrt', not 'cosine'"):
        ap.grid(DATA, schemes="admin", schedule="cosine", warmup=0, **options)
    other = ap.data.copy_task(train=60, valid=10, symbols=6, max_length=6, seed=1)
    with pytest.raises(ValueError, match=r"out: .* holds a grid of other data"):
        ap.grid(other, schemes="admin", **options)
    with pytest.raises(ValueError, match=r"the scheme of 'growing skip, .* was another one"):
        ap.grid(DATA, schemes=growing(0.25), **options)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


@pytest.mark.parametrize("name", ["grid.json", "cells/*.json"])
def test_a_damaged_file_is_named(small: Grid, tmp_path: Path, name: str) -> None:
    small.save(tmp_path)
    path = next(tmp_path.glob(name))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=path.stem):
        Grid.load(tmp_path)


def test_a_folder_without_a_grid_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Grid.load(tmp_path)


def test_models_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    found = ap.grid(DATA, schemes="admin", keep_models=True, out=tmp_path, **SMALL)
    model = found.cells[0].model
    assert model is not None
    here = ap.grid(DATA, schemes="admin", keep_models=True, **SMALL).cells[0].model
    assert all(np.array_equal(model.parameters[name], here.parameters[name]) for name in model.parameters)
    assert ap.grid(DATA, schemes="admin", **SMALL).cells[0].model is None
    assert not list(tmp_path.rglob("*.checkpoint"))


def test_a_cell_is_written_after_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ap.grid(DATA, schemes="admin", keep_models=True, **SMALL)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ap.Transformer, "save", full)
    with pytest.raises(OSError, match="No space left"):
        found.save(tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_a_cell_that_has_no_model_does_not_get_that_of_another(tmp_path: Path) -> None:
    ap.grid(DATA, schemes="admin", keep_models=True, **SMALL).save(tmp_path)
    assert Grid.load(tmp_path).cells[0].model is not None
    ap.grid(DATA, schemes="admin", **{**SMALL, "steps": 4}).save(tmp_path)
    assert Grid.load(tmp_path).cells[0].model is None


def test_a_cell_that_was_stopped_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    options = {**SMALL, "steps": 150}

    def stop(step: int, model: ap.Transformer, history: Any) -> None:
        seen.append(step)
        if step == 120:
            raise KeyboardInterrupt

    seen: list[int] = []
    assert ap.grid(DATA, schemes="admin", out=tmp_path, callbacks=[stop], **options).interrupted
    assert len(list(tmp_path.glob("cells/*.checkpoint"))) == 1
    seen.clear()
    resumed = ap.grid(
        DATA, schemes="admin", out=tmp_path, callbacks=[lambda *a: seen.append(a[0])], **options
    )
    assert seen[0] == 121
    assert resumed.cells[0].same_numbers(ap.grid(DATA, schemes="admin", **options).cells[0])
