"""The notebooks: kept as they were executed, with the outputs of the present cells; every cell runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 500_000
"""Bytes of a notebook with its pictures."""

QUICK = ("02_profiling_and_admin",)
"""Notebooks that this suite runs too; `make notebooks-check` runs all of them in kernels."""

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


@pytest.mark.parametrize("name", QUICK)
def test_every_cell_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib
    import matplotlib.pyplot as plt

    matplotlib.use("Agg", force=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    path = ROOT / "notebooks" / f"{name}.ipynb"
    try:
        for number, cell in enumerate(code_cells(path)):
            exec(compile("".join(cell["source"]), f"{path.name}, code cell {number}", "exec"), names)
        assert plt.get_fignums(), "a notebook without a picture"
    finally:
        plt.close("all")
    assert not list(tmp_path.iterdir()), "a notebook leaves no files"
