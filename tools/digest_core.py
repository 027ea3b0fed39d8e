"""Digests of all that the core computes, over the proofs' table of configurations.

    python tools/digest_core.py            a line for each table of kernels and precision
    python tools/digest_core.py --cases    and one for each configuration

Two checkouts that compute the same bits print the same lines. Every pass runs with 1, 2 and 7 threads, which
must agree. The tables of kernels are those that the processor has, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from digest import digest, leaves

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "helpers")]

from proofs.configurations import CASES, ENCODER_CASES, LARGE_CASES, Case, with_dropout  # noqa: E402
from proofs.core import BUILDS, make  # noqa: E402

KERNELS = {"generic": "", "avx2": "avx2", "avx512": "avx512vl"}
"""Table -> the flag of a processor that can run it."""
THREADS = (1, 2, 7)
SITES = ("output", "branch", "normed", "sum", "end")
GRADIENT_SITES = ("output_gradient", "branch_gradient")
MODES: tuple[dict[str, Any], ...] = (
    {},
    {"training": False, "scale": 0.5, "accumulate": True},
    {"segment_layers": 1},
    {"segment_layers": -1, "observe": True},
    {"observe": True, "keep_gradients": True},
)


def stacks(config: dict[str, Any]) -> dict[str, int]:
    """Name -> sub-layers, of those that there are."""
    return {name: len(config[name]["sublayers"]) for name in ("encoder", "decoder") if config[name]["layers"]}


def activations(core: Any, config: dict[str, Any], sites: Iterable[str]) -> Iterable[Any]:
    """Of the last observed pass, with what it observed."""
    yield from leaves(core.observations())
    for stack, count in stacks(config).items():
        for site in sites:
            first = {"output": 0, "output_gradient": 0, "end": count}.get(site, 1)
            for index in range(first, count + 1):
                yield core.activation(stack, index, site)


def backwards(core: Any, batch: Any, config: dict[str, Any]) -> Iterable[Any]:
    """Losses and gradients, however activations are kept."""
    yield from core.loss(batch, label_smoothing=0.1, training=True, step=3)
    for mode in MODES:
        yield from core.backward(batch, label_smoothing=0.1, step=3, **mode)
        yield core.gradient_buffer
    yield from activations(core, config, (*SITES, *GRADIENT_SITES))


def profiles(core: Any, batch: Any) -> Iterable[Any]:
    """By both methods; the weights stay."""
    weights = core.weights.copy()
    for method in ("paper", "clinic"):
        yield from leaves(core.profile(batch, method=method, seed=5))
        yield core.weights
        core.weights[...] = weights


def analyses(core: Any, other: Any, batch: Any) -> Iterable[Any]:
    """Dependency, where the residual is linear, and the change of outputs."""
    with suppress(ValueError):  # a norm on the residual's way is not linear
        yield from leaves(core.dependency(batch, components=True))
        yield from leaves(core.dependency(batch, max_memory=1))
    yield from leaves(core.output_change(other, batch))


def parts(case: Case, dtype: str, config: dict[str, Any]) -> Iterable[Any]:
    """All that is computed of one configuration."""
    core, _, _, batch = make(case, dtype, 3, config)
    other, _, _, _ = make(case, dtype, 4, config)
    yield core.forward(batch)
    yield core.forward(batch, training=True, step=2, observe=True)
    yield from activations(core, config, SITES)
    if config["decoder"]["layers"]:
        yield from backwards(core, batch, config)
    yield from profiles(core, batch)
    yield from analyses(core, other, batch)
    yield BUILDS[dtype].Transformer(config, seed=7).weights


def layer_parts(case: Case, dtype: str) -> Iterable[Any]:
    """One layer of a stack on hidden states, forward and backward."""
    module, rng = BUILDS[dtype], np.random.default_rng(9)
    for name, make_layer in (("encoder", module.EncoderLayer), ("decoder", module.DecoderLayer)):
        given = dict(case.config[name])
        if not given["layers"]:
            continue
        given["sublayers"] = given["sublayers"][: len(given["sublayers"]) // given["layers"]]
        absent = dict(case.config["encoder" if name == "decoder" else "decoder"])
        absent |= {"layers": 0, "sublayers": [], "cross": False}
        config = with_dropout(case.config) | {"vocab_size": 0, "encoder": absent, "decoder": absent}
        config |= {name: given | {"layers": 1}}
        layer = make_layer(config, seed=2)
        lengths = np.array(case.source_lengths), np.array(case.target_lengths)
        x, memory = (rng.normal(size=(sum(n), config["d_model"])).astype(dtype) for n in lengths)
        side = (memory, lengths[1]) if given["cross"] else ()
        y = layer.forward(x, lengths[0], *side, training=True, step=1, observe=True)
        yield y
        yield from layer.backward(y, accumulate=True) if side else (layer.backward(y, accumulate=True),)
        yield layer.gradient_buffer
        yield from activations(layer, config, SITES)
        yield from leaves(layer.profile(x, lengths[0], *side))


def of_case(case: Case, dtype: str) -> str:
    """The digest of one configuration, with dropout and without."""
    found = set()
    for threads in THREADS:
        BUILDS[dtype].set_num_threads(threads)
        both = (
            part for config in (case.config, with_dropout(case.config)) for part in parts(case, dtype, config)
        )
        found.add(digest([digest(both), digest(layer_parts(case, dtype))]))
    assert len(found) == 1, f"{case.name}: the number of threads changes bits"
    return found.pop()


def run_all(kernels: str, each: bool) -> None:
    """Print the lines of one table of kernels."""
    for dtype in BUILDS:
        found = {case.name: of_case(case, dtype) for case in CASES + LARGE_CASES + ENCODER_CASES}
        for name, line in found.items() if each else ():
            print(f"  {line} {name}")
        print(f"{kernels:8} {dtype} {digest(found.values())}", flush=True)


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", action="store_true")
    parser.add_argument("--kernels", choices=KERNELS, help="of this table alone, in this process")
    given = parser.parse_args()
    if given.kernels and os.environ.get("ADMIN_PY_CPU") == given.kernels:
        return run_all(given.kernels, given.cases)
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    for kernels, flag in KERNELS.items():
        if given.kernels in (None, kernels) and (not flag or flag in flags):
            command = [sys.executable, __file__, "--kernels", kernels, *["--cases"] * given.cases]
            subprocess.run(command, check=True, env={**os.environ, "ADMIN_PY_CPU": kernels})


if __name__ == "__main__":
    main()
