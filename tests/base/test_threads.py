"""Any number of threads computes the same bits, whoever computes the matrix products."""

from __future__ import annotations

import platform

import pytest
from company import run_script

TRAIN = """
import hashlib
import numpy as np
import admin_py as ap
from company import sequences
config = ap.TransformerConfig(
    encoder_layers=1, decoder_layers=1, vocab_size=600, d_model=128, heads=4, d_ff=256, scheme="admin",
    dropout=0.1,
)
for threads in (1, 2, 3, 7, 16):
    ap.set_num_threads(threads, oversubscribe=True)
    model = ap.Transformer(config, seed=3)
    loss = model.backward(ap.Batch(sequences(1), sequences(2)), label_smoothing=0.1)
    gradients = b"".join(np.ascontiguousarray(g).tobytes() for g in model.gradients.values())
    print(repr(loss.loss), hashlib.sha256(gradients).hexdigest())
"""

X86 = platform.machine() == "x86_64"
WAYS = {
    "the fastest": {},
    "generic": {"ADMIN_PY_CPU": "generic"},
    "avx2": {"ADMIN_PY_CPU": "avx2"},
    "library": {"ADMIN_PY_GEMM": "openblas"},
    # whose kernels sum the last rows in another way than the rest
    "library's Haswell": {"ADMIN_PY_GEMM": "openblas"} | ({"OPENBLAS_CORETYPE": "Haswell"} if X86 else {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_any_number_of_threads_computes_the_same_bits(way: str) -> None:
    """Weight gradients are cut by the number of threads where no sum depends on the cut, and only there."""
    lines = run_script(TRAIN, **WAYS[way])
    assert len(lines) == 5
    assert len(set(lines)) == 1, lines
