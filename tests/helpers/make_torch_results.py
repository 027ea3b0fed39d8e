"""Stores what PyTorch computes for a few small models, so that the tests need no PyTorch.

Run from the repository: ``python tests/helpers/make_torch_results.py`` writes
 ``tests/stored/torch_results.npz``.
"""

from __future__ import annotations

import numpy as np
import torch
from proofs.configurations import Case
from proofs.stored_models import SMOOTHING, STORED, STORED_CASES, formula_parameters
from torch_reference import TorchTransformer


def torch_results(case: Case, dtype: str) -> dict[str, np.ndarray]:
    """Logits, loss, nll and all gradients of one model, keyed as they are stored."""
    model = TorchTransformer(case.config, formula_parameters(case.config), getattr(torch, dtype))
    batch = case.batch(0)
    loss, nll, grads = model.backward(batch, SMOOTHING)
    results = {"loss": np.array(loss), "nll": np.array(nll)}
    results["logits"] = model.forward(batch)[0].detach().numpy()
    results["gradients"] = np.concatenate([grads[name].ravel() for name in sorted(grads)])
    return {f"{case.name}/{dtype}/{what}": value for what, value in results.items()}


def main() -> None:
    """Writes the file and says how large it is."""
    torch.set_num_threads(1)
    stored = {"torch_version": np.array(torch.__version__)}
    for case in STORED_CASES:
        batch = case.batch(0)
        parts = zip(batch._fields, batch, strict=True)
        stored |= {f"{case.name}/{field}": part for field, part in parts if part is not None}
        for dtype in ("float64", "float32"):
            stored |= torch_results(case, dtype)
    STORED.parent.mkdir(exist_ok=True)
    np.savez_compressed(STORED, **stored)
    print(f"{STORED}: {len(stored)} arrays, {STORED.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
