"""What `make test-pythons` and `make test-oldest` find, install and run; the runs themselves are theirs."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from project import ROOT, pyproject


@pytest.fixture(scope="module")
def tools() -> dict[str, ModuleType]:
    """The two scripts as modules."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools"))
        for name in ("requirements", "elsewhere"):
            spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            found[name] = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, name, found[name])
            spec.loader.exec_module(found[name])
    return found


def test_the_oldest_requirements_are_the_least_that_are_promised(tools) -> None:
    pinned = list(map(Requirement, tools["requirements"].requirements("oldest")))
    promised = list(map(Requirement, pyproject()["project"]["dependencies"]))
    assert [one.name for one in pinned] == [one.name for one in promised]
    for pin, promise in zip(pinned, promised, strict=True):
        assert [(one.operator, one.version) for one in promise.specifier] == [
            (">=", one.version) for one in pin.specifier
        ]


@pytest.mark.parametrize(
    "line", ["numpy", "numpy>1.26", "numpy>=1.26,<3", "numpy~=1.26", "numpy>=1.26; extra"]
)
def test_a_requirement_without_one_least_version_cannot_be_tested(tools, line: str) -> None:
    with pytest.raises(SystemExit, match="must be NAME>=VERSION"):
        tools["requirements"].oldest(line)


def test_quick_requirements_are_of_the_tests(tools) -> None:
    quick, test = (tools["requirements"].requirements(name) for name in ("quick", "test"))
    left_out = [line for line in test if line not in quick]
    translation = tools["requirements"].requirements("translation")
    assert [*(line for line in test if line in quick), *translation] == quick
    assert sorted(Requirement(line).name for line in left_out) == sorted(tools["requirements"].TOOLS)


def test_wheels_are_tried_with_the_same(tools) -> None:
    """Where they are built for publishing, on the Pythons that pyproject.toml names."""
    table = pyproject()["tool"]["cibuildwheel"]
    assert table["test-requires"] == tools["requirements"].requirements("quick")
    named = [f"cp{version.replace('.', '')}-*" for version in tools["elsewhere"].versions()]
    assert table["build"] == named


def test_what_is_run_is_there(tools) -> None:
    for one in tools["elsewhere"].QUICK:
        assert (ROOT / "tests" / one).exists(), one


def test_the_pythons_are_those_that_are_supported(tools) -> None:
    versions = tools["elsewhere"].versions()
    assert versions[0] == pyproject()["project"]["requires-python"].removeprefix(">=")
    numbers = [int(version.partition(".")[2]) for version in versions]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def fake(path: Path, version: str) -> Path:
    """A program that answers as a Python of a version does."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


def test_a_python_is_found_in_pyenvs_folder_and_on_path(tools, tmp_path: Path, monkeypatch, capsys) -> None:
    elsewhere = tools["elsewhere"]
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    oldest, second, *_, newest = elsewhere.versions()
    mine = fake(tmp_path / "pyenv" / "versions" / f"{oldest}.9" / "bin" / "python3", oldest)
    fake(tmp_path / "pyenv" / "versions" / f"{second}.1" / "bin" / "python3", "of another version")
    assert elsewhere.find(oldest) == str(mine)
    assert elsewhere.find(second) is None
    on_path = fake(tmp_path / "bin" / f"python{second}", second)
    assert elsewhere.pythons() == {oldest: str(mine), second: str(on_path)}
    assert capsys.readouterr().out == (
        f"elsewhere: there is no Python {newest} (looked with uv, in pyenv's folder and on PATH)\n"
    )


def test_without_any_python_it_says_so_and_goes_on(tools, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools["elsewhere"].main("oldest") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "elsewhere: no Python that could be used: nothing was tested"
    )


@pytest.mark.parametrize(
    ("changed", "built"),
    [("csrc/build/release/test_base.log", 0), ("csrc/kernels/gemm.inc", 1), ("setup.py", 1)],
)
def test_a_wheel_is_built_again_when_a_source_is_newer(
    tools, tmp_path: Path, monkeypatch, changed: str, built: int
) -> None:
    elsewhere = tools["elsewhere"]
    made = tmp_path / "build" / "wheel-3.10" / "one.whl"
    for path in (tmp_path / changed, tmp_path / "pyproject.toml", made):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.utime(tmp_path / "pyproject.toml", (1, 1))
    os.utime(made, (2, 2))
    commands = []

    def run(command: list[object]) -> None:
        commands.append(command)
        made.parent.mkdir()
        made.touch()

    monkeypatch.setattr(elsewhere, "ROOT", tmp_path)
    monkeypatch.setattr(elsewhere, "FOLDER", tmp_path / "build")
    monkeypatch.setattr(elsewhere, "run", run)
    assert elsewhere.build_wheel("3.10", "python") == made
    assert len(commands) == built
