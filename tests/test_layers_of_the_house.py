"""The direction of dependencies, as a test: what each folder may include or import, and what it never does.

base <- kernels <- layers <- model <- {init, optim, analysis} <- python <- admin_py; plots never compute,
analysis never plots; Python.h only in csrc/python, cblas.h only in csrc/base/blas.c; the core neither prints
nor exits.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import admin_py

ROOT = Path(__file__).resolve().parents[1]
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "admin_py"

BELOW_MODEL = {"include", "base", "kernels", "layers"}
MAY_INCLUDE = {
    "include": {"include"},
    "base": {"include", "base"},
    "kernels": {"include", "base", "kernels"},
    "layers": BELOW_MODEL,
    "model": BELOW_MODEL | {"model"},
    "init": BELOW_MODEL | {"model", "init"},
    "optim": BELOW_MODEL | {"model", "optim"},
    "analysis": BELOW_MODEL | {"model", "analysis"},
    "python": {"include", "base", "python"},
    "benchmarks": BELOW_MODEL | {"benchmarks"},
}
CORE = [folder for folder in MAY_INCLUDE if folder not in ("python", "benchmarks")]


def c_files(folders: list[str]) -> list[Path]:
    paths = [path for folder in folders for path in (CSRC / folder).rglob("*")]
    return sorted(path for path in paths if path.suffix in (".c", ".h", ".inc"))


def without_comments(source: str) -> str:
    """C source with comments and string literals blanked, lines kept."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, lambda match: re.sub(r"[^\n]", " ", match.group()), source, flags=re.DOTALL)


def test_every_folder_of_the_core_has_a_place():
    folders = {path.name for path in CSRC.iterdir() if path.is_dir() and any(path.rglob("*.[ch]"))}
    assert folders - {"tests", "build"} <= set(MAY_INCLUDE)
    assert {"base", "kernels", "layers", "model", "init", "optim", "python"} <= folders


@pytest.mark.parametrize("folder", MAY_INCLUDE)
def test_includes_point_one_way(folder):
    wrong = []
    for path in c_files([folder]):
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), flags=re.MULTILINE):
            origin = "include" if name.startswith("admin/") else name.split("/")[0]
            assert (CSRC / origin / name.removeprefix(f"{origin}/")).exists(), f"{path}: {name} is not found"
            if origin not in MAY_INCLUDE[folder]:
                wrong.append(f"{path.relative_to(ROOT)} includes {name}")
    assert not wrong


def test_the_core_knows_nothing_of_python():
    python = re.compile(r"Python\.h|numpy/|\bPy[A-Z]\w*_\w+|\bPyObject\b|\bPy_\w+")
    assert not [path for path in c_files(CORE) if python.search(path.read_text())]


def test_only_one_file_knows_the_blas():
    knowing = [path for path in c_files([*CORE, "python"]) if re.search(r"cblas|openblas_", path.read_text())]
    assert knowing == [CSRC / "base" / "blas.c"]


def test_the_core_neither_prints_nor_exits():
    forbidden = re.compile(
        r"\b(exit|_exit|_Exit|quick_exit|abort|printf|fprintf|vprintf|vfprintf|puts|fputs|putchar|perror|"
        r"signal|raise|longjmp|rand|srand|random|time)\s*\(|\b(stdout|stderr)\b"
    )
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in c_files([*CORE, "python"])
        for match in forbidden.finditer(without_comments(path.read_text()))
    ]
    assert not found


def test_the_core_names_no_scheme():
    names = re.compile(
        r"\b(admin_torch|deepnorm|rezero|layer_?scale|t_?fixup|sandwich|post_ln|pre_ln)\b", re.I
    )
    found = [path for path in c_files(CORE) if names.search(without_comments(path.read_text()))]
    assert not found


# ---- the Python package ----


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports(path: Path, *, inside_functions: bool) -> Iterator[str]:
    """Absolute names of what a file imports when it runs: at its top, or when its functions are called."""

    def walk(node: ast.AST, inside: bool) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if is_type_checking(child):
                continue
            if inside == inside_functions and isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif inside == inside_functions and isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: relative import"
                yield from (f"{child.module}.{alias.name}" for alias in child.names)
            yield from walk(child, inside or isinstance(child, (ast.FunctionDef, ast.Lambda)))

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False)


def python_files(*parts: str) -> list[Path]:
    place = PACKAGE.joinpath(*parts)
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def starts(name: str, *prefixes: str) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


# Folder or file -> what it must not import; "later" also forbids it inside functions.
COMPUTING = ("admin_py._core", "admin_py._core64", "admin_py.analysis", "admin_py.model", "admin_py.training")
DRAWING = ("admin_py.plots", "matplotlib")
TOP = ("admin_py.cli", "admin_py.commands", "admin_py.report", "admin_py.study")
NEVER = [
    ("plots", COMPUTING + TOP),
    ("schemes", ("admin_py._core", "admin_py._core64", "admin_py.model", "admin_py.config", *DRAWING, *TOP)),
    ("config", ("admin_py._core", "admin_py._core64", "admin_py.model", *DRAWING, *TOP)),
    ("data", ("admin_py.model", "admin_py.training", "admin_py.config", *DRAWING, *TOP)),
    ("model", ("admin_py.training", "admin_py.data.dataset", *TOP)),
    ("analysis", TOP),
    ("training", ("admin_py.analysis", *TOP)),
]


@pytest.mark.parametrize(("place", "forbidden"), NEVER, ids=[place for place, _ in NEVER])
def test_imports_point_one_way(place, forbidden):
    files = python_files(place)
    assert files
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files
        for inside in (False, True)
        for name in imports(path, inside_functions=inside)
        if starts(name, *forbidden)
    ]
    assert not wrong


@pytest.mark.parametrize("place", ["analysis", "model", "profiling", "training", "history", "schedules"])
def test_what_computes_draws_only_when_asked(place):
    """Results hand themselves over to plots inside their methods: importing them imports no plots."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files(place)
        for name in imports(path, inside_functions=False)
        if starts(name, *DRAWING)
    ]
    assert not wrong
    direct = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files(place)
        for name in imports(path, inside_functions=True)
        if starts(name, "matplotlib")
    ]
    assert not direct, "drawing belongs to admin_py/plots"


def test_imports_at_the_top_make_no_circle():
    files = {module_name(path): path for path in python_files()}
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        found = set()
        for target in imports(path, inside_functions=False):
            owner = target if target in files else target.rpartition(".")[0]
            if owner in files and owner != "admin_py" and owner != name:
                found.add(owner)
        edges[name] = found
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != 1, " -> ".join([*trail, name])
        if name not in state:
            state[name] = 1
            for target in sorted(edges[name]):
                visit(target, (*trail, name))
            state[name] = 2

    for name in edges:
        visit(name, ())


# ---- documentation ----


def public_modules() -> list[str]:
    found = pkgutil.walk_packages(admin_py.__path__, "admin_py.")
    return sorted(one.name for one in found if not any(part.startswith("_") for part in one.name.split(".")))


def public_objects() -> list[tuple[str, object]]:
    """Functions and classes defined in public modules, and public methods of those classes."""
    found = []
    for module in map(importlib.import_module, public_modules()):
        for name, one in vars(module).items():
            if name.startswith("_") or getattr(one, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(one) or inspect.isclass(one):
                found.append((f"{module.__name__}.{name}", one))
            if inspect.isclass(one):
                for attribute, member in vars(one).items():
                    member = getattr(member, "__func__", member)
                    if not attribute.startswith("_") and (
                        inspect.isfunction(member) or isinstance(member, property)
                    ):
                        found.append((f"{module.__name__}.{name}.{attribute}", member))
    return found


def test_everything_public_says_what_it_is():
    assert not [name for name in public_modules() if not importlib.import_module(name).__doc__]
    assert not [name for name, one in public_objects() if not inspect.getdoc(one)]


@pytest.mark.parametrize("name", [name for name in admin_py.__all__ if not name.startswith("_")])
def test_the_front_door_is_documented_in_full(name):
    """What `import admin_py` offers has its parameters, and an example that runs as a doctest."""
    one = getattr(admin_py, name)
    text = inspect.getdoc(one) or ""
    assert len(text) > 40
    if inspect.isfunction(one):
        signature = inspect.signature(one)
        if signature.parameters:
            assert re.search(r"^Parameters\n-+$", text, flags=re.MULTILINE)
            missing = [p for p in signature.parameters if not re.search(rf"\b{p}\b.* : |\b{p}\b,", text)]
            assert not missing
        assert ">>>" in text
    if inspect.isclass(one):
        assert ">>>" in text
