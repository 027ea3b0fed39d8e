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
from admin_py.base.openblas import openblas_file
from admin_py.base.versions import PACKAGES, system, versions

PACKAGE = Path(admin_py.__file__).resolve().parent


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


def test_openblas_is_an_extra_and_not_needed_to_build():
    project = pyproject()
    assert not any("openblas" in line for line in project["build-system"]["requires"])
    needed = [Requirement(line) for line in metadata.requires("admin-py")]
    assert [str(one.marker) for one in needed if "openblas" in one.name] == ['extra == "openblas"']


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


# ---- libraries ----


LOADED = """
import re
import admin_py._core, admin_py._core64
from admin_py.base.builds import MODULES
mapped = [line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if line.count("/")]
print(*sorted({path for path in mapped if re.search(r"/lib[^/]*(blas|gomp)", path) and "numpy" not in path}))
print(*sorted({core.system_info()["blas_file"] for core in MODULES.values()}))
"""


def test_no_library_is_loaded_but_the_c_library():
    """In a process of its own, where nothing else loads one; NumPy has its own."""
    assert run(LOADED).split("\n") == ["", "", ""]


def test_openblas_is_loaded_where_it_is_asked_for():
    pytest.importorskip("scipy_openblas32")
    (path,) = {*run(LOADED, ADMIN_PY_GEMM="openblas").split()}
    assert Path(path).resolve() == openblas_file().resolve()
    assert path in run("import admin_py as ap; ap.show_versions()", ADMIN_PY_GEMM="openblas")


def test_without_openblas_its_products_are_not_used_which_is_said():
    """Asked for as a variable whose value cannot be used is: a warning, not an error."""
    code = """
import sys, warnings
sys.modules["scipy_openblas32"] = None
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    import admin_py as ap
from admin_py.base.versions import origin
print(*(str(one.message) for one in told), origin()["blas"], origin()["blas_for"], sep="\\n")
"""
    said, library, products = run(code, ADMIN_PY_GEMM="openblas").splitlines()
    assert said.startswith(
        "ADMIN_PY_GEMM is 'openblas', which is not installed: pip install 'admin-py[openblas]'"
    )
    assert (library, products) == ("none", "no products")


@pytest.mark.parametrize("module", [_core, _core64], ids=["float32", "float64"])
def test_what_is_no_openblas_is_refused(module, tmp_path: Path):
    broken = tmp_path / "libbroken.so"
    broken.write_bytes(b"no library")
    with pytest.raises(OSError, match=rf"file must be a library, got '{broken}'"):
        module.load_blas(broken)
    with pytest.raises(
        ValueError, match=r"file must be OpenBLAS, got 'libm\.so\.6', which lacks cblas_.gemm"
    ):
        module.load_blas("libm.so.6")
    with pytest.raises(TypeError):
        module.load_blas(3)
    with pytest.raises(ValueError, match="null byte"):
        module.load_blas("a\0b")
    assert module.system_info()["blas"] == "none"


@pytest.mark.parametrize("module", [_core, _core64], ids=["float32", "float64"])
def test_modules_need_the_c_library_alone(module):
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("readelf is not installed")
    text = subprocess.run([readelf, "-d", module.__file__], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
    system_libraries = {"libm.so.6", "libc.so.6", "libpthread.so.0", "libdl.so.2"}
    assert {name for name in needed if not name.startswith("ld-")} <= system_libraries


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
    assert rows["blas"] == "none"
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
