"""Threads with small stacks: a pass needs little, and says so instead of running out of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WORK = """
import sys, threading
import admin_py as ap
data = ap.data.copy_task(train=200, valid=20)
config = ap.TransformerConfig(
    vocab_size=data.vocab_size, encoder_layers=1, decoder_layers=1, d_model=32, heads=4, d_ff=64
)
dtype = sys.argv[2]
model, batch = ap.Transformer(config, seed=1, dtype=dtype), next(data.batches(max_tokens=300))
layer = ap.EncoderLayer(32, 4, 64, dtype=dtype)
given = model.observe(batch, activations="encoder.input")["encoder.input"], batch.source.lengths
model.backward(batch)
calls = {
    "forward": lambda: model.forward(batch),
    "backward": lambda: model.backward(batch),
    "profile": lambda: model.profile(batch),
    "dependency": lambda: ap.analysis.dependency(model, batch),
    "output change": lambda: ap.analysis.output_change(model, batch),
    "step": lambda: ap.Adam().step(model),
    "layer": lambda: layer.forward(*given),
}
def work():
    for name, call in calls.items():
        try:
            call()
        except RuntimeError as error:
            print(f"{name}: {error}")
        else:
            print(f"{name}: done")
threading.stack_size(int(sys.argv[1]))
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def run(stack: int, dtype: str = "float32", **variables: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(stack), dtype],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a stack is known on Linux alone")
def test_too_small_a_stack_is_an_error_and_no_crash() -> None:
    said = run(64 * 1024)
    assert len(said) == 7
    for line in said:
        assert line.partition(": ")[2] == (
            "the stack of this thread must have 64 KiB left for the core, see threading.stack_size"
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("variables", [{}, {"ADMIN_PY_GEMM": "openblas"}])
def test_a_stack_that_is_said_to_be_enough_is(variables: dict[str, str], dtype: str) -> None:
    """Beside what Python itself takes of it."""
    said = run(112 * 1024, dtype, **variables)
    assert [line.partition(": ")[2] for line in said] == ["done"] * 7
