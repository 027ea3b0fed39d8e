"""What is published: the source archive, what packagers are told, and the words of a build that cannot be."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from project import ROOT, pyproject

import admin_py as ap

yaml = pytest.importorskip("yaml")
RECIPE = ROOT / "packaging" / "conda-forge" / "recipe.yaml"
CONDA_NAMES = {"matplotlib": "matplotlib-base"}
"""Of this index's packages, where conda-forge has them under another name."""


def setup(folder: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "setup.py", "-q", *map(str, arguments)]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def archive(folder: Path, files: set[str], mask: int) -> Path:
    """That of a copy of the checkout, which was made under a mask."""
    before = os.umask(mask)
    try:
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
            (folder / name).chmod(((ROOT / name).stat().st_mode | 0o644) & ~mask)
        done = setup(folder, "sdist", SOURCE_DATE_EPOCH="1000000000")
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    (made,) = (folder / "dist").iterdir()
    return made


def test_the_source_archive_has_all_files_and_the_same_bytes(tmp_path: Path) -> None:
    """Whoever makes it, whenever. What it has beside git's files setuptools writes."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("this is no checkout")
    known = {name for name in done.stdout.splitlines() if (ROOT / name).exists()}
    one, other = archive(tmp_path / "one", known, 0o022), archive(tmp_path / "other", known, 0o077)
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()
    with tarfile.open(one) as opened:
        members = opened.getmembers()
    names = {member.name.partition("/")[2] for member in members if member.isfile()}
    assert {name for name in names if "egg-info" not in name} == known | {"PKG-INFO", "setup.cfg"}
    assert {(member.uid, member.uname, member.mtime) for member in members} == {(0, "", 1_000_000_000)}


def test_without_a_compiler_one_line_says_so(tmp_path: Path) -> None:
    done = setup(ROOT, "build_ext", "--build-lib", tmp_path, CC="no-such-compiler")
    assert done.returncode != 0
    assert done.stderr.splitlines() == [
        "admin-py cannot be built: there is no C compiler 'no-such-compiler' "
        "(Debian and Ubuntu: apt install gcc; or name another with CC=...)"
    ]
    assert not list(tmp_path.iterdir())


def test_without_pythons_headers_one_line_says_so(tmp_path: Path) -> None:
    code = """
import sys, sysconfig
real, elsewhere = sysconfig.get_path, sys.argv[1]
sysconfig.get_path = lambda name, *rest: elsewhere if name == "include" else real(name, *rest)
sys.argv = ["setup.py", "-q", "build_ext", "--build-lib", elsewhere]
exec(open("setup.py").read(), {"__name__": "__main__", "__file__": "setup.py"})
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"admin-py cannot be built: Python's headers, {tmp_path}/Python.h, are missing")


def test_the_recipe_for_conda_requires_what_the_package_does() -> None:
    recipe = yaml.safe_load(RECIPE.read_text("utf-8"))
    assert recipe["context"]["version"] == ap.__version__
    tables = pyproject()

    def lines(requirements: list[str]) -> list[str]:
        found = [Requirement(line) for line in requirements]
        return [f"{CONDA_NAMES.get(one.name, one.name)} {one.specifier}" for one in found]

    needed = recipe["requirements"]
    assert needed["host"] == ["python", "pip", *lines(tables["build-system"]["requires"])]
    assert needed["run"] == ["python", *lines(tables["project"]["dependencies"])]
    (script,) = tables["project"]["scripts"].items()
    assert recipe["build"]["python"]["entry_points"] == [" = ".join(script)]
    assert recipe["about"]["license"] == tables["project"]["license"]


def test_the_workflow_builds_on_every_machine_and_publishes_from_a_tag_alone() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "wheels.yml").read_text("utf-8"))
    jobs = workflow["jobs"]
    assert set(jobs["publish"]["needs"]) == set(jobs) - {"publish"}
    assert "refs/tags/v" in jobs["publish"]["if"]
    assert workflow["permissions"] == {"contents": "read"}
    runners = jobs["wheels"]["strategy"]["matrix"]["runner"]
    assert {re.split(r"-\d+(?:\.\d+)?", name)[0] for name in runners} == {"ubuntu", "macos"}
    assert len(runners) == 4
    for job in jobs.values():
        for step in job["steps"]:
            for path in re.findall(r"tools/\w+\.py", str(step.get("run", ""))):
                assert (ROOT / path).is_file()
