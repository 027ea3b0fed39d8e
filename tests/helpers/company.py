"""Small trainings for the tests of threads, forks and other libraries; their scripts import it, too."""

from __future__ import annotations

import faulthandler
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np

import admin_py as ap

LIMIT = 600
"""Seconds after which a script counts as hanging: they need 2."""

LIBRARIES_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What tests/conftest.py sets."""


def sequences(seed: int, count: int = 30) -> list[np.ndarray]:
    """Random sequences of 2 to 40 tokens."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 60, n).astype(np.int32) for n in rng.integers(2, 41, count)]


class Training:
    """An encoder-decoder and its optimiser; dropout is on."""

    def __init__(self, seed: int, dtype: str = "float32") -> None:
        config = ap.TransformerConfig(
            encoder_layers=1, decoder_layers=1, vocab_size=60, d_model=32, heads=4, d_ff=64, scheme="admin",
            dropout=0.1, attention_dropout=0.1,
        )  # fmt: skip
        self.seed = seed
        self.model = ap.Transformer(config, seed=seed, dtype=dtype)
        self.optimizer = ap.Adam(lr=1e-3)
        self.done = 0

    def steps(self, count: int) -> str:
        """So many steps; a digest of all bits of the weights after them."""
        for step in range(self.done, self.done + count):
            batch = ap.Batch(sequences(100 * self.seed + step), sequences(100 * self.seed + step + 50))
            self.model.backward(batch, label_smoothing=0.1, step=step)
            self.optimizer.step(self.model)
        self.done += count
        return self.digest()

    def digest(self) -> str:
        """Of the weights."""
        bits = hashlib.sha256()
        for value in self.model.parameters.values():
            assert np.all(np.isfinite(value))
            bits.update(np.ascontiguousarray(value).tobytes())
        return bits.hexdigest()


def train(seed: int, count: int = 3, dtype: str = "float32") -> str:
    """The digest of a training from its beginning."""
    return Training(seed, dtype).steps(count)


def end_if_it_hangs() -> None:
    """Let this process be killed, and say on stderr where it was, if it lives longer than it can need."""
    faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)
    signal.alarm(LIMIT // 2)


def in_child(function: Callable[[], str]) -> str:
    """What the function returns in a forked child, which is killed if it hangs."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            end_if_it_hangs()
            os.close(reading)
            os.write(writing, function().encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading) as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0, f"the child ended with {status}"
    return said


def num_threads_alive() -> int:
    """Of this process, sleeping ones too."""
    return len(os.listdir("/proc/self/task"))


def run_script(code: str, **environment: str) -> list[str]:
    """What the code prints in a fresh interpreter, in lines; fails if it hangs or says a word on stderr.

    NumPy and PyTorch have there as many threads as they take by themselves.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in LIBRARIES_THREADS}
    done = subprocess.run(
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**inherited, "PYTHONPATH": str(Path(__file__).parent), **environment},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout.split("\n")[:-1]
