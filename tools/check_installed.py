"""Uses the installed package as a stranger would, from any folder; it must not need checkout or build tools.

`make wheel-check` runs it in an environment that holds the wheel and nothing that built it.
"""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

import admin_py as ap
from admin_py.base.versions import system


def loaded_libraries() -> set[Path]:
    """Files mapped into this process."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []  # not on macOS
    return {Path(line.split(maxsplit=5)[5]) for line in lines if len(line.split(maxsplit=5)) == 6}


def check_places() -> None:
    """Package and libraries come from the environment's site-packages."""
    package = Path(ap.__file__).resolve().parent
    installed = Path(sysconfig.get_path("platlib")).resolve()
    assert package.is_relative_to(installed), f"{package} is not in {installed}"
    blas = [path.name for path in loaded_libraries() if "blas" in path.name and "numpy" not in str(path)]
    assert not blas, f"{blas} were loaded: nothing needs them"
    assert (package / "py.typed").exists()


def check_kernels() -> None:
    """The fastest that the processor runs: a compiler may have found none, and only time would tell."""
    if "x86_64" not in sysconfig.get_platform():
        return
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    expected = "avx512" if "avx512vl" in flags else "avx2" if "avx2" in flags else "generic"
    assert system()["kernels"] == expected, f"{system()['kernels']} where {expected} was expected"


def check_training() -> None:
    """A small model learns, and survives its file, in both precisions."""
    data = ap.data.number_words(train=500, valid=50)
    for dtype in ("float32", "float64"):
        config = ap.TransformerConfig(
            vocab_size=data.vocab_size, encoder_layers=2, decoder_layers=2, d_model=32, heads=4, d_ff=64
        )
        model = ap.Transformer(config, seed=1, dtype=dtype)
        batch = next(data.batches(max_tokens=512, seed=1))
        model.profile(batch)
        history = ap.train(
            model,
            data,
            optimizer=ap.Adam(lr=3e-3),
            steps=30,
            max_tokens=512,
            label_smoothing=0.0,
            progress=False,
        )
        assert history.nll[-1] < history.nll[0] - 0.3, history.nll
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            model.save(path)
            again = ap.Transformer.load(path)
        assert np.array_equal(model.forward(batch), again.forward(batch))
        print(f"{dtype}: nll {history.nll[0]:.2f} -> {history.nll[-1]:.2f} in {len(history.nll)} steps")


def check_command() -> None:
    """The console script is there and answers."""
    script = Path(sysconfig.get_path("scripts")) / "admin-py"
    done = subprocess.run([script, "info"], capture_output=True, text=True, check=True)
    assert ap.__version__ in done.stdout, done.stdout


if __name__ == "__main__":
    ap.show_versions()
    check_places()
    check_kernels()
    check_training()
    check_command()
    print(f"the installed package works in {Path.cwd()} with {sys.executable}")
