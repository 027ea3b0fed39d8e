"""The C library as other programs meet it: installed, found by pkg-config, compiled with by C and C++."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import admin_py as ap

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
HEADERS = sorted((ROOT / "csrc" / "include" / "admin").glob("*.h"))
PAGE = ROOT / "docs" / "c_library.md"
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
C_COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
CPP_COMPILERS = [name for name in ("g++", "clang++") if shutil.which(name)]

needs_tools = pytest.mark.skipif(
    not (C_COMPILERS and shutil.which("make") and shutil.which("objcopy")),
    reason="a C compiler, make and objcopy are needed to build the C library",
)


def declared() -> set[str]:
    """The functions that the headers declare for other programs."""
    return {
        name
        for path in HEADERS
        for name in re.findall(r"^ADM_API [^;]*?\b(adm_\w+)\(", path.read_text(), flags=re.MULTILINE)
    }


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    text: str = done.stdout
    return text


def make(*arguments: str) -> None:
    run("make", "-s", "-C", ROOT / "csrc", f"PYTHON={sys.executable}", *arguments)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that the library is installed into, and from which everything is gone at the end."""
    folder = tmp_path_factory.mktemp("prefix")
    (ROOT / "csrc" / "build").mkdir(exist_ok=True)
    with (ROOT / "csrc" / "build" / "library.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests beside these build the same
        make("install", f"PREFIX={folder}")
    yield folder
    make("uninstall", f"PREFIX={folder}")
    assert [path for path in folder.rglob("*") if not path.is_dir()] == []


Compile = Callable[..., Path]


@pytest.fixture
def compiled(prefix: Path, tmp_path: Path) -> Compile:
    """A function that compiles a program with what pkg-config says."""

    def compile_program(compiler: str, *sources: Path, static: bool = False) -> Path:
        found = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
        flags = run("pkg-config", "--cflags", "--libs", *["--static"] * static, "admin", env=found).split()
        if static:
            flags = [str(prefix / "lib" / "libadmin.a") if flag == "-ladmin" else flag for flag in flags]
        program = tmp_path / f"program-{compiler}{static}"
        run(compiler, *WARNINGS, *sources, *flags, f"-Wl,-rpath,{prefix / 'lib'}", "-o", program)
        return program

    return compile_program


# ---- headers ----


def test_names_are_given_both_precisions():
    text = (ROOT / "csrc" / "include" / "admin" / "names.h").read_text()
    named = re.findall(r"^#define adm_(\w+) ADM_NAME\((\w+)\)$", text, flags=re.MULTILINE)
    assert {f"adm_{name}" for name, _ in named} == declared()
    assert all(name == given for name, given in named)


def test_the_version_is_the_packages():
    assert f'#define ADM_VERSION "{ap.__version__}"' in (ROOT / "csrc/include/admin/system.h").read_text()


def test_every_function_is_documented():
    told = set(re.findall(r"\badm_\w+(?=\()", PAGE.read_text()))
    assert told == declared()


# ---- the library ----


@needs_tools
def test_the_library_shows_what_the_headers_declare(prefix):
    shown = run("nm", "-D", "--defined-only", prefix / "lib" / "libadmin.so").split()[2::3]
    expected = {f"adm_{p}_{name.removeprefix('adm_')}" for name in declared() for p in ("f32", "f64")}
    assert set(shown) == expected
    static = run("nm", "-g", "--defined-only", prefix / "lib" / "libadmin.a")
    assert set(re.findall(r"\badm_\w+", static)) == expected


@needs_tools
def test_installing_below_another_root(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/admin")
    assert "prefix=/opt/admin\n" in (tmp_path / "opt/admin/lib/pkgconfig/admin.pc").read_text()
    assert (tmp_path / "opt/admin/lib/libadmin.so").resolve().exists()
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/opt/admin")
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


@needs_tools
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("compiler", C_COMPILERS)
def test_the_example_trains(compiled, tmp_path, compiler, static):
    program = compiled(compiler, ROOT / "csrc" / "examples" / "train.c", static=static)
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", run(program, cwd=tmp_path))]
    assert losses[-1] < 0.1 < 2 < losses[0]
    model = ap.load(tmp_path / "model.safetensors")
    assert model.config.num_sublayers("decoder") == 9


@needs_tools
@pytest.mark.parametrize("compiler", CPP_COMPILERS)
def test_the_headers_are_cpp(compiled, tmp_path, compiler):
    source = tmp_path / "program.cc"
    source.write_text(
        "#include <admin/admin.h>\n"
        "int main() { return adm_config_default().d_model != 512 || !adm_version(); }\n"
    )
    run(compiled(compiler, source))


@needs_tools
@pytest.mark.parametrize("static", [False, True])
def test_both_precisions_in_one_process(compiled, static):
    run(compiled(C_COMPILERS[0], HERE / "both.c", HERE / "both64.c", static=static))


@needs_tools
@pytest.mark.parametrize("static", [False, True])
def test_what_a_call_asks_computes_in_the_other_precision_while_a_fork_waits(compiled, static):
    run(compiled(C_COMPILERS[0], HERE / "asks.c", HERE / "both64.c", static=static))


@needs_tools
def test_files_of_python_and_of_c_are_one_format(compiled, tmp_path):
    config = ap.TransformerConfig(
        vocab_size=11, encoder_layers=2, decoder_layers=2, d_model=16, heads=4, d_ff=24, embedding_scale=2.0,
        positions="rotary", logits_cap=30.0, embedding_norm=("none", "layer"), head_width=6, kv_heads=2,
        attention_scale=0.5, score_cap=20.0, qk_norm="rms", qk_norm_whole=True,
        attention_window=[None, 5, 5, None],
        rotary_theta=500.0, rotary_width=4, rotary_interleaved=True, rotary_scaling=(8.0, 1.0, 4.0, 16),
    )  # fmt: skip
    model = ap.Transformer(config, seed=3)
    model.save(tmp_path / "python.safetensors")
    run(
        compiled(C_COMPILERS[0], HERE / "copy.c"), tmp_path / "python.safetensors", tmp_path / "c.safetensors"
    )
    back = ap.load(tmp_path / "c.safetensors")
    assert back.config.replace(scheme="admin") == config
    for stack in ("encoder", "decoder"):  # the C library's defaults are Python's
        assert back.config.to_core()[stack] == config.to_core()[stack]
    ours, theirs = model.parameters, back.parameters
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
