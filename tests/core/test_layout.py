"""The direction of dependencies in the core: what each folder may include, and what it never does.

base <- kernels <- layers <- model <- {init, optim, analysis} <- {library, python}; Python.h only in
csrc/python, a BLAS library only in csrc/base/blas.c; the core neither prints nor exits. No file calls one
that calls it back, and each has the header of what it offers.
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
    "decoding": BELOW_MODEL | {"model", "decoding"},
    "library": {"include", "base", "library"},
    "python": {"include", "base", "python"},
    "benchmarks": BELOW_MODEL | {"benchmarks"},
    "examples": set(),
}
CORE = [folder for folder in MAY_INCLUDE if folder not in ("python", "benchmarks", "examples")]


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


LEAVES = "csrc/python/signals.c: _exit("
"""The child of a fork amid a pass, which has no threads to go on with and nowhere to return to."""


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
    assert found == [LEAVES]


def test_the_core_names_no_scheme():
    names = re.compile(
        r"\b(admin_torch|deepnorm|rezero|layer_?scale|t_?fixup|sandwich|post_ln|pre_ln)\b", re.I
    )
    core = [folder for folder in CORE if folder not in ("include", "library")]
    found = [path for path in c_files(core) if names.search(without_comments(path.read_text()))]
    assert not found


# ---- files among themselves ----

DEFINITION = re.compile(
    r"^(?!static\b|typedef\b|#)[\w* ]*?\b(adm_\w+)\([^;{]*?\)\n\{", re.MULTILINE | re.DOTALL
)


def definitions(sources: dict[str, str]) -> dict[str, str]:
    """Function of the core -> the file that defines it."""
    return {name: path for path, source in sources.items() for name in DEFINITION.findall(source)}


def calls(sources: dict[str, str]) -> dict[str, set[str]]:
    """File -> the other files whose functions it names."""
    owners = definitions(sources)
    return {
        path: {
            owners[name]
            for name in re.findall(r"\badm_\w+", source)
            if name in owners and owners[name] != path
        }
        for path, source in sources.items()
    }


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Files that call each other in a circle, or none."""
    done: set[str] = set()

    def visit(path: str, above: list[str]) -> list[str]:
        if path in above:
            return above[above.index(path) :]
        if path in done:
            return []
        found = next((one for to in sorted(graph[path]) if (one := visit(to, [*above, path]))), [])
        done.add(path)
        return found

    return next((found for path in sorted(graph) if (found := visit(path, []))), [])


def core_sources() -> dict[str, str]:
    paths = [path for path in c_files(CORE) if path.suffix == ".c"]
    return {str(path.relative_to(CSRC)): without_comments(path.read_text()) for path in paths}


def test_no_file_of_the_core_calls_one_that_calls_it_back():
    sources = core_sources()
    assert len(definitions(sources)) > 100
    assert circle(calls(sources)) == []


def test_circles_are_found():
    one = "void adm_a(int x)\n{\n    adm_b(x);\n}\n"
    other = "int adm_b(int x)\n{\n    return x;\n}\n"
    assert circle(calls({"a.c": one, "b.c": other})) == []
    back = other.replace("return x", "return adm_a(x)")
    assert sorted(circle(calls({"a.c": one, "b.c": back}))) == ["a.c", "b.c"]


@pytest.mark.parametrize("folder", ["layers", "model"])
def test_what_a_file_offers_stands_in_its_header(folder):
    """In that of its own name, or in the public one; a header declares nothing of others."""
    for path in c_files([folder]):
        if path.suffix != ".c":
            continue
        offered = set(DEFINITION.findall(without_comments(path.read_text())))
        header = path.with_suffix(".h")
        public = "".join(file.read_text() for file in (CSRC / "include" / "admin").glob("*.h"))
        declared = header.read_text() if header.exists() else ""
        missing = {name for name in offered if not re.search(rf"\b{name}\(", declared + public)}
        assert not missing, f"{path.relative_to(ROOT)}: {missing}"
        foreign = set(re.findall(r"^(?!static|\s)[\w* ]+?\b(adm_\w+)\(", declared, re.MULTILINE)) - offered
        assert not foreign, f"{header.relative_to(ROOT)} declares {foreign}"


def arguments_of(source: str) -> dict[str, int]:
    """Function of a file, static ones too -> how many arguments it has."""
    pattern = re.compile(r"^(?!typedef\b|#)[\w* ]*?\b(\w+)\(([^;{]*?)\)\n\{", re.MULTILINE | re.DOTALL)
    return {name: 1 + arguments.count(",") for name, arguments in pattern.findall(source)}


def test_functions_have_at_most_seven_arguments():
    """But the one that has the arguments of the BLAS library's, which it calls."""
    many = {
        f"{path.relative_to(CSRC)}: {name}"
        for path in c_files([*MAY_INCLUDE, "tests"])
        for name, count in arguments_of(without_comments(path.read_text())).items()
        if count > 7
    }
    assert many == {"base/blas.c: adm_blas_gemm"}


def test_no_sum_is_in_an_order_of_the_compilers_choice():
    """`kernels/sums.inc` and `base/sums.h` have the orders; the search for what is not finite adds zeros."""
    reduction = re.compile(r"reduction\(\+")
    found = [path for path in c_files(CORE) if reduction.search(path.read_text())]
    assert found == [CSRC / "optim" / "nonfinite.c"]
    assert "-ffp-contract=off" in (CSRC / "cflags").read_text().split()
