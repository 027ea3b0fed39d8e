"""Every table of kernels that this processor can run, plain C, AVX2 and AVX-512, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from reference import transformer
from reference.dropout import CoreDropout

from proofs.configurations import ADMIN, CASES, LARGE_CASES, Case, config, identifiers, with_dropout
from proofs.core import BUILDS, make
from proofs.deviation import deviation, worst_gradient
from proofs.tables import NEEDS, promised

OUTPUT = {"float64": 1e-13, "float32": 5e-6}
GRADIENT = {"float64": 2e-12, "float32": 3e-4}
# Widths around the lengths of vector registers and of unrolled strips, so that every remainder occurs.
WIDTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 63, 65)
CHOSEN = [case for case in CASES if case.name in ("every field", "norms everywhere", "gelu", "width 64")]
CHOSEN += [
    case for case in CASES if case.name in ("rms of each head's q and k", "parallel with kappa and omega")
]
CHOSEN += [
    case for case in LARGE_CASES if case.name in ("long sequences", "wide heads", "long, window of 70")
]
for n in WIDTHS:
    subs = ADMIN if n > 2 else {}  # LayerNorm of one or two features has no gradient but rounding
    sizes = {"heads": 1, "d_model": n, "d_ff": n + 1, "vocab_size": n + 2, "max_length": 80}
    CHOSEN.append(Case(f"width {n}", config(subs, **sizes), (n, 2), (n + 1, 3)))


def use(monkeypatch: pytest.MonkeyPatch, kernels: str) -> None:
    """The table that models made from now on use; the test is skipped where the processor lacks it."""
    if kernels not in promised():
        pytest.skip(f"this processor cannot run {kernels}")
    monkeypatch.setenv("ADMIN_PY_CPU", kernels)
    assert BUILDS["float64"].system_info()["kernels"] == kernels


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CHOSEN, ids=identifiers(CHOSEN))
@pytest.mark.parametrize("kernels", NEEDS)
def test_kernels(kernels: str, case: Case, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, kernels)
    config, step = with_dropout(case.config), 6
    core, params, batch, packed = make(case, dtype, 61, config)
    masks = CoreDropout(61, step, config["heads"])
    run = transformer.backward(config, params, batch, label_smoothing=0.1, dropout=masks)
    loss, _, _ = core.backward(packed, label_smoothing=0.1, step=step)
    assert deviation(loss, run.loss) < OUTPUT[dtype]
    worst, where = worst_gradient(core.gradients, run.gradients, core.trained)
    assert worst < GRADIENT[dtype], where
    assert deviation(core.forward(packed), transformer.forward(config, params, batch).out) < OUTPUT[dtype]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_best_table_is_chosen(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the compiler's run-time library knows of this processor."""
    monkeypatch.delenv("ADMIN_PY_CPU", raising=False)
    assert BUILDS[dtype].system_info()["kernels"] == promised()[-1]


def test_masks_do_not_depend_on_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed draws the same dropout on every processor: losses agree to rounding, not to chance."""
    losses = []
    case = next(case for case in LARGE_CASES if case.name == "many sequences")
    for kernels in promised():
        monkeypatch.setenv("ADMIN_PY_CPU", kernels)
        core, _, _, packed = make(case, "float64", 62, with_dropout(case.config, 0.5))
        losses.append(core.loss(packed, training=True)[0])
    assert np.ptp(losses) < 1e-12
