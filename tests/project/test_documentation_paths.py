"""Every path that README.md, CONTRIBUTING.md, CHANGELOG.md and docs/*.md name exists."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
PATH = re.compile(r"(?<![\w./-])(?:admin_py|tests|csrc|tools|docs|benchmarks|notebooks)/[\w./{},*-]*")
BUILT = ("docs/_build/", "csrc/build/")
"""There once something was built."""

TREE = re.compile(r"^ {4}admin_py/\n((?: {6}.*\n)+)", re.MULTILINE)


def named(text: str) -> list[str]:
    """Paths in a text, without the full stop of a sentence.

    >>> named("see `tests/model/`, tests/{a,b}.py and admin_py/base/words.py.")
    ['tests/model/', 'tests/{a,b}.py', 'admin_py/base/words.py']
    """
    return [found.rstrip(".,") for found in PATH.findall(text)]


def meant(path: str) -> list[str]:
    """Patterns that a path stands for: {a,b} is either, NAME and test_NAME.py any.

    >>> meant("tests/{model,plots}/test_NAME.py")
    ['tests/model/test_*.py', 'tests/plots/test_*.py']
    """
    parts = [part.strip("{}").split(",") for part in re.split(r"(\{[^}]*\})", path)]
    return [
        re.sub(r"[A-Z]{3,}", "*", "".join(one)) if "NAME" in path else "".join(one) for one in product(*parts)
    ]


def missing(text: str) -> list[str]:
    """Paths in a text that are not there."""
    return [
        path
        for path in named(text)
        if not path.startswith(BUILT)
        and not all(any(ROOT.glob(pattern.rstrip("/"))) for pattern in meant(path))
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page: Path) -> None:
    assert missing(page.read_text(encoding="utf-8")) == []


def test_the_pages_name_paths_and_one_that_is_not_there_is_found() -> None:
    assert len({path for page in PAGES for path in named(page.read_text(encoding="utf-8"))}) > 60
    text = "`admin_py/findings.py`, tests/{model,nowhere}/, admin_py/nowhere/NAME.py and admin_py/cli/NAME.py"
    assert missing(text) == ["admin_py/findings.py", "tests/{model,nowhere}/", "admin_py/nowhere/NAME.py"]


TOLD = ("README.md", "CONTRIBUTING.md", "docs/extending.md")


def test_the_tree_is_told_alike_and_has_every_folder_and_module() -> None:
    trees = {TREE.search((ROOT / page).read_text(encoding="utf-8"))[1] for page in TOLD}  # type: ignore[index]
    assert len(trees) == 1
    names = set(re.findall(r"\b(\w+(?:/|\.py))(?=[\s;,])", trees.pop()))
    package = ROOT / "admin_py"
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {path.name for path in package.glob("[a-z]*.py")}
    assert folders | modules <= names
    assert all(any(package.rglob(name.rstrip("/"))) for name in names)


def test_recipes_name_what_is_in_the_files_that_they_name() -> None:
    """Tables and functions such as `MADE`: each is somewhere in the code."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipes = text[text.index("### Add a scheme") : text.index("## Manners")]
    tables = set(re.findall(r"`(_?[A-Z]{4,}|test_[a-z_]{8,}|[a-z]+_[a-z_]+)`", recipes)) - {"max_tokens"}
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("admin_py", "tests", "csrc")
        for path in (ROOT / folder).rglob("*.[pc]*")
        if path.suffix in (".py", ".c") and path != Path(__file__)
    )
    assert len(tables) > 20
    assert sorted(name for name in tables if not re.search(rf"\b{name}\b", code)) == []
