"""The tools that print digests say by their exit status whether bits are others."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from project import ROOT


@pytest.fixture
def tool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script as a module, which finds the scripts beside it."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    spec = importlib.util.spec_from_file_location(request.param, ROOT / "tools" / f"{request.param}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, request.param, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("tool", ["digest"], indirect=True)
def test_a_digest_that_is_not_as_kept(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "digests.json"
    monkeypatch.setattr(tool, "KEPT", kept)
    monkeypatch.setattr(tool, "WAYS", {"one": lambda data: [1.0], "two": lambda data: [2.0]})
    assert tool.main(["--write"]) == 0
    assert tool.main([]) == 0
    assert capsys.readouterr().out.count("not as kept\n") == 2  # before they were
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"two": "another"}))
    assert tool.main([]) == 1
    assert capsys.readouterr().out.count("not as kept\n") == 1
    with pytest.raises(SystemExit) as refused:
        tool.main(["--wrote"])
    assert refused.value.code == 2


@pytest.mark.parametrize("tool", ["digest_core"], indirect=True)
def test_tables_of_kernels_that_differ(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {"generic": ["aa float32", "bb float64"], "avx2": ["aa float32", "bb float64"]}
    monkeypatch.setattr(tool, "promised", lambda: list(lines))
    monkeypatch.setattr(tool, "lines_of", lambda kernels, each: lines[kernels])
    assert tool.main([]) == 0
    lines["avx2"][1] = "cc float64"
    assert tool.main([]) == 1
    assert capsys.readouterr().err == "tables of kernels differ: float64\n"
