"""What an installation holds: metadata, licences, libraries of its own, and one place for the version."""

from __future__ import annotations

import ast
import io
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import jinja2
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from project import ROOT, pyproject

import admin_py
from admin_py import _core, _core64
from admin_py.base.versions import PACKAGES, system, versions

PACKAGE = Path(admin_py.__file__).resolve().parent
LIBRARIES = PACKAGE / "_libs"

needs_vendored = pytest.mark.skipif(
    not LIBRARIES.exists(), reason="built with ADMIN_PY_BLAS=system: no libraries of its own"
)


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- metadata ----


def test_metadata():
    """What was built says what pyproject.toml says."""
    meta, project = metadata.metadata("admin-py"), pyproject()["project"]
    assert meta["Name"] == project["name"]
    assert meta["Version"] == admin_py.__version__
    assert meta["Summary"] == project["description"]
    assert meta["License-Expression"] == project["license"]
    assert SpecifierSet(meta["Requires-Python"]) == SpecifierSet(project["requires-python"])
    extras = project["optional-dependencies"]
    assert set(meta.get_all("Provides-Extra")) == set(extras)
    required = {Requirement(line) for line in project["dependencies"]}
    for extra, lines in extras.items():
        for line in lines:
            name, _, condition = line.partition(";")
            together = f"({condition})" if " and " in condition else condition
            own = f"{together} and " if condition else ""
            required.add(Requirement(f'{name}; {own}extra == "{extra}"'))
    installed = set(map(Requirement, metadata.requires("admin-py")))
    assert installed == required, "run `make build`: pyproject.toml changed since it was installed"


def test_the_commands_are_installed():
    entries = [one for one in metadata.entry_points(group="console_scripts") if one.dist.name == "admin-py"]
    assert {one.name: one.value for one in entries} == pyproject()["project"]["scripts"]
    assert all(callable(one.load()) for one in entries)


def test_the_version_is_written_once():
    version = admin_py.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", version)
    assert f'__version__ = "{version}"' in (ROOT / "admin_py" / "_version.py").read_text()
    for name in ("pyproject.toml", "setup.py"):
        assert f'"{version}"' not in (ROOT / name).read_text()
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_the_blas_is_pinned_and_only_needed_to_build():
    build = [Requirement(line) for line in pyproject()["build-system"]["requires"]]
    (blas,) = (one for one in build if "openblas" in one.name)
    assert [one.operator for one in blas.specifier] == ["=="]
    assert not any("openblas" in line for line in metadata.requires("admin-py"))


# ---- files ----


def test_what_goes_into_a_wheel_beside_the_code_is_there():
    for pattern in pyproject()["tool"]["setuptools"]["package-data"]["admin_py"]:
        assert list(PACKAGE.glob(pattern)), pattern


@pytest.mark.parametrize("module", [_core, _core64], ids=["float32", "float64"])
def test_types_are_declared(module):
    name = module.__name__.rpartition(".")[2]
    stub = ast.parse((PACKAGE / f"{name}.pyi").read_text("utf-8"))
    declared = {node.name for node in ast.walk(stub) if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    declared |= {
        alias.asname or alias.name
        for node in ast.walk(stub)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {one for one, value in vars(module).items() if callable(value) and one[0] != "_"} <= declared


def test_the_templates_of_the_report_are_templates():
    folder = PACKAGE / "report" / "templates"
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), autoescape=True)
    assert environment.list_templates(["j2"])
    for name in environment.list_templates(["j2"]):
        assert environment.get_template(name).name == name


def test_licences():
    assert "Permission is hereby granted, free of charge" in (ROOT / "LICENSE").read_text()
    named = {path.name for pattern in pyproject()["project"]["license-files"] for path in ROOT.glob(pattern)}
    found = metadata.distributions(name="admin-py")  # setup.py leaves another one, without files
    files = {path for one in found for path in one.files or ()}
    installed = {path.name for path in files if "licenses" in path.parts}
    assert {"LICENSE"} == named == installed


@needs_vendored
def test_libraries_come_with_their_licences():
    assert "OpenBLAS" in (LIBRARIES / "LICENSE.openblas.txt").read_text()


# ---- libraries ----


@needs_vendored
def test_libraries_loaded_are_our_own_copies():
    """In a process of its own: nothing else has loaded a BLAS."""
    code = (
        "import admin_py._core, admin_py._core64\n"
        "for line in open('/proc/self/maps'):\n"
        "    parts = line.split(maxsplit=5)\n"
        "    if len(parts) == 6: print(parts[5].strip())"
    )
    loaded = {Path(line) for line in run(code).splitlines()}
    ours = {path for path in loaded if path.parent == LIBRARIES}
    assert {path.name for path in ours} == {"libopenblas-admin_py.so"}
    inside_numpy = {path for path in loaded if "numpy" in str(path)}
    strangers = {path for path in loaded - ours - inside_numpy if re.match(r"lib\w*(blas|gomp)", path.name)}
    assert not strangers


@needs_vendored
@pytest.mark.parametrize("module", [_core, _core64], ids=["float32", "float64"])
def test_libraries_are_found_beside_the_modules(module):
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("readelf is not installed")
    text = subprocess.run([readelf, "-d", module.__file__], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", text) == ["$ORIGIN/_libs"]
    assert "(RUNPATH)" not in text, "it would be searched after LD_LIBRARY_PATH"
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
    assert "libopenblas-admin_py.so" in needed
    system_libraries = {"libm.so.6", "libc.so.6", "libpthread.so.0"}
    ours = {path.name for path in LIBRARIES.iterdir()}
    assert {name for name in needed - ours if not name.startswith("ld-")} <= system_libraries


BLAS_FILES = """
from admin_py.base.builds import MODULES
print(*(core.system_info()["blas_file"] for core in MODULES.values()))
"""


@needs_vendored
def test_a_library_of_the_same_name_elsewhere_is_not_loaded(tmp_path: Path):
    """LD_LIBRARY_PATH leads to a file of the library's name, which cannot even be loaded."""
    ours = LIBRARIES / "libopenblas-admin_py.so"
    assert set(run(BLAS_FILES).split()) == {str(ours)}
    (tmp_path / ours.name).write_bytes(b"no library")
    assert set(run(BLAS_FILES, LD_LIBRARY_PATH=str(tmp_path)).split()) == {str(ours)}
    assert str(ours) in run("import admin_py as ap; ap.show_versions()", LD_LIBRARY_PATH=str(tmp_path))


@needs_vendored
def test_a_library_that_was_preloaded_is_told(tmp_path: Path):
    """Whoever preloads another has asked for it; what is loaded is said."""
    other = shutil.copy(LIBRARIES / "libopenblas-admin_py.so", tmp_path / "libother.so")
    assert set(run(BLAS_FILES, LD_PRELOAD=str(other)).split()) == {str(other)}


def test_both_precisions_are_built():
    assert _core.system_info()["dtype"] == "float32"
    assert _core64.system_info()["dtype"] == "float64"


# ---- what it says of itself ----


def test_show_versions():
    file = io.StringIO()
    admin_py.show_versions(file=file)
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in file.getvalue().splitlines())
    assert rows["admin-py"] == admin_py.__version__
    assert rows["kernels"] in ("generic", "avx2", "avx512", "neon")
    assert "OpenBLAS" in rows["blas"]
    assert int(rows["threads"]) == admin_py.get_num_threads()
    assert int(rows["processors"]) >= 1
    assert set(rows) == set(versions()) | set(system())


def test_versions_of_what_is_absent(monkeypatch):
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert {versions()[name] for name in PACKAGES} == {"not installed"}


def test_kernels_can_be_forced():
    code = "import admin_py._core as c; print(c.system_info()['kernels'])"
    assert run(code, ADMIN_PY_CPU="generic").strip() == "generic"


# ---- threads ----


@pytest.fixture
def threads():
    before = admin_py.get_num_threads()
    yield
    admin_py.set_num_threads(before, oversubscribe=True)


@pytest.mark.usefixtures("threads")
def test_threads_are_set_for_both_precisions():
    admin_py.set_num_threads(1)
    assert admin_py.get_num_threads() == _core.get_num_threads() == _core64.get_num_threads() == 1
    more = _core.num_procs() + 1
    with pytest.raises(ValueError, match=rf"n must be at most .*, got {more}; oversubscribe=True allows"):
        admin_py.set_num_threads(more)
    assert admin_py.get_num_threads() == 1
    admin_py.set_num_threads(more, oversubscribe=True)
    assert _core.get_num_threads() == _core64.get_num_threads() == more


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (0, ValueError, "n must be an integer from 1 to 1024, got 0"),
        (-3, ValueError, "n must be an integer from 1 to 1024, got -3"),
        (1025, ValueError, "n must be an integer from 1 to 1024, got 1025"),
        (1.5, TypeError, "n must be an integer, got 1.5"),
        (True, TypeError, "n must be an integer, got True"),
        ("2", TypeError, "n must be an integer, got '2'"),
        (None, TypeError, "n must be an integer, got None"),
    ],
)
def test_threads_that_cannot_be(given, error, message):
    before = admin_py.get_num_threads()
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        admin_py.set_num_threads(given, oversubscribe=True)
    assert admin_py.get_num_threads() == before


def test_threads_of_the_environment():
    code = "import admin_py._core as c; print(c.get_num_threads())"
    assert run(code, ADMIN_PY_NUM_THREADS="1").strip() == "1"
