"""Writes .ci/requirements.txt: all that CI installs, at exact versions, with the hashes of their files.

    lock.py           makes it anew: the newest of what pyproject.toml allows, for all Pythons it names
    lock.py check     says what pyproject.toml requires and the file lacks; exit status 1 if anything

Needs uv (`pip install uv`); `make lock` runs it in an environment of its own. PyTorch has a file of its own,
.ci/requirements-torch.txt, written from the wheel that pip downloads here: its build for CPUs lies in other
places than the index, where the builds for GPUs are, with their gigabytes of libraries.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from requirements import project, requirements

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / ".ci" / "requirements.txt"
TORCH_LOCK = ROOT / ".ci" / "requirements-torch.txt"

TORCH = "torch==2.13.0"
NEEDS_TORCH = "accelerate==1.15.0"
"""Its requirements but PyTorch are others', too; an index would bring PyTorch's build for GPUs with it."""
TORCH_NEEDS = ("filelock", "typing-extensions", "sympy", "networkx", "fsspec")
"""Of its build for CPUs, beside what the package itself requires; in the file of all others."""

GROUPS = (
    "build", "run", "openblas", "test", "lint", "notebook", "translation", "cluster", "trackers",
    "pretrained", "docs", "bench",
)  # fmt: skip

HEAD = """\
# Made by `make lock` (tools/lock.py); what it holds is what pyproject.toml allows. Not to be edited.
# pip install --require-hashes -r .ci/requirements.txt
"""


def wanted() -> list[str]:
    """What pyproject.toml requires to build, run, test, check and document, PyTorch apart."""
    found = [line for group in GROUPS for line in requirements(group)]
    apart = tuple(name_of(one) for one in (TORCH, NEEDS_TORCH))
    return sorted({*(line for line in found if not line.startswith(apart)), *TORCH_NEEDS})


def name_of(requirement: str) -> str:
    """The name of a requirement, as indexes write it.

    >>> name_of("Scipy_openblas32==0.3 ; python_version > '3'")
    'scipy-openblas32'
    """
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def locked() -> dict[str, set[str]]:
    """Name -> the versions that the file has of it."""
    found: dict[str, set[str]] = {}
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        pinned = re.match(r"([\w.-]+)==([^\s;\\]+)", line)
        if pinned:
            found.setdefault(name_of(pinned[1]), set()).add(pinned[2])
    return found


def oldest_python() -> str:
    """The oldest Python that pyproject.toml allows."""
    return project()["project"]["requires-python"].removeprefix(">=")


def lock() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "asked.txt"
        asked.write_text("\n".join(wanted()), encoding="utf-8")
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
        command += ["--no-annotate", "--python-version", oldest_python(), str(asked)]
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"lock: {done.stderr}")
        LOCK.write_text(HEAD + done.stdout, encoding="utf-8")
        command = ["pip", "download", "--quiet", "--no-deps", "--dest", folder, TORCH, NEEDS_TORCH]
        subprocess.run([sys.executable, "-m", *command], check=True)
        lines = []
        for one in (TORCH, NEEDS_TORCH):
            (wheel,) = Path(folder).glob(f"{name_of(one)}-*.whl")
            with wheel.open("rb") as file:
                digest = hashlib.sha256()
                while block := file.read(1 << 20):
                    digest.update(block)
            lines += [f"# {wheel.name}", f"{one} --hash=sha256:{digest.hexdigest()}"]
        TORCH_LOCK.write_text(HEAD.splitlines()[0] + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"lock: {len(locked())} packages in {LOCK.relative_to(ROOT)}")


def lacking() -> list[str]:
    """What is required and not in the file, or there at a version that is not allowed."""
    from packaging.requirements import Requirement

    have, found = locked(), []
    for line in wanted():
        one = Requirement(line)
        versions = have.get(name_of(one.name), set())
        if not any(one.specifier.contains(version, prereleases=True) for version in versions):
            found.append(f"{line} (the file has {', '.join(sorted(versions)) or 'none'})")
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        missing = lacking()
        print("\n".join(f"lock: {line}: run `make lock`" for line in missing) or "lock: nothing is missing")
        raise SystemExit(bool(missing))
    if sys.argv[1:]:
        raise SystemExit(__doc__)
    lock()
