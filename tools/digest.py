"""Digests of trainings, analyses, a study and a grid: whoever computes the same bits prints the same lines.

    python tools/digest.py            print them, beside those that are kept
    python tools/digest.py --write    and keep them in tests/stored/digests.json

The exit status is 1 where one is not as kept, unless it is written. Only what is computed counts, not how
it is kept: times, versions and the names of settings are left out.
The bits depend neither on the processor and the kernels in use (``ADMIN_PY_CPU``) nor on the number of
threads, unless ``ADMIN_PY_GEMM=openblas``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from inspect import signature
from pathlib import Path
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


def of_kinds(data: Any) -> Iterable[Any]:
    """Short trainings of every scheme: optimisers, schedules, activations, precisions and sizes go round."""
    schedules = (
        ap.schedules.cosine(1e-3, 1, steps=5),
        ap.schedules.polynomial(1e-3, 1, steps=5, power=1.7),
        ap.schedules.inverse_sqrt(1e-3, 2),
    )
    optimizers: tuple[Callable[[], Any], ...] = (
        partial(ap.Adam, lr=1e-3),
        partial(ap.AdamW, lr=1e-3, weight_decay=0.1),
        partial(ap.RAdam, lr=1e-3, betas=(0.9, 0.9)),
        partial(ap.NovoGrad, lr=1e-3),
        partial(ap.SGD, lr=1e-2, momentum=0.9, nesterov=True),
    )
    schemes = (
        *ap.schemes.names(),
        ap.Scheme("dyt", lambda site: ap.Residual(norm_pre="dyt"), final_norm="dyt"),
        ap.Scheme("rms", lambda site: ap.Residual(norm_pre="rms", norm_post="rms")),
    )
    for number, scheme in enumerate(schemes):
        config = ap.TransformerConfig(
            vocab_size=data.vocab_size,
            encoder_layers=1 + number % 2,
            decoder_layers=1 + number // 2 % 2,
            d_model=(24, 33, 40)[number % 3],
            heads=(2, 3, 5)[number % 3],
            d_ff=(50, 66)[number % 2],
            activation=("gelu", "relu")[number // 2 % 2],
            positions=("sinusoidal", "learned")[number // 3 % 2],
            attention_dropout=0.1,
            activation_dropout=0.1,
            scheme=scheme,
        )
        model = ap.Transformer(config, seed=number, dtype=("float32", "float64")[number // 4 % 2])
        yield config.scheme_name
        yield from leaves(model.parameters)
        profile = model.profile(next(data.batches(max_tokens=256, seed=3)), seed=3)
        yield from leaves({stack: profile.omega(stack) for stack in ("encoder", "decoder")})
        history = ap.train(
            model,
            data,
            optimizer=optimizers[number % len(optimizers)](),
            schedule=schedules[number % len(schedules)],
            steps=5,
            max_tokens=256,
            progress=False,
        )
        yield from of_history(history)
        yield from leaves(model.parameters)


def of_analyses(data: Any) -> Iterable[Any]:
    """What Python computes of a pass, and fits and averages of results, for every kind of norm."""
    batch = next(data.batches(max_tokens=512, seed=3))
    found = []
    for norm in ("layer", "rms", "dyt"):
        scheme = ap.Scheme(norm, lambda site, norm=norm: ap.Residual(norm_branch=norm, norm_post=norm))
        config = ap.TransformerConfig(
            vocab_size=data.vocab_size,
            encoder_layers=2,
            decoder_layers=2,
            d_model=33,
            heads=3,
            d_ff=50,
            scheme=scheme,
        )
        model = ap.Transformer(config, seed=3, dtype="float64" if norm == "rms" else "float32")
        seen = model.observe(batch, gradients="logits", label_smoothing=0.1)
        for name in seen.activations:
            yield name
            yield from seen[name] if name.endswith("probabilities") else [seen[name]]
        yield seen.gradients["logits"]
        yield model.loss(batch).perplexity
        for stack, own in ap.diagnose(model, batch).beta2.items():
            yield stack
            yield own
        change = ap.analysis.output_change(model, batch, repeats=2)
        for stack in change.stacks:
            fits = change.fit(stack)
            yield from (fits.linear(3), fits.logarithmic(3), fits.linear.r2, fits.logarithmic.r2)
            yield change.theory(stack)
        use = ap.analysis.source_use(model, data, max_tokens=512)
        yield from (use.nll, use.other_nll, use.token_share)
        found.append(ap.analysis.gradients(model, batch))
        found.append(ap.analysis.gradients(ap.Transformer(config, seed=4), batch))
    for spread in ap.analysis.pool(found):
        yield from leaves(spread.middle)
    yield data.unigram_entropy()


KEPT = Path(__file__).resolve().parents[1] / "tests" / "stored" / "digests.json"
WAYS: Mapping[str, Callable[[Any], Iterable[Any]]] = {
    "kinds": of_kinds,
    "training": lambda data: of_training(data, "admin"),
    "analyses": of_analyses,
    "study": of_study,
    "grid": of_grid,
}
"""What is digested, by name."""


def compute(name: str) -> str:
    """The digest of that name."""
    return digest(WAYS[name](ap.data.number_words(train=2000, valid=200)))


def kept() -> dict[str, str]:
    """The digests that every machine has to reproduce."""
    return dict(json.loads(KEPT.read_text()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print them; keep them where asked to. 1 where one is another than is kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args(arguments).write
    before = kept() if KEPT.exists() else {}
    found = {}
    for name in WAYS:
        found[name] = compute(name)
        print(f"{name:8} {found[name]} {'as kept' if found[name] == before.get(name) else 'not as kept'}")
    if write:
        KEPT.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    return int(found != before)


if __name__ == "__main__":
    sys.exit(main())
