"""Prints what pyproject.toml requires, one requirement a line, for `build` or for an extra's name.

`make` installs the build's requirements with it into an environment that is kept; pip itself would make a
throw-away environment for every build.
"""

import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10: pip carries the same parser
    from pip._vendor import tomli as tomllib


def requirements(name: str) -> list[str]:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    if name == "build":
        return project["build-system"]["requires"]
    return project["project"]["optional-dependencies"][name]


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1])))
