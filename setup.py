"""Build of the extension modules; everything else about the package is in pyproject.toml.

The C core is compiled twice from the same source: `admin_py._core` computes in float32, `admin_py._core64` in
float64. They need nothing but the C library.

The same commit gives the same bytes, of the source archive and, by the same compiler, of a wheel.

Environment variables
    ADMIN_PY_WERROR=1        compiler warnings are errors
    ADMIN_PY_SANITIZE=LIST   build for the sanitizers named, such as `address,undefined`
    ADMIN_PY_JOBS=N          compile that many sources at once (default: as many as processors)
    SOURCE_DATE_EPOCH        what archives give as the time of their files (default: the commit's)
"""

import gzip
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
FOLDERS = ("base", "kernels", "layers", "model", "init", "optim", "analysis", "decoding", "python")
DEFINES = {"admin_py._core": [], "admin_py._core64": ["-DADM_DOUBLE"]}
MACOS = sys.platform == "darwin"
STRIP = "-Wl,-S" if MACOS else "-Wl,--strip-debug"
SYSTEM = ["-lm", "-lpthread", "-ldl"]  # parts of the C library, of their own before glibc 2.34


class BuildError(SystemExit):
    """Stops the build with a message and no traceback."""

    def __init__(self, message):
        super().__init__(f"admin-py cannot be built: {message}")


def run(command, what):
    """Standard output of a command; a failure stops the build and says what was being done."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise BuildError(f"{what} failed\n  {shlex.join(map(str, command))}\n{done.stdout}{done.stderr}")
    if done.stderr.strip():
        print(done.stderr, file=sys.stderr, end="")
    return done.stdout


def compile_flags():
    """Flags of every source, the system's headers apart from ours so that their warnings stay away."""
    import numpy

    flags = (CSRC / "cflags").read_text().split()
    flags += ["-Werror"] if os.environ.get("ADMIN_PY_WERROR") == "1" else []
    headers = [numpy.get_include(), sysconfig.get_path("include")]
    return [
        *flags,
        "-DADM_API=",  # what the C library shows, the modules do not
        f"-I{CSRC / 'include'}",
        f"-I{CSRC}",
        *[part for h in headers for part in ("-isystem", h)],
    ]


def sanitizer_flags():
    """Flags for compiling and linking with sanitizers, none usually."""
    wanted = os.environ.get("ADMIN_PY_SANITIZE")
    if not wanted:
        return []
    return [
        "-UNDEBUG",
        "-g",
        f"-fsanitize={wanted}",
        "-fno-sanitize-recover=all",
        "-fno-omit-frame-pointer",
        "-Wno-frame-larger-than",
    ]


def is_current(target, depfile):
    """Whether an object is newer than all that the compiler read to make it."""
    if not (target.exists() and depfile.exists()):
        return False
    _, _, names = depfile.read_text().replace("\\\n", " ").partition(":")
    made = target.stat().st_mtime_ns
    try:
        return all(Path(name).stat().st_mtime_ns < made for name in shlex.split(names))
    except OSError:
        return False


def compile_object(command, source, folder):
    """Compiles one source unless its object is current; the object's path."""
    target = (folder / source.relative_to(CSRC)).with_suffix(".o")
    depfile = target.with_suffix(".d")
    if not is_current(target, depfile):
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(f".{os.getpid()}.o")
        output = ["-MMD", "-MF", str(depfile), "-MT", str(target), "-c", str(source), "-o", str(unfinished)]
        run([*command, *output], f"compiling {source.relative_to(ROOT)}")
        unfinished.replace(target)
    return target


def check_tools(compiler):
    """Stops the build, in one line, where the compiler or Python's headers are missing."""
    program = compiler.compiler_so[0]
    if shutil.which(program) is None:
        wanted = "xcode-select --install" if MACOS else "Debian and Ubuntu: apt install gcc"
        raise BuildError(f"there is no C compiler {program!r} ({wanted}; or name another with CC=...)")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        raise BuildError(f"Python's headers, {header}, are missing (Debian: apt install python3-dev)")


class BuildCore(build_ext):
    """Compiles in parallel and only what changed; objects are kept in build/objects."""

    def build_extensions(self):
        check_tools(self.compiler)
        flags = [*compile_flags(), *sanitizer_flags()]
        with ThreadPoolExecutor(int(os.environ.get("ADMIN_PY_JOBS", os.cpu_count() or 1))) as pool:
            jobs = [self.compile_all(pool, flags, extension) for extension in self.extensions]
            for extension, objects in zip(self.extensions, jobs):
                self.link(extension, [job.result() for job in objects])

    def link(self, extension, objects):
        output = Path(self.get_ext_fullpath(extension.name))
        output.parent.mkdir(parents=True, exist_ok=True)
        flags = [*(sanitizer_flags() or [STRIP]), *SYSTEM]
        command = [*self.compiler.linker_so, *map(str, objects), "-o", str(output), *flags]
        run(command, f"linking {extension.name}")

    def compile_all(self, pool, flags, extension):
        """Futures of the objects of one module."""
        init = extension.name.rpartition(".")[2]
        names = [f'-DADM_MODULE_NAME="{extension.name}"', f"-DADM_MODULE_INIT=PyInit_{init}"]
        command = [*self.compiler.compiler_so, *flags, *DEFINES[extension.name], *names]
        folder = ROOT / "build" / "objects" / hashlib.sha256(repr(command).encode()).hexdigest()[:12]
        return [pool.submit(compile_object, command, ROOT / source, folder) for source in extension.sources]

    def copy_extensions_to_source(self):
        for old in ROOT.glob("admin_py/_core*.so"):
            old.unlink()  # written over in place, it would crash the processes that have it loaded
        super().copy_extensions_to_source()


class SourceArchive(sdist):
    """A gzipped tar whose files are in order, and have neither the times nor the owners of this machine."""

    def initialize_options(self):
        super().initialize_options()
        self.formats = ["gztar"]

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, owner=None, group=None):
        time = int(os.environ.get("SOURCE_DATE_EPOCH", 0))

        def everywhere(info):
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = time
            info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
            return info

        path = f"{base_name}.tar.gz"
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with (
            open(path, "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=time) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for member in [Path(base_dir), *sorted(Path(base_dir).rglob("*"))]:
                archive.add(member, recursive=False, filter=everywhere)
        return path


def commit_time():
    """When the commit was made, in seconds since 1970, as git or the unpacked archive says; or None."""
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return None
    made = ROOT / "PKG-INFO"
    return str(int(made.stat().st_mtime)) if made.exists() else None


def sources():
    """The core's and the binding's files, relative to the root as setuptools wants them."""
    found = [path for folder in FOLDERS for path in sorted((CSRC / folder).glob("*.c"))]
    return [str(path.relative_to(ROOT)) for path in found]


time = commit_time()
if time is not None:
    os.environ.setdefault("SOURCE_DATE_EPOCH", time)
setup(
    ext_modules=[Extension(name, sources()) for name in DEFINES],
    cmdclass={"build_ext": BuildCore, "sdist": SourceArchive},
)
