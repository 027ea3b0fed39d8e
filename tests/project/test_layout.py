"""The layout of the package: every arrow goes down, nothing goes in a circle, and who knows what.

The order of the packages is the contract in pyproject.toml; import-linter checks every module, imports inside
functions and those for types alone included. Here a forbidden import of each kind is planted and refused.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

import admin_py as ap
from admin_py.results import figure, result_classes

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "admin_py"

needs_linter = pytest.mark.skipif(find_spec("importlinter") is None, reason="import-linter is not installed")


# All in one process: most of the time goes into importing the linter.
LINT = """
import json, sys
from pathlib import Path
folder, contracts = Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, str(folder))
from importlinter.cli import lint_imports
for kind, (name, planted) in json.load(sys.stdin).items():
    path = folder / "admin_py" / name
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\\n\\n" + planted, encoding="utf-8")
    print("\\f" + kind, flush=True)
    status = lint_imports(config_filename=contracts, no_cache=True)
    print("\\f" + str(status), flush=True)
    path.write_text(before, encoding="utf-8")
"""


class Found(NamedTuple):
    """What import-linter says of the package with something planted in it."""

    status: int
    text: str


@pytest.fixture(scope="module")
def linted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    """The contracts of this checkout on copies of the package: as it is, and with each of PLANTED."""
    folder = tmp_path_factory.mktemp("planted")
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(PACKAGE, folder / "admin_py", ignore=ignored)
    kinds = {AS_IT_IS: ("base/words.py", ""), **{kind: one[:2] for kind, one in PLANTED.items()}}
    command = [sys.executable, "-W", "ignore", "-c", LINT, str(folder), str(ROOT / "pyproject.toml")]
    done = subprocess.run(command, cwd=folder, input=json.dumps(kinds), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parts = done.stdout.split("\f")[1:]
    found = {}
    for said, status in zip(parts[::2], parts[1::2], strict=True):
        kind, _, text = said.partition("\n")
        found[kind] = Found(int(status), text)
    return found


@needs_linter
def test_the_contracts_hold_for_every_module(linted: dict[str, Found]) -> None:
    found = linted[AS_IT_IS]
    assert found.status == 0, found.text
    files = int(re.search(r"Analyzed (\d+) files", found.text)[1])  # type: ignore[index]
    assert files == len(python_files())


AS_IT_IS = "nothing planted"

PLANTED = {
    "up, at the top": (
        "base/words.py",
        "import admin_py.results\n",
        "admin_py.base.words -> admin_py.results",
    ),
    "up, in a function": (
        "analysis/theory.py",
        "def _late():\n    from admin_py.plots import style\n    return style\n",
        "admin_py.analysis.theory -> admin_py.plots.style",
    ),
    "up, for types": (
        "training/history.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from admin_py.analysis.updates import UpdateNorms\n",
        "admin_py.training.history -> admin_py.analysis.updates",
    ),
    "to a neighbour": (
        "data/words.py",
        "import admin_py.schemes\n",
        "admin_py.data.words -> admin_py.schemes",
    ),
    "up to the command line": (
        "live.py",
        "import admin_py.cli.options\n",
        "admin_py.live -> admin_py.cli.options",
    ),
    "a second door to the report": (
        "experiments/grid/results.py",
        "def _report():\n    from admin_py.report.page import write_report\n    return write_report\n",
        "admin_py.experiments.grid.results -> admin_py.report.page",
    ),
    "a circle of files": ("model/omega.py", "import admin_py.model.transformer\n", "No cycles"),
    "a circle of packages": (
        "experiments/settings.py",
        "import admin_py.experiments.grid.grid\n",
        "No cycles",
    ),
}


@needs_linter
@pytest.mark.parametrize("kind", PLANTED)
def test_a_forbidden_import_is_refused(linted: dict[str, Found], kind: str) -> None:
    assert linted[kind].status != 0
    assert PLANTED[kind][2] in linted[kind].text


# ---- what a graph of imports does not show ----


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imported(path: Path, *, types: bool = True) -> Iterator[str]:
    """Absolute names of all that a file imports; without ``types`` only of what is imported when it runs."""

    def walk(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test) and not types:
                continue
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: relative import"
                yield from (f"{child.module}.{alias.name}" for alias in child.names)
            yield from walk(child)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")))


def late_imports(source: str) -> bool:
    """Whether a text imports by a name that it makes at run time."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = ("importlib.import_module", "import_module", "__import__", "importlib.__import__")
    return any(ast.unparse(call.func) in names for call in calls)


def test_only_builds_knows_the_core() -> None:
    cores = ("admin_py._core", "admin_py._core64")
    knowing = [
        place(path) for path in python_files() if any(name.startswith(cores) for name in imported(path))
    ]
    assert knowing == []
    naming = [
        place(path) for path in python_files() if re.search(r"admin_py\._core", path.read_text("utf-8"))
    ]
    assert naming == ["base/builds.py"]


def test_imports_by_name_are_the_two_that_are_documented() -> None:
    """The builds of the core, and the late door from results to plots."""
    late = [place(path) for path in python_files() if late_imports(path.read_text(encoding="utf-8"))]
    assert late == ["base/builds.py", "results.py"]
    assert late_imports("import importlib\nimportlib.import_module('admin_py' + '.plots')")


MATPLOTLIB = ("plots/", "live.py", "cli/", "report/")


def test_what_computes_never_draws() -> None:
    """Matplotlib is for plots, and for what shows or keeps its figures; others name its types at most."""
    drawing = [
        place(path)
        for path in python_files()
        if any(name.partition(".")[0] == "matplotlib" for name in imported(path, types=False))
    ]
    assert drawing
    assert all(name.startswith(MATPLOTLIB) for name in drawing), drawing


def test_every_figure_that_results_ask_for_is_there() -> None:
    asked = {
        ast.literal_eval(node.args[0])
        for path in python_files()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "figure" and path.parent.name != "plots"
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    asked |= {kind.drawn_by for kind in result_classes().values() if kind.drawn_by}
    assert len(asked) > 15
    assert asked <= set(ap.plots.__all__)
    assert all(callable(figure(name)) for name in asked)


def test_a_package_is_not_named_like_a_public_function() -> None:
    """The function would hide it."""
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert {name for name in packages if not hasattr(getattr(ap, name, None), "__path__")} <= {
        "base", "cli", "experiments", "interop", "model", "report", "training",
    }  # fmt: skip
    assert not [name for name in packages if callable(getattr(ap, name, None))]
