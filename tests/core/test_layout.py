"""The direction of dependencies in the core: what each folder may include, and what it never does.

base <- kernels <- layers <- model <- {init, optim, analysis} <- python; Python.h only in csrc/python, cblas.h
only in csrc/base/blas.c; the core neither prints nor exits.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"

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


def test_no_sum_is_in_an_order_of_the_compilers_choice():
    """`kernels/sums.inc` and `base/sums.h` have the orders; the search for what is not finite adds zeros."""
    reduction = re.compile(r"reduction\(\+")
    found = [path for path in c_files(CORE) if reduction.search(path.read_text())]
    assert found == [CSRC / "optim" / "nonfinite.c"]
    assert "-ffp-contract=off" in (CSRC / "cflags").read_text().split()
