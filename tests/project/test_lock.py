"""What CI installs is pinned and hashed, and is all that pyproject.toml requires."""

from __future__ import annotations

import importlib.util
import re
import sys
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from project import ROOT, pyproject


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    """The script as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools"))
        spec = importlib.util.spec_from_file_location("lock", ROOT / "tools" / "lock.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "lock", module)
        spec.loader.exec_module(module)
    return module


def entries(text: str) -> list[str]:
    """Requirements of a file, each with its hashes in one line."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [one for one in lines.replace("\\\n", " ").splitlines() if one.strip()]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-torch.txt"])
def test_every_requirement_has_one_version_and_hashes(name: str) -> None:
    found = entries((ROOT / ".ci" / name).read_text("utf-8"))
    assert found
    for entry in found:
        requirement, *hashes = entry.split("--hash=")
        assert [one.operator for one in Requirement(requirement.strip()).specifier] == ["=="], entry
        assert hashes, entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one.strip()) for one in hashes), entry


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_each_python_has_one_version_of_what_is_required(lock: ModuleType, python: str) -> None:
    """Of all that pyproject.toml names and this Python is to have."""
    assert python in SpecifierSet(pyproject()["project"]["requires-python"])
    about = {"python_version": python, "python_full_version": f"{python}.1"}
    locked = [Requirement(one.split("--hash=")[0].strip()) for one in
              entries(lock.LOCK.read_text("utf-8"))]  # fmt: skip
    have: dict[str, list[str]] = {}
    for one in locked:
        if one.marker is None or one.marker.evaluate(about):
            have.setdefault(lock.name_of(one.name), []).append(str(one.specifier).removeprefix("=="))
    for line in lock.wanted():
        asked = Requirement(line)
        if asked.marker is None or asked.marker.evaluate(about):
            versions = have.get(lock.name_of(asked.name), [])
            assert len(versions) == 1, (line, versions)
            assert asked.specifier.contains(versions[0], prereleases=True), line


def test_nothing_is_missing_and_what_is_missing_is_named(lock: ModuleType, monkeypatch) -> None:
    assert lock.lacking() == []
    have = {name: versions for name, versions in lock.locked().items() if name != "numpy"}
    monkeypatch.setattr(lock, "locked", lambda: {**have, "tqdm": {"1.0"}})
    told = lock.lacking()
    assert [one for one in told if one.startswith("numpy")]
    assert "tqdm>=4.60 (the file has 1.0)" in told


def test_ci_installs_from_it_and_takes_nothing_else() -> None:
    text = (ROOT / ".ci" / "run").read_text("utf-8")
    installs = [line.strip() for line in text.splitlines() if "pip install" in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line and "-r .ci/requirements" in line for line in installs)
    for target in ("test", "lint", "docs", "sanitize"):
        assert re.search(rf"offline make {target}\b", text), target
    assert text.index('"environment" environment') < text.index('stage "make test"')
