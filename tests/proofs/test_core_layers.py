"""EncoderLayer and DecoderLayer of the core: outputs, dx, dmemory and gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from reference.dropout import CoreDropout, NoDropout
from reference.gradients import Gradients
from reference.naming import draw_parameters
from reference.ragged import offsets_of
from reference.stack import stack_backward, stack_forward
from reference.sublayer import Memory

from proofs.configurations import ADMIN, POST, PRE, config, scale, with_dropout
from proofs.core import BUILDS, rounded, set_parameters
from proofs.deviation import central_difference, deviation, worst_gradient

OUTPUT = {"float64": 1e-13, "float32": 5e-6}
GRADIENT = {"float64": 2e-12, "float32": 3e-4}
FULL: dict[str, Any] = {
    "norm_pre": "rms", "norm_branch": "dyt", "norm_post": "layer", "norm_inner": "layer", "kappa": 0.4,
    "input_scale": 0.8, "residual_normed": True, "omega": scale("vector"),
    "alpha": scale("scalar", shared=True),
}  # fmt: skip
SUBS = {"post": POST, "pre": PRE, "admin": ADMIN, "full": FULL}
KINDS = ("encoder", "causal encoder", "decoder", "decoder without memory")
LENGTHS, MEMORY_LENGTHS = np.array([4, 1, 70, 6]), np.array([2, 66, 1, 5])


@dataclass
class Layer:
    """A layer of the core with all that the oracle needs to do the same."""

    core: Any
    config: dict[str, Any]
    stack: str
    params: dict[str, np.ndarray]
    x: np.ndarray
    memory: np.ndarray | None

    @classmethod
    def make(cls, kind: str, subs: dict[str, Any], dtype: str, seed: int, dropout: float = 0.0) -> Layer:
        print("seed", seed)
        is_encoder, cross = "encoder" in kind, kind == "decoder"
        sizes: dict[str, Any] = {"vocab_size": 0, "d_model": 15, "d_ff": 22, "max_length": 80}
        made = config(subs, encoder=int(is_encoder), decoder=int(not is_encoder), **sizes)
        stack = "encoder" if is_encoder else "decoder"
        if not is_encoder and cross:
            made = config(subs, encoder=1, decoder=1, **sizes)
            made["encoder"] = made["encoder"] | {"layers": 0, "sublayers": []}
        made[stack]["causal"] = kind != "encoder"
        made[stack]["input_scale"] = "vector" if subs is FULL else "none"
        made[stack]["norm_embedding"] = "none"
        made[stack]["norm_final"] = "layer" if subs is PRE else "none"
        made = with_dropout(made, dropout) if dropout else made
        params = rounded(draw_parameters(made, seed), dtype)
        core = (BUILDS[dtype].EncoderLayer if is_encoder else BUILDS[dtype].DecoderLayer)(made, seed=seed)
        set_parameters(core, params)
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((LENGTHS.sum(), 15)).astype(dtype).astype(np.float64)
        memory = (
            rng.standard_normal((MEMORY_LENGTHS.sum(), 15)).astype(dtype).astype(np.float64)
            if cross
            else None
        )
        return cls(core, made, stack, params, x, memory)

    def forward(self, dtype: str, **options: Any) -> np.ndarray:
        x = self.x.astype(dtype)
        if self.memory is None:
            return np.asarray(self.core.forward(x, LENGTHS, **options))
        return np.asarray(self.core.forward(x, LENGTHS, self.memory.astype(dtype), MEMORY_LENGTHS, **options))

    def oracle(self, dropout: NoDropout) -> Any:
        memory = None if self.memory is None else Memory(self.memory, offsets_of(MEMORY_LENGTHS))
        x = self.params.get(f"{self.stack}.input_scale", 1.0) * self.x
        return stack_forward(self.config, self.stack, x, offsets_of(LENGTHS), memory, self.params, dropout)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("subs", SUBS)
@pytest.mark.parametrize("kind", KINDS)
def test_layer_is_that_of_the_oracle(kind: str, subs: str, dropout: float, dtype: str) -> None:
    layer = Layer.make(kind, SUBS[subs], dtype, 21, dropout)
    run = layer.oracle(CoreDropout(21, 4, layer.config["heads"]) if dropout else NoDropout())
    assert deviation(layer.forward(dtype, training=True, step=4), run.out) < OUTPUT[dtype]

    dy = np.random.default_rng(22).standard_normal(layer.x.shape).astype(dtype)
    grads = Gradients(layer.params)
    dx, dmemory = stack_backward(layer.config, layer.stack, dy.astype(np.float64), run, layer.params, grads)
    name = f"{layer.stack}.input_scale"
    if name in layer.params:  # x_0 = input_scale x
        grads.add(name, (dx * layer.x).sum(axis=0))
        dx = dx * layer.params[name]
    got = layer.core.backward(dy)
    got_dx = got if layer.memory is None else got[0]
    assert got_dx.dtype == dtype
    assert deviation(got_dx, dx) < GRADIENT[dtype]
    if layer.memory is not None:
        assert deviation(got[1], dmemory) < GRADIENT[dtype]
    worst, where = worst_gradient(layer.core.gradients, grads)
    assert worst < GRADIENT[dtype], where


@pytest.mark.parametrize("subs", SUBS)
@pytest.mark.parametrize("kind", KINDS)
def test_dx_and_dmemory_are_differences(kind: str, subs: str) -> None:
    """Of sum(dy * y) by single elements of x and of the memory, dropout on."""
    layer = Layer.make(kind, SUBS[subs], "float64", 23, 0.2)
    rng = np.random.default_rng(23)
    dy = rng.standard_normal(layer.x.shape)
    layer.forward("float64", training=True, step=2)
    got = layer.core.backward(dy)

    def value() -> float:
        return float((layer.forward("float64", training=True, step=2) * dy).sum())

    sides = [(layer.x, got)] if layer.memory is None else [(layer.x, got[0]), (layer.memory, got[1])]
    for array, gradient in sides:
        for _ in range(6):
            index = tuple(int(rng.integers(n)) for n in array.shape)
            misses = [
                abs(central_difference(value, array, index, h) - gradient[index]) for h in (1e-3, 1e-4, 1e-5)
            ]
            assert min(misses) / np.abs(gradient).max() < 1e-7, index


@pytest.mark.parametrize("kind", KINDS)
def test_layer_profile(kind: str) -> None:
    """A layer alone is profiled as a stack of one layer."""
    from reference.profiling import profile_stack

    layer = Layer.make(kind, ADMIN, "float64", 25, 0.2)
    memory = None if layer.memory is None else Memory(layer.memory, offsets_of(MEMORY_LENGTHS))
    expected = {name: value.copy() for name, value in layer.params.items()}
    masks = CoreDropout(9, 0, layer.config["heads"])
    _, profile = profile_stack(
        layer.config, layer.stack, layer.x, offsets_of(LENGTHS), memory, expected, "clinic", masks
    )
    arguments = [layer.x, LENGTHS] + ([] if layer.memory is None else [layer.memory, MEMORY_LENGTHS])
    got = layer.core.profile(*arguments, method="clinic", dropout=True, seed=9)
    for field in ("omega", "var_input", "var_branch"):
        assert deviation(got[field], getattr(profile, field)) < 1e-11
    for name, value in layer.core.parameters.items():
        assert deviation(value, expected[name]) < 1e-11
