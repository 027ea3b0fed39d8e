"""Circles and upward arrows among the package's imports, those inside functions and for types alone included.

    python tools/arrows.py             of this checkout
    python tools/arrows.py COMMIT      of an earlier one, its files taken for what they have become since

The order of the packages is that of the contract in pyproject.toml.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grimp

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "admin_py"


def contract() -> dict[str, Any]:
    """The order of the packages."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return next(one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers")


def layers() -> dict[str, int]:
    """First part of a module's name below the package -> its storey, 0 at the bottom."""
    found = {}
    for storey, names in enumerate(reversed(contract()["layers"])):
        for name in names.replace(":", "|").split("|"):
            found[name.strip(" ()")] = storey
    return found


def renames(commit: str) -> dict[str, str]:
    """Old module -> what it has become, for modules that were moved since the commit."""
    command = ["git", "diff", "--find-renames=30%", "-l0", "--diff-filter=R", "--name-status", commit]
    lines = subprocess.run([*command, "--", PACKAGE], cwd=ROOT, capture_output=True, text=True, check=True)
    pairs = (line.split("\t")[1:] for line in lines.stdout.splitlines())
    return {module(old): module(new) for old, new in pairs if old.endswith(".py")}


def module(path: str) -> str:
    """Dotted name of a file.

    >>> module("admin_py/data/__init__.py"), module("admin_py/live.py")
    ('admin_py.data', 'admin_py.live')
    """
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def checkout(commit: str, folder: Path) -> None:
    """The package's files at a commit."""
    made = subprocess.run(["git", "archive", commit, PACKAGE], cwd=ROOT, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")


def circles(graph: grimp.ImportGraph) -> list[set[str]]:
    """Sets of modules that import each other in a circle, each as large as can be."""
    names = sorted(graph.modules - {PACKAGE})  # the front door imports everything
    after = {name: graph.find_modules_directly_imported_by(name) - {PACKAGE} for name in names}
    reach: dict[str, set[str]] = {}
    for name in names:
        seen, todo = set(), list(after[name])
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += after[one]
        reach[name] = seen
    found: list[set[str]] = []
    for name in names:
        if name in reach[name] and not any(name in one for one in found):
            found.append({other for other in reach[name] if name in reach[other]})
    return found


def upward(graph: grimp.ImportGraph, became: Mapping[str, str]) -> list[tuple[str, str]]:
    """Imports of a higher storey, or of another package of the same one."""
    storeys = layers()

    def place(name: str) -> tuple[int, str] | None:
        parts = became.get(name, name).split(".")
        return (storeys[parts[1]], parts[1]) if len(parts) > 1 and parts[1] in storeys else None

    found = []
    for name in sorted(graph.modules):
        for target in sorted(graph.find_modules_directly_imported_by(name)):
            here, there = place(name), place(target)
            if here and there and here[1] != there[1] and there[0] >= here[0]:
                found.append((name, target))
    return found


def main() -> None:
    """Print them."""
    with tempfile.TemporaryDirectory() as folder:
        became: dict[str, str] = {}
        if len(sys.argv) > 1:
            checkout(sys.argv[1], Path(folder))
            became = renames(sys.argv[1])
        sys.path.insert(0, folder if became else str(ROOT))
        graph = grimp.build_graph(PACKAGE, cache_dir=None)
    for door in contract()["ignore_imports"]:
        name, target = door.split(" -> ")
        if graph.direct_import_exists(importer=name, imported=target):
            print(f"a documented door, left out: {door}")
            graph.remove_import(importer=name, imported=target)
    found, arrows = circles(graph), upward(graph, became)
    for one in found:
        print("circle:", ", ".join(sorted(one)))
    for name, target in arrows:
        print(f"upward: {name} -> {target}")
    print(
        f"{len(graph.modules)} modules; {len(found)} circles of {sum(map(len, found))} modules; "
        f"{len(arrows)} upward arrows"
    )


if __name__ == "__main__":
    main()
