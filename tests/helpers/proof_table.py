"""Prints how far the compute core lies from the oracle, from finite differences and from PyTorch.

Run from the repository: ``python tests/helpers/proof_table.py``.
Each figure is the worst over all configurations
of the table in ``proofs/configurations.py``; with ``--cases`` the worst of each is printed too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from proofs.configurations import CASES, LARGE_CASES, LOSS_CASES, Case, smooth, with_dropout
from proofs.core import BUILDS, make
from proofs.deviation import deviation, worst_difference, worst_direction, worst_gradient
from reference import profiling, transformer
from reference.dropout import CoreDropout
from reference.optimizers import Optimizer

Row = tuple[str, str, float, str]  # what, precision, deviation, where


def oracle_rows(case: Case, dtype: str) -> Iterator[Row]:
    """Outputs, loss and gradients with dropout and smoothing, observations and profile."""
    core, params, batch, packed = make(case, dtype, 1)
    expected = transformer.forward(case.config, params, batch).out
    yield "outputs, oracle", dtype, deviation(core.forward(packed), expected), case.name
    if not case.config["decoder"]["layers"]:
        return
    config, step = with_dropout(case.config), 5
    core, params, batch, packed = make(case, dtype, 3, config)
    masks = CoreDropout(3, step, config["heads"])
    run = transformer.backward(config, params, batch, label_smoothing=0.1, dropout=masks)
    loss, nll, _ = core.backward(packed, label_smoothing=0.1, step=step, observe=True)
    yield "loss, oracle", dtype, max(deviation(loss, run.loss), deviation(nll, run.nll)), case.name
    worst, where = worst_gradient(core.gradients, run.gradients, core.trained)
    yield "gradients, oracle", dtype, worst, f"{case.name}: {where}"
    for name, stack in run.model.stacks.items():
        norms = [np.linalg.norm(dx) for dx in stack.dx]
        yield (
            "norm of dL/dx_i, oracle",
            dtype,
            deviation(core.observations()[name]["grad_norm"], norms),
            case.name,
        )
    for method in ("clinic", "paper"):
        masks = CoreDropout(9, 0, config["heads"])
        profiles, _ = profiling.profile(config, params, batch, method=method, dropout=masks)
        got = core.profile(packed, method=method, seed=9, apply=False)
        for name, profile in profiles.items():
            for field in ("omega", "var_input", "var_branch"):
                worst = deviation(got[name][field], getattr(profile, field))
                yield "profile, oracle", dtype, worst, case.name


def difference_rows(case: Case, per_tensor: int) -> Iterator[Row]:
    """Gradients of the float64 core against central differences of its own loss."""
    core, _, _, packed = make(case, "float64", 11, with_dropout(case.config))
    options: dict[str, Any] = {"label_smoothing": 0.1, "training": True, "step": 3}

    def loss() -> float:
        return float(core.loss(packed, **options)[0])

    core.backward(packed, **options)
    params, grads = core.parameters, {name: np.array(g) for name, g in core.gradients.items()}
    if per_tensor:
        # A tolerance of zero makes every element try every step: the best of them counts.
        worst, where = worst_difference(
            loss, params, grads, names=core.trained, per_tensor=per_tensor, tolerance=0.0
        )
        yield "gradients, differences by element", "float64", worst, f"{case.name}: {where}"
    worst = worst_direction(loss, params, grads, names=core.trained, tolerance=0.0)
    yield "gradients, differences by direction", "float64", worst, case.name


def torch_rows(case: Case, dtype: str) -> Iterator[Row]:
    """Logits, loss and gradients against PyTorch with the same weights."""
    import torch
    from torch_reference import TorchTransformer

    core, params, batch, packed = make(case, dtype, 31)
    model = TorchTransformer(case.config, params, getattr(torch, dtype))
    expected_loss, expected_nll, expected = model.backward(batch, 0.1)
    logits = model.forward(batch)[0].detach().numpy()
    yield "logits, PyTorch", dtype, deviation(core.forward(packed), logits), case.name
    loss, nll, _ = core.backward(packed, label_smoothing=0.1)
    yield "loss, PyTorch", dtype, max(deviation(loss, expected_loss), deviation(nll, expected_nll)), case.name
    worst, where = worst_gradient(core.gradients, expected, core.trained)
    yield "gradients, PyTorch", dtype, worst, f"{case.name}: {where}"


def optimizer_rows(dtype: str) -> Iterator[Row]:
    """Weights after twelve updates against the oracle's."""
    case = next(case for case in LOSS_CASES if case.name == "admin 3-3")
    for kind in ("sgd", "adam", "adamw", "radam", "novograd"):
        settings: dict[str, Any] = {
            "beta1": 0.9, "beta2": 0.98, "eps": 1e-6, "weight_decay": 0.1, "nesterov": False
        }  # fmt: skip
        core, params, _, _ = make(case, dtype, 41)
        ours, oracle = BUILDS[dtype].Optimizer(kind, **settings), Optimizer(kind, **settings)
        rng = np.random.default_rng(41)
        core.gradient_buffer[...] = 0.0
        for _ in range(12):
            for name, g in core.gradients.items():
                g[...] = rng.standard_normal(params[name].shape)
            grads = {name: np.array(g, dtype=np.float64) for name, g in core.gradients.items()}
            ours.step(core, 0.01)
            oracle.step(params, grads, 0.01)
        worst, where = worst_gradient(core.parameters, params)
        yield "weights after 12 updates, oracle", dtype, worst, f"{kind}: {where}"


def rows(per_tensor: int) -> Iterator[Row]:
    """Everything, one configuration after another."""
    for dtype in BUILDS:
        for case in CASES + LARGE_CASES:
            yield from oracle_rows(case, dtype)
        if find_spec("torch"):
            for case in LOSS_CASES + LARGE_CASES:
                yield from torch_rows(case, dtype)
        yield from optimizer_rows(dtype)
    for case in LOSS_CASES:
        yield from difference_rows(case, per_tensor)
    for case in LARGE_CASES:
        yield from difference_rows(smooth(case), 0)


def worst_of(found: Sequence[Row], key: Callable[[Row], tuple[str, ...]]) -> list[Row]:
    """The worst row of every key, in order of appearance."""
    worst: dict[tuple[str, ...], Row] = {}
    for row in found:
        if key(row) not in worst or row[2] > worst[key(row)][2]:
            worst[key(row)] = row
    return list(worst.values())


def main() -> None:
    """Prints the table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", action="store_true", help="also print the worst of every configuration")
    parser.add_argument(
        "--elements", type=int, default=3, help="of every tensor, for differences (default: 3)"
    )
    arguments = parser.parse_args()
    found = list(rows(arguments.elements))
    print("| compared | precision | worst relative deviation | where |\n|---|---|---|---|")
    for what, dtype, value, where in worst_of(found, lambda row: row[:2]):
        print(f"| {what} | {dtype} | {value:.1e} | {where} |")
    print(f"\n{len(CASES) + len(LARGE_CASES)} configurations, {len(found)} comparisons.")
    if arguments.cases:
        for what, dtype, value, where in worst_of(found, lambda row: (*row[:2], row[3].split(":")[0])):
            print(f"{value:.1e}  {dtype}  {what:40s} {where}")


if __name__ == "__main__":
    main()
