"""The types of the core as Python objects: lifetime, references, garbage collection, subclasses, threads."""

from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core_objects import (
    MODULES,
    D,
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

TYPES = ("Batch", "Transformer", "EncoderLayer", "DecoderLayer", "Optimizer")


def arguments_of(kind: str) -> tuple[Any, ...]:
    """What makes an object of the type; large enough that a leak of its memory shows."""
    return {
        "Batch": (*packed(3000, 2000), *packed(2000, 3000)),
        "Transformer": (core_config(), 1),
        "EncoderLayer": (layer_config("encoder"), 1),
        "DecoderLayer": (layer_config("decoder", cross=True), 1),
        "Optimizer": ("adam",),
    }[kind]


def use(item: Any, kind: str, dtype: str, shared: dict[str, Any]) -> None:
    """Calls what the type offers, an error among it."""
    repr(item)
    if kind == "Batch":
        _ = item.source_tokens, item.source_offsets, item.target_tokens, item.target_offsets
    elif kind == "Transformer":
        batch = shared["batch"]
        item.forward(batch, observe=True)
        item.backward(batch)
        item.profile(batch)
        item.norms("weights", item.weights.copy())
        item.dependency(batch, components=True)
        item.output_change(shared["model"], batch)
        _ = item.parameters, item.gradients, item.weights, item.gradient_buffer, item.trained, item.memory
        _ = item.observations(), item.find_nonfinite("weights"), item.seed
    elif kind == "Optimizer":
        item.step(shared["model"], 0.1)
        item.load_state(item.state)
    else:
        memory = (shared["x"], shared["lengths"]) if kind == "DecoderLayer" else ()
        item.backward(item.forward(shared["x"], shared["lengths"], *memory))
        item.profile(shared["x"], shared["lengths"], *memory)
    with pytest.raises(TypeError):
        (item.load_state if kind == "Optimizer" else item.__reduce__)(*((1,) if kind == "Optimizer" else ()))


def make_shared(dtype: str) -> dict[str, Any]:
    model, batch = transformer(dtype), core_batch(MODULES[dtype])
    model.backward(batch)
    return {"model": model, "batch": batch, "x": hidden(dtype, 5), "lengths": lengths(2, 3)}


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def one_thread() -> Any:
    before = {name: module.get_num_threads() for name, module in MODULES.items()}
    for module in MODULES.values():
        module.set_num_threads(1)
    yield
    for name, module in MODULES.items():
        module.set_num_threads(before[name])


# References


@both
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.usefixtures("one_thread")
def test_nothing_grows_over_a_thousand_rounds(dtype: str, kind: str) -> None:
    """References to the type and to the arguments, objects, and resident memory."""
    make, arguments, shared = getattr(MODULES[dtype], kind), arguments_of(kind), make_shared(dtype)

    def rounds(number: int) -> None:
        for _ in range(number):
            use(make(*arguments), kind, dtype, shared)

    def counts() -> list[int]:
        gc.collect()
        own = [make, *arguments, *shared.values(), MODULES[dtype], None, True, np.ndarray, np.dtype(dtype)]
        return [*map(sys.getrefcount, own), len(gc.get_objects())]

    rounds(100)
    before, memory = counts(), resident_bytes()
    rounds(1000)
    after, growth = counts(), resident_bytes() - memory
    # immortal objects and caches of the interpreter move by a few; a leak of one a round by a thousand
    assert max(np.subtract(after, before)) < 50, list(zip(before, after))
    assert growth < 3 * 2**20, growth  # a leak of the least object's memory is 8 KiB a round, 8 MiB


@both
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.usefixtures("one_thread")
def test_not_a_byte_of_the_interpreters_memory_stays(dtype: str, kind: str) -> None:
    """What tracemalloc sees: everything but the core's own buffers."""
    make, arguments, shared = getattr(MODULES[dtype], kind), arguments_of(kind), make_shared(dtype)

    def traced_after(rounds: int) -> int:
        for _ in range(rounds):
            use(make(*arguments), kind, dtype, shared)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = traced_after(20)
        growth = traced_after(200) - before
    finally:
        tracemalloc.stop()
    assert growth < 200 * 8, growth  # the least allocation is 8 bytes


@both
@pytest.mark.parametrize("kind", TYPES)
def test_refused_arguments_are_let_go(dtype: str, kind: str) -> None:
    make, arguments = getattr(MODULES[dtype], kind), [object(), object()]
    before = [sys.getrefcount(item) for item in (*arguments, make)]
    for _ in range(100):
        with pytest.raises((TypeError, ValueError)):
            make(*arguments)
    assert [sys.getrefcount(item) for item in (*arguments, make)] == before


@both
def test_views_outlive_their_object(dtype: str) -> None:
    module = MODULES[dtype]
    model, batch, optimizer = transformer(dtype), core_batch(module), module.Optimizer("adam")
    model.backward(batch)
    optimizer.step(model, 0.1)
    views = [
        *model.parameters.values(),
        *model.gradients.values(),
        model.weights,
        model.gradient_buffer,
        batch.source_tokens,
        batch.target_offsets,
        optimizer.state["m"],
        optimizer.state["v"],
    ]
    copies = [view.copy() for view in views]
    gone = [weakref.ref(item) for item in (model, batch, optimizer)]
    del model, batch, optimizer
    gc.collect()
    assert [ref() for ref in gone] == [None, None, None]
    for _ in range(20):  # memory that was wrongly freed would be taken by these
        transformer(dtype).backward(core_batch(module))
    assert all(np.array_equal(view, copy) for view, copy in zip(views, copies, strict=True))
    views[0][...] = 1.0


@both
def test_views_do_not_own_what_they_show(dtype: str) -> None:
    for view in (transformer(dtype).weights, core_batch(MODULES[dtype]).source_tokens):
        assert not view.flags.owndata
        with pytest.raises(ValueError, match="does not own its data"):
            view.resize(1, refcheck=False)


# Garbage collection and subclasses


@both
@pytest.mark.parametrize("kind", TYPES)
def test_cycles_through_subclasses_are_collected(dtype: str, kind: str) -> None:
    base = getattr(MODULES[dtype], kind)

    class Own(base):  # type: ignore[misc, valid-type]
        def hello(self) -> str:
            return "hello"

    item = Own(*arguments_of(kind))
    assert isinstance(item, base)
    assert gc.is_tracked(item)
    assert item.hello() == "hello"
    use(item, kind, dtype, make_shared(dtype))
    item.me = item
    if kind == "Batch":
        item.view = (
            item.source_tokens
        )  # an array is not seen by the collector: its base must not be the object
    elif kind != "Optimizer":
        item.views = item.parameters
    gone, type_gone = weakref.ref(item), weakref.ref(Own)
    del item, Own
    gc.collect()
    assert gone() is None
    assert type_gone() is None


@both
@pytest.mark.parametrize("kind", TYPES)
def test_weak_references_are_called_back(dtype: str, kind: str) -> None:
    item, called = getattr(MODULES[dtype], kind)(*arguments_of(kind)), []
    ref = weakref.ref(item, called.append)
    assert ref() is item
    del item
    assert called == [ref]


@both
@pytest.mark.parametrize("kind", TYPES)
def test_types_do_not_change(dtype: str, kind: str) -> None:
    base = getattr(MODULES[dtype], kind)
    with pytest.raises(TypeError, match="immutable type"):
        base.new = 1
    item = base(*arguments_of(kind))
    with pytest.raises(TypeError):
        item.__class__ = object
    with pytest.raises(TypeError, match="not safe"):
        object.__new__(base)


@both
def test_objects_do_not_become_what_they_are_not(dtype: str) -> None:
    """A Transformer that took an EncoderLayer's methods would give the core a model without hidden input."""
    module = MODULES[dtype]

    class Model(module.Transformer):  # type: ignore[misc, name-defined]
        pass

    class Layer(module.EncoderLayer):  # type: ignore[misc, name-defined]
        pass

    model = Model(core_config())
    with pytest.raises(TypeError, match="object layout differs"):
        model.__class__ = Layer
    with pytest.raises(TypeError):
        module.EncoderLayer.forward(model, hidden(dtype, 3), lengths(3))
    with pytest.raises(TypeError):
        module.Transformer.__new__(module.EncoderLayer, core_config())


# Threads


def large_model(dtype: str) -> tuple[Any, Any]:
    """A model whose backward pass takes tens of milliseconds."""
    module = MODULES[dtype]
    sizes = {"d_model": 64, "d_ff": 256, "max_length": 512, "heads": 4}
    model = module.Transformer(core_config(encoder=4, decoder=4, **sizes))
    return model, module.Batch(*packed(*[250] * 4), *packed(*[250] * 4))


def run_beside(work: Callable[[], Any], until: Callable[[], bool]) -> list[BaseException]:
    """Repeats work in another thread while `until` is asked in this one and answers no."""
    stop, errors = threading.Event(), []

    def repeat() -> None:
        while not stop.is_set():
            try:
                work()
            except RuntimeError as error:  # this thread was inside
                if "busy" not in str(error):
                    errors.append(error)
            except BaseException as error:
                errors.append(error)
                return

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        for _ in range(1_000_000):
            if errors or until():
                break
        else:
            errors.append(AssertionError("it never happened"))
    finally:
        stop.set()
        thread.join()
    return errors


@both
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    "call",
    [
        lambda model, batch: model.forward(batch),
        lambda model, batch: model.backward(batch),
        lambda model, batch: model.profile(batch),
        lambda model, batch: model.init_weights(1),
        lambda model, batch: model.find_nonfinite("weights"),
        lambda model, batch: model.observations(),
        lambda model, batch: model.activation("encoder", 0, "output"),
        lambda model, batch: model.norms("gradients"),
        lambda model, batch: model.dependency(batch),
        lambda model, batch: model.output_change(transformer(str(model.weights.dtype)), batch),
        lambda model, batch: model.gradients,
        lambda model, batch: model.timings,
        lambda model, batch: MODULES[str(model.weights.dtype)].Optimizer("sgd").step(model, 0.0),
    ],
    ids=[
        "forward",
        "backward",
        "profile",
        "init",
        "find",
        "observations",
        "activation",
        "norms",
        "dependency",
        "change",
        "gradients",
        "timings",
        "step",
    ],
)
def test_a_model_that_another_thread_uses_is_busy(dtype: str, call: Callable[[Any, Any], Any]) -> None:
    """That this thread gets to see it shows too that the other holds no GIL in the core."""
    model, batch = large_model(dtype)
    model.backward(batch, observe=True)

    def seen_busy() -> bool:
        try:
            call(model, batch)
        except RuntimeError as error:
            return "is busy in another thread" in str(error)
        return False

    assert run_beside(lambda: model.backward(batch, observe=True), seen_busy) == []
    assert np.isfinite(model.loss(batch)[0])  # free again


@both
@pytest.mark.usefixtures("one_thread")
def test_an_optimizer_that_another_thread_uses_is_busy(dtype: str) -> None:
    model, batch = large_model(dtype)
    other, _ = large_model(dtype)
    optimizer = MODULES[dtype].Optimizer("adam")
    for each in (model, other):
        each.backward(batch)

    def seen_busy() -> bool:
        try:
            optimizer.step(other, 0.0)
        except RuntimeError as error:
            return "Optimizer is busy in another thread" in str(error)
        return False

    assert run_beside(lambda: optimizer.step(model, 0.0), seen_busy) == []
    assert optimizer.step(model, 0.0) == 0.0


@both
def test_different_models_run_side_by_side(dtype: str) -> None:
    """Four threads, each with its own model: each computes what it computes alone."""
    batch = core_batch(MODULES[dtype])

    def train(seed: int) -> np.ndarray:
        model, optimizer = MODULES[dtype].Transformer(core_config(), seed), MODULES[dtype].Optimizer("adam")
        for step in range(5):
            model.backward(batch, step=step)
            optimizer.step(model, 0.01)
        return model.weights.copy()

    expected, results = [train(seed) for seed in range(4)], [None] * 4

    def work(seed: int) -> None:
        results[seed] = train(seed)  # type: ignore[call-overload]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(results, expected, strict=True))


@both
def test_one_batch_serves_many_threads(dtype: str) -> None:
    batch, expected = core_batch(MODULES[dtype]), transformer(dtype).forward(core_batch(MODULES[dtype]))
    outputs: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: outputs.append(transformer(dtype).forward(batch))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 4
    assert all(np.array_equal(output, expected) for output in outputs)


@both
def test_layers_hold_what_backward_reads(dtype: str) -> None:
    """The arrays of the forward pass may go before its backward pass."""
    layer = decoder_layer(dtype)
    x, memory = hidden(dtype, 5), hidden(dtype, 4, 2)
    y = layer.forward(x, lengths(5), memory, lengths(4))
    expected = [gradient.copy() for gradient in layer.backward(y)]
    layer.forward(x, lengths(5), memory, lengths(4))
    x[...] = memory[...] = np.nan
    del x, memory
    gc.collect()
    assert all(np.array_equal(a, b) for a, b in zip(layer.backward(y), expected, strict=True))
    assert expected[0].shape == (5, D)
