"""The quick tests with the wheel in environments of other Pythons and other versions of what it requires.

    elsewhere.py pythons    the oldest and the newest Python that are here, each with the newest of all
    elsewhere.py oldest     the oldest Python, with what is required at run time as old as is promised
    elsewhere.py here       this Python, which has the package and what the tests need: nothing is installed

Pythons are looked for with uv, in pyenv's folder and on PATH; nothing is downloaded but packages. Where a
Python is missing it is said and the rest goes on. Everything lies in build/elsewhere; a wheel is built again
when a source is newer.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from requirements import project, requirements

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "elsewhere"

QUICK = (
    *(f"data/test_{name}.py" for name in ("batch", "dataset", "language", "parallel", "splits", "texts")),
    *(f"core/test_{name}.py" for name in ("layer_types", "missing_memory", "module", "types")),
    *(f"model/test_{name}.py" for name in ("layers", "profile", "transformer")),
    *(f"training/test_{name}.py" for name in ("checkpoint", "history", "resume", "train")),
    *(f"analysis/test_{name}.py" for name in ("attention", "gradients", "updates")),
    *(f"test_{name}.py" for name in ("live", "results", "schedules")),
    *("base/test_whole_files.py", "proofs/test_core_differences.py", "proofs/test_package.py"),
    *("schemes/test_own_schemes.py", "plots/test_plots.py", "report/test_page.py"),
    *("cli/test_entry.py", "cli/test_unused_options.py"),
    *("generation/test_greedy_and_sample.py", "generation/test_beam.py"),
    *("scores/test_scores.py", "data/test_moses.py"),
)
"""Of tests/: something of every package and library; half a minute on two processors."""

CHOSEN = "not ctrl_c and not killed and not nothing_grows"
"""Of their tests, what does not train for seconds to be stopped."""

OLD = ("-W", "ignore::DeprecationWarning")
"""To pytest where libraries are old: what they use themselves is newer, and complains of them."""


def say(*words: object) -> None:
    print("elsewhere:", *words, flush=True)


def run(command: list[object], **options: object) -> None:
    subprocess.run([str(word) for word in command], check=True, **options)


def versions() -> list[str]:
    """The Pythons that pyproject.toml names, from the oldest to the newest."""
    found = re.findall(
        r"Programming Language :: Python :: (3\.\d+)\b", "\n".join(project()["project"]["classifiers"])
    )
    return sorted(found, key=lambda version: int(version.partition(".")[2]))


def candidates(version: str) -> list[str]:
    """Where a Python of this version may be."""
    found = []
    if shutil.which("uv"):
        command = ["uv", "python", "find", "--no-project", version]
        found += subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[:1]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found += sorted(map(str, root.glob(f"versions/{version}.*/bin/python3")), reverse=True)
    return [path for path in (*found, shutil.which(f"python{version}")) if path]


USABLE = """
import ensurepip, os, sys, sysconfig, venv
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
print("%d.%d" % sys.version_info[:2])
"""


def find(version: str) -> str | None:
    """A Python of this version that can make environments and compile extension modules."""
    for path in candidates(version):
        done = subprocess.run([path, "-c", USABLE], capture_output=True, text=True)
        if done.returncode == 0 and done.stdout.strip() == version:
            return path
    return None


def all_pythons() -> dict[str, str]:
    """Those of `versions` that are here: version -> path."""
    return {version: path for version in versions() if (path := find(version)) is not None}


def pythons() -> dict[str, str]:
    """The oldest and the newest Python that are here: version -> path."""
    here = all_pythons()
    for version in (versions()[0], versions()[-1]):
        if version not in here:
            say(f"there is no Python {version} (looked with uv, in pyenv's folder and on PATH)")
    return {version: here[version] for version in dict.fromkeys((*list(here)[:1], *list(here)[-1:]))}


SOURCES = ("setup.py", "pyproject.toml", "csrc/cflags", "csrc/**/*.[ch]", "csrc/**/*.inc", "admin_py/**/*.py")
"""What a wheel is built of; not what others build in csrc/build meanwhile."""


def build_wheel(version: str, python: str) -> Path:
    """The wheel for a Python, built where it is missing or older than a source."""
    folder = FOLDER / f"wheel-{version}"
    newest = max(path.stat().st_mtime for pattern in SOURCES for path in ROOT.glob(pattern))
    for path in folder.glob("*.whl"):
        if path.stat().st_mtime > newest:
            return path
    shutil.rmtree(folder, ignore_errors=True)
    start = time.monotonic()
    run([python, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--no-deps", "-w", folder, ROOT])
    say(f"wheel for Python {version}: {time.monotonic() - start:.0f} s")
    return next(folder.glob("*.whl"))


def try_out(
    name: str,
    version: str,
    python: str,
    *,
    wheel: Path | None = None,
    pinned: Sequence[str] = (),
    options: Sequence[str] = (),
) -> None:
    """The quick tests in a fresh environment, of a wheel or one built here; raises if they fail."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    start = time.monotonic()
    run([python, "-m", "venv", folder / "venv"])
    here = folder / "venv" / "bin" / "python"
    needed = [wheel or build_wheel(version, python), *pinned, *requirements("quick")]
    run([here, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-compile", *needed])
    say(f"{name} is installed after {time.monotonic() - start:.0f} s")
    run_tests(here, folder, options)
    say(f"{name} took {time.monotonic() - start:.0f} s")


def run_tests(python: Path, folder: Path, options: Sequence[str] = ()) -> None:
    """The quick tests, copied into a folder without the package, whatever starts a process from there."""
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    environment.pop("PYTHONPATH", None)
    run([python, "-c", "import admin_py; admin_py.show_versions()"], cwd=folder, env=environment)
    jobs = os.environ.get("JOBS", str(os.cpu_count() or 1))
    tests = [folder / "tests" / one for one in QUICK]
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", jobs, "--dist", "worksteal"]
    run([*command, "-k", CHOSEN, *options, *tests], cwd=folder, env=environment)


def main(what: str) -> int:
    if what == "here":
        with tempfile.TemporaryDirectory() as folder:
            run_tests(Path(sys.executable), Path(folder))
        return 0
    found = pythons()
    if not found:
        say("no Python that could be used: nothing was tested")
        return 0
    try:
        if what == "oldest":
            version, python = next(iter(found.items()))
            try_out(f"oldest-{version}", version, python, pinned=requirements("oldest"), options=OLD)
        else:
            for version, python in found.items():
                try_out(f"python-{version}", version, python)
    except subprocess.CalledProcessError as error:
        say(f"failed: {' '.join(map(str, error.cmd))[:200]}")
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["pythons"], ["oldest"], ["here"]):
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1]))
