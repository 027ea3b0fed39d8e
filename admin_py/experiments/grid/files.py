"""The folder of a grid: ``grid.json``, and for each cell ``cells/NAME.json``, perhaps its model, and
``translations/NAME.json`` where it has translated."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from admin_py.base import documents
from admin_py.experiments.grid.cell import GridCell
from admin_py.experiments.kept_models import keep_model, put_model
from admin_py.experiments.translations import put_translations, read_translations
from admin_py.model.transformer import Transformer
from admin_py.results import read_json

GRID_FILE, CELLS_FOLDER, TRANSLATIONS_FOLDER = "grid.json", "cells", "translations"


class GridFiles:
    """How a grid lies in a folder.

    Parameters
    ----------
    from_dict : callable
        A grid from what its header holds.
    """

    what, unit = "grid", "cell"

    def __init__(self, from_dict: Callable[[Mapping[str, Any]], Any]) -> None:
        self._from_dict = from_dict

    def there(self, folder: Path) -> bool:
        """Whether the folder has a grid."""
        return (folder / GRID_FILE).exists()

    def header(self, folder: str | os.PathLike[str]) -> Any:
        """The grid without its cells."""
        return read_json(Path(folder) / GRID_FILE, self._from_dict)

    def save_header(self, folder: str | os.PathLike[str], cross: Any) -> None:
        """Write what a grid is, without its cells."""
        documents.write(Path(folder) / GRID_FILE, replace(cross, cells=()).to_dict())

    def names(self, folder: Path) -> list[str]:
        """Of all cells that are whole."""
        return sorted(path.stem for path in (folder / CELLS_FOLDER).glob("*.json"))

    def member(self, folder: Path, name: str) -> GridCell | None:
        """A cell if it is whole."""
        path = cell_file(folder, name)
        return self._load(path) if path.exists() else None

    def save(self, folder: Path, name: str, found: Any) -> GridCell:
        """Write a cell, with its model if that is kept; returns it as it would be loaded."""
        path = cell_file(folder, name)
        _write(path, found.result, found.model)
        keep_model(found.result, model_file(path))
        return found.result

    def save_members(self, folder: Path, cross: Any) -> None:
        """Write all cells, with the models that they have."""
        for cell in cross.cells:
            _write(cell_file(folder, cell.name), cell, cell.model)

    def translations(self, folder: Path, name: str) -> Path:
        """Where a cell's translations are, if it has any."""
        return translations_file(cell_file(folder, name))

    def model(self, folder: Path, name: str) -> Path:
        """Where a cell's model is, if it was kept."""
        return model_file(cell_file(folder, name))

    def checkpoint(self, folder: Path, name: str) -> Path:
        """Where a cell that is not whole keeps its training."""
        return folder / CELLS_FOLDER / f"{name}.checkpoint"

    def _load(self, path: Path) -> GridCell:
        cell = GridCell.load(path)
        translations = read_translations(translations_file(path))
        if translations is not None:
            cell = replace(cell, translations=translations)
        keep_model(cell, model_file(path))
        return cell


def cell_file(folder: str | os.PathLike[str], name: str) -> Path:
    """Where a cell is kept."""
    return Path(folder) / CELLS_FOLDER / f"{name}.json"


def model_file(cell: Path) -> Path:
    """Where the model of a cell that is kept in this file is kept, if it is."""
    return cell.with_suffix(".safetensors")


def translations_file(cell: Path) -> Path:
    """Where the translations of a cell that is kept in this file are kept, if it has any."""
    return cell.parent.with_name(TRANSLATIONS_FOLDER) / cell.name


def _write(path: Path, cell: GridCell, model: Transformer | None) -> None:
    """A cell's file. It is away while those beside it are written: a whole cell has its own or none."""
    path.unlink(missing_ok=True)
    put_model(model_file(path), model)
    put_translations(translations_file(path), cell.translations)
    replace(cell, translations=None).save(path)
