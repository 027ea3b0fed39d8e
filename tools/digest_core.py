"""Digests of all that the core computes, over the proofs' table of configurations.

    python tools/digest_core.py            a line for each table of kernels and precision
    python tools/digest_core.py --cases    and one for each configuration

Two checkouts that compute the same bits print the same lines. Every pass runs with 1, 2 and 7 threads, which
must agree. The tables of kernels are those that the processor has, each in a process of its own; they must
agree, too: the exit status is 1 where they do not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from digest import digest, leaves

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "helpers")]

from proofs.configurations import CASES, ENCODER_CASES, LARGE_CASES, Case, with_dropout  # noqa: E402
from proofs.core import BUILDS, make  # noqa: E402
from proofs.passes import dependency, output_change, passes  # noqa: E402
from proofs.tables import NEEDS, promised  # noqa: E402

THREADS = (1, 2, 7)
SITES = ("output", "branch", "normed", "sum", "end")
GRADIENT_SITES = ("output_gradient", "branch_gradient")
MODES: tuple[dict[str, Any], ...] = (
    {"training": False, "scale": 0.5, "accumulate": True},
    {"segment_layers": 1},
    {"segment_layers": -1, "observe": True},
    {"observe": True, "keep_gradients": True},
)
"""Of backward passes, beside the one of the tests."""


def activations(core: Any, config: dict[str, Any], sites: Iterable[str]) -> Iterator[Any]:
    """Of the last observed pass."""
    for stack in ("encoder", "decoder"):
        if not config[stack]["layers"]:
            continue
        count = len(config[stack]["sublayers"])
        for site in sites:
            first = {"output": 0, "output_gradient": 0, "end": count}.get(site, 1)
            for index in range(first, count + 1):
                yield core.activation(stack, index, site)


def modes(case: Case, dtype: str) -> Iterator[Any]:
    """What is computed of a model however its activations are kept, and what is kept."""
    config = with_dropout(case.config)
    core, _, _, batch = make(case, dtype, 3, config)
    yield core.forward(batch)
    yield core.forward(batch, training=True, step=2, observe=True)
    yield from activations(core, config, SITES)
    if config["decoder"]["layers"]:
        for mode in MODES:
            yield core.backward(batch, label_smoothing=0.1, step=3, **mode)
            yield core.gradient_buffer
        yield from activations(core, config, (*SITES, *GRADIENT_SITES))
    yield BUILDS[dtype].Transformer(config, seed=7).weights


def layers(case: Case, dtype: str) -> Iterator[Any]:
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


def parts(case: Case, dtype: str, threads: int) -> Iterator[Any]:
    """All that is computed of one configuration: what the tests of equal bits compare, and more."""
    yield from leaves(passes(case, dtype, threads))
    with suppress(ValueError):  # a norm on the residual's way is not linear
        yield from leaves(dependency(case, dtype))
    yield from leaves(output_change(case, dtype))
    yield from modes(case, dtype)
    yield from layers(case, dtype)


def of_case(case: Case, dtype: str) -> str:
    """The digest of one configuration."""
    found = {digest(parts(case, dtype, threads)) for threads in THREADS}
    assert len(found) == 1, f"{case.name}: the number of threads changes bits"
    return found.pop()


def print_lines(each: bool) -> None:
    """Those of the table of kernels of this process."""
    for dtype in BUILDS:
        found = {case.name: of_case(case, dtype) for case in CASES + LARGE_CASES + ENCODER_CASES}
        for name, line in found.items() if each else ():
            print(f"{line} {dtype} {name}")
        print(f"{digest(found.values())} {dtype}", flush=True)


def lines_of(kernels: str, each: bool) -> list[str]:
    """Of one table of kernels, computed in a process of its own."""
    command = [sys.executable, __file__, "--kernels", kernels, *["--cases"] * each]
    environment = {**os.environ, "ADMIN_PY_CPU": kernels}
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print them; 1 where tables of kernels differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", action="store_true")
    parser.add_argument("--kernels", choices=NEEDS, help="of this table alone")
    given = parser.parse_args(arguments)
    if given.kernels and os.environ.get("ADMIN_PY_CPU") == given.kernels:
        print_lines(given.cases)
        return 0
    found = {}
    for kernels in [given.kernels] if given.kernels else promised():
        found[kernels] = lines_of(kernels, given.cases)
        for line in found[kernels]:
            print(f"{kernels:8} {line}", flush=True)
    first, *others = found.values()
    differ = [mine for mine, *theirs in zip(first, *others, strict=True) if {mine} != {mine, *theirs}]
    for line in differ:
        print(f"tables of kernels differ: {line.partition(' ')[2]}", file=sys.stderr)
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
