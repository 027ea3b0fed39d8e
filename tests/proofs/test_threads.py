"""The same bits for any number of threads: passes, the profile, optimisers, whole and resumed trainings.

Dropout is on everywhere, of attention's probabilities too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from optimizer_rules import OPTIONS, RULES

from proofs.configurations import ADMIN, CASES, FINAL, LARGE_CASES, POST, PRE, Case, config, with_dropout
from proofs.core import BUILDS, make
from proofs.passes import arrays, passes, same, steps

THREADS = (1, 2, 3, 7, 16)
MANY = (tuple([9, 1, 14, 30, 5] * 30), tuple([8, 2, 11, 33, 4] * 30))
ONE_LONG = ((250, *[4, 1, 7, 2] * 25), (3, *[5, 2, 3, 6] * 24, 240, 9, 2, 4))
LONGEST = (
    ([130], [1100]),
    ([700, 3, 64, 40], [2, 800, 65, 9]),
)
"""Sequences that are cut into parts: a batch of one, and a few amid short ones."""
WIDE: dict[str, Any] = {"d_model": 64, "heads": 4, "d_ff": 96, "max_length": 256, "vocab_size": 700}
LONG = WIDE | {"d_model": 24, "d_ff": 40, "max_length": 1200}
SUMS = (
    "every field", "norms everywhere", "gated, norms everywhere", "parallel everywhere",
    "parallel with kappa and omega", "alpha vector shared", "alpha scalar shared", "layer of all q and k",
    "rms of each head's q and k", "rotary positions", "bias qkv", "norm on embeddings, as BART",
    "windows, language model",
)  # fmt: skip
"""Cases with all kinds of sums over rows. One thread takes three chunks at once here, the others one."""
CHOSEN = [
    *LARGE_CASES,
    *(
        replace(
            case,
            name=f"{case.name}, many",
            config=case.config | {"max_length": 64},
            source_lengths=MANY[0],
            target_lengths=MANY[1],
        )
        for case in CASES
        if case.name in SUMS
    ),
    next(case for case in CASES if case.name == "every field"),
    Case("post, wide", config(POST, encoder=2, decoder=2, **WIDE), *MANY),
    Case(
        "pre, wide, gelu", config(PRE, encoder=2, decoder=2, stacks=FINAL, activation="gelu", **WIDE), *MANY
    ),
    Case(
        "gated", config(PRE, encoder=2, decoder=2, stacks=FINAL, activation="silu", gated=True, **WIDE), *MANY
    ),
    Case("one long, many short", config(ADMIN, encoder=2, decoder=2, activation="gelu", **WIDE), *ONE_LONG),
    Case("large vocabulary", config(POST, encoder=1, decoder=1, **WIDE | {"vocab_size": 4500}), *MANY),
    Case("a target in parts", config(ADMIN, encoder=1, decoder=2, **LONG), *LONGEST[0]),
    Case(
        "two in parts, pre, gelu",
        config(PRE, encoder=1, decoder=1, stacks=FINAL, activation="gelu", **LONG),
        *LONGEST[1],
    ),
    Case("language model, one long", config(PRE, encoder=0, decoder=3, stacks=FINAL, **WIDE), *ONE_LONG),
]
TRAINED = [
    Case("one long, many short", config(ADMIN, encoder=1, decoder=1, **WIDE), *ONE_LONG),
    Case("language model", config(ADMIN, encoder=0, decoder=2, activation="gelu", **WIDE), *MANY),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CHOSEN, ids=[case.name for case in CHOSEN])
def test_passes(case: Case, dtype: str) -> None:
    same([passes(case, dtype, threads) for threads in THREADS])


@pytest.mark.parametrize("kind", ["adam", "radam"])
@pytest.mark.parametrize("case", TRAINED, ids=[case.name for case in TRAINED])
def test_resumed_training(case: Case, kind: str) -> None:
    """Six steps, or three and, in new objects on another number of threads, the other three."""
    module = BUILDS["float32"]
    results = []
    for first, second in ((1, None), (2, 7), (7, 1), (3, 2)):
        module.set_num_threads(first)
        core, *_ = make(case, "float32", 53, with_dropout(case.config))
        optimizer = module.Optimizer(kind, **OPTIONS)
        steps(case, core, optimizer, range(3))
        if second is not None:
            module.set_num_threads(second)
            old, state = core, optimizer.state
            core, *_ = make(case, "float32", 53, with_dropout(case.config))
            core.weights[...] = old.weights
            optimizer = module.Optimizer(kind, **OPTIONS)
            optimizer.load_state(state)
        steps(case, core, optimizer, range(3, 6))
        results.append(arrays(core, optimizer))
    same(results)


@pytest.mark.parametrize(("kind", "options"), RULES, ids=[f"{kind} {options}" for kind, options in RULES])
def test_training_steps(kind: str, options: dict[str, Any]) -> None:
    """Backward with dropout, clipping by the norm and an update, four times over changing batches."""
    case = Case("trained", config(ADMIN, encoder=1, decoder=1, **WIDE), *MANY)
    module = BUILDS["float32"]
    results = []
    for threads in THREADS:
        module.set_num_threads(threads)
        core, *_ = make(case, "float32", 52, with_dropout(case.config))
        optimizer = module.Optimizer(kind, **OPTIONS | options)
        norms = steps(case, core, optimizer, range(4))
        results.append({"norms": norms} | arrays(core, optimizer))
    same(results)


def test_initial_weights() -> None:
    made = config(ADMIN, encoder=1, decoder=1, **WIDE | {"d_model": 256, "d_ff": 512})
    weights = []
    for threads in THREADS:
        BUILDS["float32"].set_num_threads(threads)
        weights.append({"weights": BUILDS["float32"].Transformer(made, seed=5).weights.copy()})
    same(weights)
