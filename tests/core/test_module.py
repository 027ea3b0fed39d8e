"""The modules of the core: their functions, their state, their stubs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from core_objects import MODULES, both, core_batch, core_config, packed, transformer


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def second_instance(module: ModuleType) -> ModuleType:
    """The same module, executed once more beside the first."""
    spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
    assert spec is not None
    assert spec.loader is not None
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    return other


@both
def test_the_number_of_threads_is_the_modules(dtype: str) -> None:
    module, before = MODULES[dtype], MODULES[dtype].get_num_threads()
    try:
        module.set_num_threads(np.int64(3))
        assert module.get_num_threads() == module.system_info()["threads"] == 3
        for bad, error in ((0, ValueError), (1025, ValueError), (-1, ValueError), (2**70, ValueError)):
            with pytest.raises(error, match=f"n must be an integer from 1 to 1024, got {bad}"):
                module.set_num_threads(bad)
        for bad in (True, 1.0, "1", None):
            with pytest.raises(TypeError, match="n must be an integer"):
                module.set_num_threads(bad)
        assert module.get_num_threads() == 3
    finally:
        module.set_num_threads(before)


@both
def test_system_info(dtype: str) -> None:
    info = MODULES[dtype].system_info()
    assert set(info) == {"kernels", "blas", "blas_file", "dtype", "num_procs", "threads", "compiler"}
    assert info["dtype"] == dtype
    assert info["num_procs"] == MODULES[dtype].num_procs() == len(os.sched_getaffinity(0))
    assert info["kernels"] in ("generic", "avx2", "avx512", "neon")


@both
def test_norm2(dtype: str) -> None:
    values = np.random.default_rng(1).standard_normal(1000).astype(dtype)
    norm = MODULES[dtype].norm2
    assert norm(values) == pytest.approx(np.linalg.norm(values.astype(np.float64)), rel=1e-12)
    assert norm(values.reshape(10, 10, 10)) == norm(values)
    assert norm(values[:0]) == 0.0
    assert np.isnan(norm(np.array([np.nan, 1.0], dtype)))
    other = {"float32": "float64", "float64": "float32"}[dtype]
    with pytest.raises(TypeError, match=f"array must have dtype {dtype}, got {other}"):
        norm(values.astype(other))
    with pytest.raises(ValueError, match="array must be a C-contiguous array"):
        norm(values[::2])
    with pytest.raises(
        TypeError, match=f"array must be a NumPy array of {dtype}, got an object of type list"
    ):
        norm([1.0])


def test_threads_come_from_the_environment() -> None:
    code = "from admin_py import _core, _core64; print(_core.get_num_threads(), _core64.get_num_threads())"
    assert run_python(code, ADMIN_PY_NUM_THREADS="1").stdout.split() == ["1", "1"]
    unset = {"ADMIN_PY_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
    assert set(run_python(code, **unset).stdout.split()) <= set(map(str, range(1, 1 + os.cpu_count())))
    if hasattr(os, "sched_setaffinity"):
        alone = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
        assert run_python(alone + code, **unset).stdout.split() == ["1", "1"]


@both
def test_denormal_numbers_are_zero_in_the_core_and_nowhere_else(dtype: str) -> None:
    tiny = np.full(100_000, np.finfo(dtype).smallest_subnormal)
    assert MODULES[dtype].norm2(tiny) == 0.0
    assert (tiny * tiny.dtype.type(1) > 0).all()


@both
def test_every_instance_of_a_module_has_its_own_state(dtype: str) -> None:
    first, second = MODULES[dtype], second_instance(MODULES[dtype])
    assert first is not second
    assert first.Batch is not second.Batch
    before = first.get_num_threads()
    second.set_num_threads(before + 1)
    assert (first.get_num_threads(), second.get_num_threads()) == (before, before + 1)
    model = second.Transformer(core_config(), seed=1)
    assert np.array_equal(model.forward(core_batch(second)), transformer(dtype).forward(core_batch(first)))
    with pytest.raises(TypeError, match="batch must be of type"):
        model.forward(core_batch(first))


@both
def test_objects_outlive_the_name_of_their_module(dtype: str) -> None:
    module = second_instance(MODULES[dtype])
    model, batch = module.Transformer(core_config(), seed=1), core_batch(module)
    expected = model.forward(batch)
    del module
    assert np.array_equal(model.forward(batch), expected)
    assert type(model)(core_config(), 1).num_parameters == model.num_parameters


def test_nothing_goes_wrong_at_the_end_of_the_interpreter() -> None:
    """Objects in module globals, in a cycle and behind views are there when it ends."""
    code = f"""
import numpy as np
from admin_py import _core
model = _core.Transformer({core_config()!r})
class Sub(_core.Transformer): pass
cycle = Sub({core_config()!r}); cycle.me = cycle
view = _core.Transformer({core_config()!r}).parameters["embedding.weight"]
tokens, offsets = np.array({packed(3)[0].tolist()}, np.int32), np.array([0, 3])
batch = _core.Batch(tokens, offsets, tokens, offsets)
model.backward(batch)
optimizer = _core.Optimizer("adam"); optimizer.step(model, 0.1)
print(float(view.sum()) != 0)
"""
    done = run_python(code)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "True", "")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters of their own came with Python 3.12")
def test_interpreters_of_their_own_are_refused() -> None:
    code = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
own = interpreters.create()
interpreters.run_string(own, '''
try:
    import admin_py._core
except ImportError as error:
    print("refused")
''')
"""
    done = run_python(code)
    assert done.stdout.strip() == "refused", done.stderr


@pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy compares the stubs with the modules"
)
def test_the_stubs_are_those_of_the_modules(tmp_path: Path) -> None:
    package = Path(MODULES["float32"].__file__ or "").parent
    alone = tmp_path / "admin_py"  # without the rest of the package, which mypy would read too
    alone.mkdir()
    (alone / "__init__.py").touch()
    for path in [*package.glob("_core*.so"), *package.glob("_core*.pyi")]:
        (alone / path.name).symlink_to(path)
    command = [sys.executable, "-m", "mypy.stubtest", "admin_py._core", "admin_py._core64"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
