"""The optimisers: the core's against the oracle, and both against PyTorch's where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from optimizer_rules import OPTIONS, RULES
from proofs.configurations import ADMIN, POST, Case, config, scale
from proofs.core import BUILDS, core_batch, make
from proofs.deviation import deviation
from reference.optimizers import Optimizer, clip_scale

CASE = Case("small", config(ADMIN, decoder_subs={**POST, "omega": scale("vector", trained=False)}, encoder=2))
NAMES = [f"{kind} {options}" for kind, options in RULES]
# An update divides by the root of a second moment, which magnifies the rounding of small gradients.
TOLERANCE = {"float64": 1e-11, "float32": 2e-5}


def trained(core: Any) -> dict[str, np.ndarray]:
    return {name: np.array(core.parameters[name], dtype=np.float64) for name in core.trained}


def gradients(core: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random gradients, written into the core and returned as it holds them."""
    values = core.gradients
    for name in core.trained:
        values[name][...] = rng.standard_normal(values[name].shape) * 10.0 ** rng.integers(-3, 2)
    return {name: np.array(values[name], dtype=np.float64) for name in core.trained}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("kind", "options"), RULES, ids=NAMES)
def test_updates_are_those_of_the_oracle(kind: str, options: dict[str, Any], dtype: str) -> None:
    """Twelve updates, past the step at which RAdam begins to move (5 at beta2 .9, 6 at .98)."""
    settings = OPTIONS | options
    core, *_ = make(CASE, dtype, 41)
    core.gradient_buffer[...] = 0.0
    rng = np.random.default_rng(41)
    optimizer, oracle = BUILDS[dtype].Optimizer(kind, **settings), Optimizer(kind, **settings)
    weights, fixed = trained(core), set(core.parameters) - set(core.trained)
    before = {name: np.array(core.parameters[name]) for name in fixed}
    assert fixed
    for step in range(12):
        grads = gradients(core, rng)
        lr, grad_scale = 0.01 / (step + 1), 1.0 if step % 2 else 0.3
        norm = optimizer.step(core, lr, grad_scale)
        expected = oracle.step(weights, grads, lr, grad_scale)
        assert norm == pytest.approx(expected, rel=1e-3 if dtype == "float32" else 1e-10, abs=1e-12)
        for name, value in weights.items():
            assert deviation(core.parameters[name], value) < TOLERANCE[dtype], (step, name)
    assert optimizer.state["step"] == 12
    for name in fixed:
        assert np.array_equal(core.parameters[name], before[name])


@pytest.mark.parametrize("beta2", [0.9, 0.98, 0.999])
def test_radam_waits_until_the_variance_is_tractable(beta2: float) -> None:
    """While rho_t < 5 the weights stay, bit for bit, weight decay or not; then they move."""
    core, *_ = make(CASE, "float64", 42)
    optimizer = BUILDS["float64"].Optimizer("radam", **OPTIONS | {"beta2": beta2, "weight_decay": 0.1})
    oracle = Optimizer("radam", beta2=beta2)
    rng = np.random.default_rng(42)
    core.gradient_buffer[...] = 0.0
    start, moved = core.weights.copy(), []
    for _ in range(8):
        gradients(core, rng)
        oracle.t += 1
        moved.append((optimizer.step(core, 0.1) > 0.0, oracle.rho()[0] >= 5.0))
        assert np.array_equal(core.weights, start) == (not moved[-1][0] and not any(m for m, _ in moved))
    assert all(core_moved == tractable for core_moved, tractable in moved)
    assert [m for m, _ in moved].index(True) >= 4


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize(("kind", "options"), [rule for rule in RULES if rule[0] in ("sgd", "adam", "adamw")])
def test_updates_are_those_of_torch(kind: str, options: dict[str, Any]) -> None:
    import torch

    s = OPTIONS | options
    core, *_ = make(CASE, "float64", 43)
    core.gradient_buffer[...] = 0.0
    tensors = {name: torch.nn.Parameter(torch.from_numpy(value)) for name, value in trained(core).items()}
    betas = {"betas": (s["beta1"], s["beta2"]), "eps": s["eps"]}
    common = {"lr": 0.01, "weight_decay": s["weight_decay"]}
    theirs = {
        "sgd": lambda p: torch.optim.SGD(p, momentum=s["beta1"], nesterov=s["nesterov"], **common),
        "adam": lambda p: torch.optim.Adam(p, **betas, **common),
        "adamw": lambda p: torch.optim.AdamW(p, **betas, **common),
    }[kind](list(tensors.values()))
    ours, rng = BUILDS["float64"].Optimizer(kind, **s), np.random.default_rng(43)
    for _ in range(8):
        for name, g in gradients(core, rng).items():
            tensors[name].grad = torch.from_numpy(g)
        ours.step(core, 0.01)
        theirs.step()
        for name, tensor in tensors.items():
            assert deviation(core.parameters[name], tensor.detach().numpy()) < TOLERANCE["float64"], name


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_rectified_steps_of_radam_are_those_of_torch() -> None:
    """Where both rectify (rho > 5), torch's RAdam is the release's with eps = 0; before, it moves."""
    import torch

    beta2, steps = 0.98, 12
    oracle = Optimizer("radam", beta2=beta2, eps=0.0)
    rng = np.random.default_rng(44)
    w = torch.nn.Parameter(torch.from_numpy(rng.standard_normal(20)))
    theirs = torch.optim.RAdam([w], lr=0.01, betas=(0.9, beta2), eps=0.0)
    rectified = 0
    for _ in range(steps):
        g, before = rng.standard_normal(20), w.detach().numpy().copy()
        w.grad = torch.from_numpy(g)
        theirs.step()
        ours = {"w": before}
        oracle.step(ours, {"w": g}, 0.01)
        if oracle.rho()[0] >= 5.0:
            assert deviation(ours["w"] - before, w.detach().numpy() - before) < 1e-10
            rectified += 1
    assert rectified > 3


def test_clipping_by_grad_scale() -> None:
    """A grad_scale of clip / norm is a gradient of norm clip; norm2 is the global norm."""
    core, _, _, packed = make(CASE, "float64", 45)
    core.backward(packed)
    module, clip = BUILDS["float64"], 0.01
    grads = {name: np.array(core.gradients[name]) for name in core.trained}
    norm = module.norm2(core.gradient_buffer[: core.trained_length])
    assert norm == pytest.approx(np.sqrt(sum((g**2).sum() for g in grads.values())), rel=1e-13)
    factor = clip_scale(grads, clip)
    assert factor == pytest.approx(clip / norm, rel=1e-13)
    assert clip_scale(grads, 1e9) == 1.0
    plain = module.Optimizer("sgd", **OPTIONS | {"beta1": 0.0})
    assert plain.step(core, 1.0, factor) == pytest.approx(clip, rel=1e-12)


@pytest.mark.parametrize(("kind", "options"), RULES, ids=NAMES)
def test_state_continues_elsewhere(kind: str, options: dict[str, Any]) -> None:
    """An optimiser with a loaded state goes on bit for bit; before its first step it has no moments."""
    module, settings = BUILDS["float32"], OPTIONS | options
    batches = [core_batch(module, CASE.batch(seed)) for seed in range(4)]

    def run(core: Any, optimizer: Any, steps: range) -> None:
        for step in steps:
            core.backward(batches[step], step=step)
            optimizer.step(core, 0.01)

    whole, *_ = make(CASE, "float32", 46)
    optimizer = module.Optimizer(kind, **settings)
    assert optimizer.state == {"step": 0, "m": None, "v": None}
    run(whole, optimizer, range(4))
    half, *_ = make(CASE, "float32", 46)
    first = module.Optimizer(kind, **settings)
    run(half, first, range(2))
    saved = {key: np.array(v) if isinstance(v, np.ndarray) else v for key, v in first.state.items()}
    second = module.Optimizer(kind, **settings)
    second.load_state(saved)
    run(half, second, range(2, 4))
    assert np.array_equal(half.weights, whole.weights)
    for key, value in optimizer.state.items():
        assert np.array_equal(second.state[key], value), key


def test_descent_lowers_the_loss() -> None:
    """Every optimiser learns a batch by heart: backward and updates fit together."""
    for kind, lr in (("sgd", 0.1), ("adam", 0.01), ("adamw", 0.01), ("radam", 0.01), ("novograd", 0.01)):
        core, _, _, packed = make(CASE, "float32", 47)
        optimizer = BUILDS["float32"].Optimizer(kind, **OPTIONS)
        start = core.loss(packed)[0]
        for step in range(60):
            core.backward(packed, step=step)
            optimizer.step(core, lr)
        assert core.loss(packed)[0] < 0.5 * start, kind
