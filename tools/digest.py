"""Digests of a training, a study and a grid: two checkouts that compute the same bits print the same lines.

    python tools/digest.py

Only what is computed counts, not how it is kept: times, versions and the names of settings are left out.
The bits depend on the kernels in use (``ADMIN_PY_CPU``), not on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from inspect import signature
from typing import Any

import numpy as np

import admin_py as ap

SERIES = ("loss", "nll", "lr", "grad_norm", "update_norm", "tokens")
"""Of a history; its seconds are another each time."""
SIZES: Mapping[str, Any] = {"d_model": 32, "d_ff": 64, "heads": 4, "steps": 12, "progress": False}
SCHEMES = ["post_ln", "pre_ln", "admin"]
SEEDS = [1, 2]


def digest(parts: Iterable[Any]) -> str:
    """Of arrays, numbers and text, in their order."""
    found = sha256()
    for part in parts:
        array = np.asarray(part)
        found.update(str((array.dtype.kind, array.shape)).encode())
        found.update(str(part).encode() if array.dtype.kind in "UO" else array.tobytes())
    return found.hexdigest()


def leaves(value: Any) -> Iterable[Any]:
    """The values of nested mappings, by name."""
    if isinstance(value, Mapping):
        for name in sorted(value, key=str):
            yield str(name)
            yield from leaves(value[name])
    else:
        yield value


def of_history(history: ap.History) -> Iterable[Any]:
    """Every number of a training but its seconds."""
    for name in SERIES:
        yield getattr(history, name)
    yield from leaves(history.valid)
    yield from leaves(history.observations)


def of_training(data: Any, scheme: str) -> Iterable[Any]:
    """History and weights."""
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size,
        encoder_layers=3,
        decoder_layers=2,
        d_model=32,
        heads=4,
        d_ff=64,
        scheme=scheme,
    )
    model = ap.Transformer(config, seed=3)
    profile = model.profile(next(data.batches(max_tokens=512, seed=3)), seed=3)
    yield from leaves({stack: profile.omega(stack) for stack in ("encoder", "decoder")})
    history = ap.train(
        model,
        data,
        optimizer=ap.RAdam(lr=1e-3, betas=(0.9, 0.98)),
        schedule=ap.schedules.inverse_sqrt(lr=1e-3, warmup=5),
        steps=20,
        max_tokens=512,
        accumulate=2,
        clip_norm=1.0,
        valid_every=10,
        observe=5,
        progress=False,
    )
    yield from of_history(history)
    yield from leaves(model.parameters)


def of_study(data: Any) -> Iterable[Any]:
    """Profiles, gradients, analyses, histories and samples of all runs."""
    found = ap.study(data, schemes=SCHEMES, seeds=SEEDS, layers=2, samples=2, **SIZES)
    for run in found.runs:
        yield run.scheme
        yield from of_history(run.history)
        for stack in ("encoder", "decoder"):
            yield run.profile.omega(stack)
        yield from leaves(run.gradients.outputs)
        yield from leaves(run.gradients.matrices)
        yield from leaves(run.dependency_before.variances)
        yield from leaves(run.dependency_after.variances)
        yield from leaves(run.output_change.change)
        yield from (text for sample in run.samples for text in sample)


def of_grid(data: Any) -> Iterable[Any]:
    """Axes and histories of all cells."""
    names = ("scheme", "seed") if "scheme" in signature(ap.grid).parameters else ("schemes", "seeds")
    axes = {names[0]: SCHEMES, names[1]: SEEDS, "lr": [1e-3, 2e-3], "layers": [1, (2, 1)]}
    for cell in ap.grid(data, **axes, **SIZES).cells:
        yield str((cell.scheme, cell.layers, cell.lr, cell.seed))
        yield from of_history(cell.history)


def main() -> None:
    """Print them."""
    data = ap.data.number_words(train=2000, valid=200)
    print("training", digest(of_training(data, "admin")))
    print("study   ", digest(of_study(data)))
    print("grid    ", digest(of_grid(data)))


if __name__ == "__main__":
    main()
