"""The notebooks: kept as executed, with the outputs of the present cells, which use what is there."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import operator
from pathlib import Path
from typing import Any

import pytest

import admin_py as ap

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 500_000
"""Bytes of a notebook with its pictures."""

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text("utf-8"))["cells"]


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in cells(path) if cell["cell_type"] == "code"]


def test_they_are_numbered() -> None:
    assert NOTEBOOKS
    assert [path.stem[:3] for path in NOTEBOOKS] == sorted({path.stem[:3] for path in NOTEBOOKS})
    assert NOTEBOOKS[0].name == "01_quick_start.ipynb"


@each
def test_outputs_are_kept_and_of_these_cells(path: Path) -> None:
    code = "\0".join("".join(cell["source"]) for cell in code_cells(path))
    executed = json.loads(path.read_text("utf-8"))["metadata"]["executed"]
    digest = hashlib.sha256(code.encode("utf-8")).hexdigest()[:16]
    assert executed == digest, "run `make notebooks`: cells changed since they were executed"
    counts = [cell["execution_count"] for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "not executed from top to bottom"


@each
def test_outputs_have_pictures_and_no_complaints(path: Path) -> None:
    outputs = [output for cell in code_cells(path) for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert path.stat().st_size < LARGEST


@each
def test_links_lead_to_notebooks(path: Path) -> None:
    import re

    text = "".join("".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown")
    for target in re.findall(r"\]\(([^)#]+\.ipynb)\)", text):
        assert (path.parent / target).exists(), f"{target} is not there"


def names_of(tree: ast.AST, module: str) -> set[str]:
    """Dotted names that code looks up in a module that it has under this name: ``ap.analysis.updates``."""
    found = set()
    for node in ast.walk(tree):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id == module and parts:
            found.add(".".join(reversed(parts)))
    return found


@each
def test_every_name_of_the_package_is_there(path: Path) -> None:
    """Whether cells of all notebooks go on to run is for `make notebooks-check`; names are seen at once."""
    tree = ast.parse("\n".join("".join(cell["source"]) for cell in code_cells(path)))
    used = names_of(tree, "ap")
    assert used, "a notebook that does not use the package"
    for name in used:
        operator.attrgetter(name)(ap)
    modules = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    for node in modules:
        if (node.module or "").partition(".")[0] == "admin_py":
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)


def test_a_name_that_is_gone_is_seen() -> None:
    tree = ast.parse("print(ap.data.copy_task().batches(), ap.gone.away)")
    assert names_of(tree, "ap") >= {"data.copy_task", "gone.away"}
    with pytest.raises(AttributeError):
        operator.attrgetter("gone.away")(ap)
