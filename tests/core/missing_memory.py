"""Every allocation of the extension fails once: a MemoryError, no crash, no leak, objects as before.

An allocation that is made to fail is the next of the process, whoever asks: `test_missing_memory.py` runs
these tests in a process with one thread of Python.
"""

from __future__ import annotations

import gc
import mmap
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core_objects import (
    MODULES,
    both,
    core_batch,
    core_config,
    decoder_layer,
    hidden,
    layer_config,
    lengths,
    packed,
    transformer,
)

import admin_py as ap

testcapi = pytest.importorskip("_testcapi")

ENOUGH = 40
"""Calls that succeed one after another: their allocation number n is beyond the last, or does without."""


def outcome(call: Callable[[], Any], successes: int) -> BaseException | None:
    """What the call raises where the allocation after so many successes fails, and no other."""
    testcapi.set_nomemory(successes, successes + 1)
    try:
        call()
    except BaseException as error:
        return error
    finally:
        testcapi.remove_mem_hooks()
    return None


def fail_each(call: Callable[[], Any], check: Callable[[], Any]) -> int:
    """How many allocations of the call raise where they fail, at least one; `check` runs after each."""
    raised = successes = since = 0
    while since < ENOUGH:
        error = outcome(call, successes)
        check()
        assert error is None or isinstance(error, MemoryError), repr(error)
        raised, since = (raised, since + 1) if error is None else (raised + 1, 0)
        successes += 1
    assert raised > 0
    return raised


def nothing() -> None:
    pass


@both
@pytest.mark.parametrize("kind", ["Batch", "Transformer", "EncoderLayer", "DecoderLayer", "Optimizer"])
def test_making(kind: str, dtype: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "Batch": (*packed(3, 2), *packed(2, 3)),
        "Transformer": (core_config(), 1),
        "EncoderLayer": (layer_config("encoder"), 1),
        "DecoderLayer": (layer_config("decoder", cross=True), 1),
        "Optimizer": ("adam",),
    }
    make = getattr(MODULES[dtype], kind)
    fail_each(lambda: make(*arguments[kind]), nothing)


OTHER, DIVERGED = transformer("float64"), transformer("float64")
DIVERGED.weights[:] = np.nan
MODEL_CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "forward": lambda model, batch: model.forward(batch),
    "loss": lambda model, batch: [model.loss(batch) for _ in range(200)],  # more than numbers are kept free
    "backward": lambda model, batch: model.backward(batch),
    "profile": lambda model, batch: model.profile(batch),
    "dependency": lambda model, batch: model.dependency(batch, components=True),
    "output_change": lambda model, batch: model.output_change(OTHER, batch),
    "norms": lambda model, batch: model.norms("weights", model.weights),
    "observations": lambda model, batch: model.observations(),
    "activation": lambda model, batch: model.activation("encoder", 1, "sum"),
    "parameters": lambda model, batch: model.parameters,
    "gradients": lambda model, batch: model.gradients,
    "trained": lambda model, batch: model.trained,
    "memory": lambda model, batch: (model.memory, model.timings),
    "repr": lambda model, batch: repr(model),
    "find_nonfinite": lambda model, batch: DIVERGED.find_nonfinite("weights"),
}


@pytest.mark.parametrize("name", MODEL_CALLS)
def test_calls_of_a_model(name: str) -> None:
    model, batch = transformer("float64", scheme="admin"), core_batch(MODULES["float64"])
    model.forward(batch, observe=True)
    weights = model.weights.copy()

    def call() -> None:
        MODEL_CALLS[name](model, batch)

    def check() -> None:
        if name != "profile":  # which sets omega
            assert np.array_equal(model.weights, weights)
        if name == "activation":
            return  # the pass that was observed stays the last
        model.loss(batch)  # and is not busy

    fail_each(call, check)


@both
def test_layers(dtype: str) -> None:
    layer, x, memory = decoder_layer(dtype), hidden(dtype, 5), hidden(dtype, 4, 2)

    def call() -> None:
        y = layer.forward(x, lengths(5), memory, lengths(4))
        layer.backward(y)

    fail_each(call, lambda: layer.forward(x, lengths(5), memory, lengths(4)))


@both
@pytest.mark.parametrize("kind", ["sgd", "adam", "novograd"])
def test_an_optimizers_first_step(kind: str, dtype: str) -> None:
    """After a step that found no memory there are no moments, or they are whole."""
    model, optimizers = transformer(dtype), []
    model.backward(core_batch(MODULES[dtype]))
    weights = model.weights.copy()

    def call() -> None:
        optimizers.append(MODULES[dtype].Optimizer(kind, beta1=0.5))
        optimizers[-1].step(model, 0.1)

    def check() -> None:
        for optimizer in optimizers:
            state = optimizer.state
            assert state["step"] in (0, 1)
            optimizer.step(model, 0.1)
        optimizers.clear()
        model.weights[...] = weights

    fail_each(call, check)


@both
def test_an_optimizers_state(dtype: str) -> None:
    model, rule = transformer(dtype), MODULES[dtype].Optimizer("adam")
    model.backward(core_batch(MODULES[dtype]))
    rule.step(model, 0.1)
    state = rule.state
    taking = [MODULES[dtype].Optimizer("adam")]

    def check() -> None:
        held = taking.pop().state  # what has failed left it empty; where it did not, all of it was taken
        assert held["step"] in (0, 1)
        assert held["m"] is None or np.array_equal(held["m"], state["m"])
        taking.append(MODULES[dtype].Optimizer("adam"))

    fail_each(lambda: taking[0].load_state(state), check)
    fail_each(lambda: rule.state, nothing)


def test_functions_of_the_module() -> None:
    core, config = MODULES["float32"], core_config()
    batch, rule = core_batch(core), core.Optimizer("adam")
    for call in (
        lambda: core.system_info(),
        lambda: core.parameter_shapes(config),
        lambda: core.plan_memory(config, batch, optimizer=rule),
    ):
        fail_each(call, nothing)


def held() -> tuple[int, int]:
    """Blocks of Python's memory, and pages of the address space, among them those of the core's buffers."""
    gc.collect()
    return sys.getallocatedblocks(), int(Path("/proc/self/statm").read_text().split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="the pages of a process are counted on Linux alone")
def test_nothing_leaks() -> None:
    """Rounds of failures leave as many blocks and pages as there were: one object a round would show."""
    core, config, rounds = MODULES["float64"], core_config(d_model=16, d_ff=16), 12
    arrays, weights = (*packed(3, 5), *packed(4, 2)), core.Transformer(config, 1).weights
    ap.set_num_threads(1)

    def call() -> None:
        model, batch, rule = core.Transformer(config, 1), core.Batch(*arrays), core.Optimizer("adam")
        model.backward(batch, observe=True)
        rule.step(model, 0.1)
        core.Optimizer("adam").load_state(rule.state)
        model.dependency(batch, components=True)
        model.observations()
        core.plan_memory(config, batch)

    fail_each(call, nothing)  # makes what Python makes once
    before = held()
    for _ in range(rounds):
        fail_each(call, nothing)
    blocks, pages = np.subtract(held(), before)
    assert blocks < rounds
    assert pages < rounds * (weights.nbytes // mmap.PAGESIZE)
