"""Measured numbers in pages and notebooks are those of docs/figures.json, each with where it comes from."""

from __future__ import annotations

import copy
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from project import ROOT


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, at work on a copy of the pages."""
    spec = importlib.util.spec_from_file_location("quoted_figures", ROOT / "tools" / "quoted_figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "quoted_figures", module)
    spec.loader.exec_module(module)
    named = [*module.pages(), *(quote["file"] for quote in module.stored()["quotes"]), "docs/figures.json"]
    for name in dict.fromkeys(named):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "STORED", tmp_path / "docs" / "figures.json")
    return module


@pytest.fixture
def tables(tool: ModuleType) -> dict[str, Any]:
    """What is stored; each test has its own."""
    return copy.deepcopy(tool.stored())


def test_all_pages_say_what_is_stored(tool: ModuleType, tables: dict[str, Any]) -> None:
    assert list(tool.problems(tables)) == []
    assert len(tables["figures"]) > 150
    assert {"README.md", "docs/performance.md", "notebooks/04_output_change.ipynb"} <= {
        quote["file"] for quote in tables["quotes"]
    }


def test_ratios_of_the_output_change_are_not_swapped(tables: dict[str, Any]) -> None:
    """The same figures in the page and in the notebook, each beside the paper's of its scheme."""
    texts = {(one["file"], one["text"][:20]): one["text"] for one in tables["quotes"]}
    page = texts["docs/paper_and_releases.md", "**Output change at 2"]
    assert (
        "to Pre-LN and to Admin are 13.0 and 13.9. Over four seeds ours are [[deep.pre_ln.mean]] and" in page
    )
    rows = {text for (name, _), text in texts.items() if name == "notebooks/04_output_change.ipynb"}
    assert any(
        row.startswith("| Post-LN / Pre-LN | 13.0 |") and "[[deep.pre_ln.mean]]" in row for row in rows
    )
    assert any(row.startswith("| Post-LN / Admin | 13.9 |") and "[[deep.admin.mean]]" in row for row in rows)


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md", "notebooks/08_your_own_text.ipynb"])
def test_a_page_that_differs_is_found_and_mended(tool: ModuleType, tables: dict[str, Any], page: str) -> None:
    path = tool.ROOT / page
    right = path.read_text("utf-8")
    quote = next(one for one in tables["quotes"] if one["file"] == page)
    name = tool.names_in(quote["text"])[0]
    tables["figures"][name]["value"] = "97.53"
    assert any(one.startswith(f"{page}: does not say") and "97.53" in one for one in tool.problems(tables))
    assert tool.write(tables) >= 1
    assert "97.53" in path.read_text("utf-8")
    assert list(tool.problems(tables)) == []
    assert tool.write(tool.stored()) >= 1
    assert path.read_text("utf-8") == right


def test_a_number_that_nobody_wrote_down_is_found(tool: ModuleType, tables: dict[str, Any]) -> None:
    path = tool.ROOT / "docs" / "guide.md"
    path.write_text(path.read_text("utf-8") + "\nIt is 3.14 times as fast.\n", encoding="utf-8")
    (found,) = tool.problems(tables)
    assert found.startswith(
        "docs/guide.md: has numbers of which docs/figures.json does not know: 'It is 3.14"
    )


def test_figures_without_a_source_or_a_page_are_found(tool: ModuleType, tables: dict[str, Any]) -> None:
    tables["sources"]["deep"]["command"] = ""
    tables["figures"]["lost"] = {"value": "1", "source": "nobody"}
    tables["quotes"].append({"file": "README.md", "text": "[[missing]] times"})
    told = list(tool.problems(tables))
    assert "sources: 'deep' has no command" in told
    assert any(one.startswith("figures: 'lost' has the source 'nobody'") for one in told)
    assert "quotes: there is no figure 'missing'" in told
    assert "figures: 'lost' is quoted nowhere" in told


def test_the_file_is_what_the_tool_reads(tables: dict[str, Any]) -> None:
    assert list(tables) == ["sources", "figures", "quotes", "others"]
    assert all(set(one) == {"value", "source"} for one in tables["figures"].values())
    assert json.loads((ROOT / "docs" / "figures.json").read_text("utf-8")) == tables
