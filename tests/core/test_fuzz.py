"""Random arguments for everything that the core shows: an answer or one clear error, never a crash.

Hypothesis prints the arguments of a failure, and `@reproduce_failure` with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from budget import examples
from core_configs import PATHS, parent
from core_objects import (
    MODULES,
    VOCAB,
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
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.fuzz

EXPECTED = (TypeError, ValueError, IndexError, RuntimeError, MemoryError, AttributeError)
FUZZ = settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Hostile:
    """An object whose conversions fail."""

    def __index__(self) -> int:
        raise RuntimeError("no integer")

    def __float__(self) -> float:
        raise RuntimeError("no number")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    def __repr__(self) -> str:
        raise RuntimeError("no words")


def deep() -> list[Any]:
    """Lists in each other, deeper than any stack."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


INTEGERS = [0, 1, 2, 3, 5, 8, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), 2**200]
WORDS = ["", "clinic", "paper", "encoder", "decoder", "output", "branch", "weights", "gradients", "adam"]
WORDS += ["normed", "sum", "end", "output_gradient", "branch_gradient"]
NUMPY = [np.float32(1), np.int64(2), np.bool_(True), np.float64("nan"), np.datetime64("2020")]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(INTEGERS),
    st.floats(),
    st.complex_numbers(),
    st.sampled_from(WORDS),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.sampled_from([*NUMPY, object()]),
    st.builds(Hostile),
    st.builds(deep),
)

DTYPES = ["f4", "f8", "i4", "i8", "i4", "i8", "f2", "u4", "b1", ">i4", ">f4", "c8", "O", "U3"]
SHAPES = [(), (0,), (1,), (2,), (3,), (5,), (0, D), (1, D), (5, D), (D, 5), (2, 2, D), (5, 0)]
LAYOUTS = ["plain", "plain", "fortran", "strided", "read-only", "unaligned", "subclass"]


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Arrays near and far from what the core reads: any dtype, shape, layout, and content."""
    dtype, shape = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(SHAPES))
    bounds = [(0, 2), (0, 6), (-3, 3)] + [(0, 2**31 - 1)] * (dtype in ("i4", "i8"))
    low, high = draw(st.sampled_from(bounds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    array = rng.integers(low, high, shape).astype(dtype)
    if dtype in ("i4", "i8") and len(shape) == 1 and draw(st.booleans()):
        array = np.cumsum(array).astype(dtype)
    layout = draw(st.sampled_from(LAYOUTS))
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
    if layout == "unaligned" and array.size and not array.dtype.hasobject:
        return np.frombuffer(b"\0" + array.tobytes(), dtype=array.dtype, offset=1).reshape(shape)
    if layout == "subclass" and array.ndim == 2:
        return array.view(np.matrix) if array.dtype.kind in "iuf" else array
    array.flags.writeable = layout != "read-only"
    return array


def objects(dtype: str) -> st.SearchStrategy[Any]:
    """Objects of the core, of both builds."""
    other = "float64" if dtype == "float32" else "float32"
    good = {name: core_batch(MODULES[name]) for name in (dtype, other)}
    bad = MODULES[dtype].Batch(np.full(3, VOCAB, np.int32), lengths(0, 3))
    return st.one_of(
        st.sampled_from([*good.values(), bad, core_batch(MODULES[dtype], target=False)]),
        st.builds(lambda: transformer(dtype)),
        st.sampled_from([core_config(), layer_config("encoder"), {}, {"step": 1, "m": None, "v": None}]),
        st.sampled_from([MODULES[dtype], MODULES[dtype].Batch, transformer(other)]),
    )


def anything(dtype: str) -> st.SearchStrategy[Any]:
    plain = st.one_of(scalars, arrays())
    return st.one_of(plain, objects(dtype), st.lists(plain, max_size=3), st.tuples(plain, plain))


KEYWORDS = [
    "batch",
    "training",
    "step",
    "observe",
    "label_smoothing",
    "z_loss",
    "accumulate",
    "scale",
    "method",
    "dropout",
    "seed",
    "apply",
    "x",
    "lengths",
    "memory",
    "memory_lengths",
    "dy",
    "stack",
    "index",
    "site",
    "model",
    "lr",
    "kind",
    "grad_scale",
    "beta1",
    "beta2",
    "eps",
    "weight_decay",
    "nesterov",
    "config",
    "source_tokens",
    "which",
    "before",
    "other",
    "max_memory",
    "components",
    "keep_gradients",
    "segment_layers",
    "nonsense",
]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small models are faster so."""
    before = {name: module.get_num_threads() for name, module in MODULES.items()}
    for module in MODULES.values():
        module.set_num_threads(1)
    yield
    for name, module in MODULES.items():
        module.set_num_threads(before[name])


def call(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """The answer; None if there was a clear error."""
    try:
        return function(*arguments, **keywords)
    except EXPECTED as caught:
        error = caught
    assert str(error), f"an error without words: {error!r}"
    return None


@both
@given(data=st.data())
@FUZZ
def test_anything_into_everything(dtype: str, data: st.DataObject) -> None:
    """Every constructor, method and function, with any arguments."""
    module = MODULES[dtype]
    makers = {
        "Batch": lambda: core_batch(module),
        "Transformer": lambda: transformer(dtype),
        "EncoderLayer": lambda: module.EncoderLayer(layer_config("encoder")),
        "DecoderLayer": lambda: decoder_layer(dtype),
        "Optimizer": lambda: module.Optimizer("adam"),
    }
    owner = data.draw(st.sampled_from(["module", *makers]))
    item = module if owner == "module" else makers[owner]()
    names = [name for name in dir(item) if not name.startswith("__") or name in ("__reduce__", "__class__")]
    name = data.draw(st.sampled_from(names))
    values = anything(dtype)
    arguments = data.draw(st.lists(values, max_size=4))
    keywords = data.draw(st.dictionaries(st.sampled_from(KEYWORDS), values, max_size=3))
    attribute = call(getattr, item, name)
    if callable(attribute):
        call(attribute, *arguments, **keywords)
    else:
        call(setattr, item, name, arguments[0] if arguments else None)
    module.set_num_threads(1)


@both
@given(data=st.data())
@settings(FUZZ, max_examples=100)
def test_arguments_that_are_nearly_right(dtype: str, data: st.DataObject) -> None:
    """Calls whose arguments are good but for one."""
    module, counts = MODULES[dtype], lengths(2, 3)
    x, dy, memory = (hidden(dtype, 5, seed) for seed in (1, 2, 3))
    batch = core_batch(module)
    layer, model, optimizer = decoder_layer(dtype), transformer(dtype), module.Optimizer("adam")
    model.backward(batch, observe=True, keep_gradients=True)
    layer.forward(x, counts, memory, counts)
    before = np.zeros_like(model.weights)
    moments = np.ones(model.trained_length, dtype)

    def load_state(m: Any, v: Any, step: Any) -> None:
        optimizer.load_state({"m": m, "v": v, "step": step})

    def dependency(batch: Any, max_memory: Any, components: Any) -> None:
        model.dependency(batch, max_memory=max_memory, components=components)

    function, good = data.draw(
        st.sampled_from(
            [
                (module.Batch, [*packed(3, 5), *packed(4, 2)]),
                (model.forward, [batch]),
                (model.backward, [batch]),
                (model.activation, ["decoder", 1, "branch"]),
                (model.activation, ["encoder", 0, "branch_gradient"]),
                (model.norms, ["weights", before]),
                (model.norms, ["gradients"]),
                (model.output_change, [transformer(dtype), batch]),
                (dependency, [batch, 2**20, True]),
                (layer.forward, [x, counts, memory, counts]),
                (layer.profile, [x, counts, memory, counts]),
                (layer.backward, [dy]),
                (optimizer.step, [model, 0.1, 1.0]),
                (load_state, [moments, moments, 3]),
            ]
        )
    )
    place = data.draw(st.integers(0, len(good) - 1))
    changed = [*good[:place], data.draw(anything(dtype)), *good[place + 1 :]]
    call(function, *changed)
    call(function, *good)
    assert layer.forward(x, counts, memory, counts).shape == (5, D)


@both
@given(
    tokens=st.lists(st.integers(-2, VOCAB + 2), max_size=20),
    offsets=st.lists(st.integers(-2, 22), max_size=6),
    proper=st.booleans(),
)
@FUZZ
def test_batches_of_random_integers(dtype: str, tokens: list[int], offsets: list[int], proper: bool) -> None:
    """A batch is made just when its offsets cut it, and read by a model just when its ids are known."""
    if proper:
        offsets = sorted({0, len(tokens), *(offset for offset in offsets if 0 < offset < len(tokens))})
    good = len(offsets) > 1 and offsets[0] == 0 and offsets[-1] == len(tokens)
    good = good and all(a < b for a, b in pairwise(offsets))
    arguments = np.array(tokens, np.int32), np.array(offsets, np.int64)
    if not good:
        with pytest.raises(ValueError, match="source_offsets must"):
            MODULES[dtype].Batch(*arguments)
        return
    batch = MODULES[dtype].Batch(*arguments)
    encoder = MODULES[dtype].Transformer(core_config(decoder=0))
    too_long = max(b - a for a, b in pairwise(offsets)) > 16
    if all(0 <= token < VOCAB for token in tokens) and not too_long:
        assert encoder.forward(batch).shape == (len(tokens), D)
    else:
        with pytest.raises((IndexError, ValueError)):
            encoder.forward(batch)


# Numbers that are either small or beyond what any model may have: memory is not the subject.
NAMES = ["none", "layer", "rms", "dyt", "scalar", "vector", "gelu", "learned", "looks_linear", "all", "x"]
values_for_fields = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 24),
    st.sampled_from([2**31, 2**63, -(2**63), 2**100]),
    st.floats(),
    st.sampled_from(NAMES),
    st.builds(Hostile),
    st.lists(st.none(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


@both
@given(data=st.data())
@settings(FUZZ, max_examples=400)
def test_random_configurations(dtype: str, data: st.DataObject) -> None:
    """Fields of a good configuration changed at random: a model that works, or a clear error."""
    config = copy.deepcopy(core_config())
    for path in data.draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=4)):
        try:
            holder = parent(config, path)
            assume(isinstance(holder, dict))
        except (KeyError, IndexError, TypeError):
            continue  # what holds it was changed before
        holder[path[-1]] = data.draw(values_for_fields)
    model = call(MODULES[dtype].Transformer, config, seed=1)
    if model is None:
        return
    batch = core_batch(MODULES[dtype])
    call(model.forward, batch)
    call(model.backward, batch, observe=True)
    call(model.profile, batch)
    call(model.dependency, batch, components=True)
    call(model.output_change, MODULES[dtype].Transformer(config, seed=2), batch)
    assert set(model.parameters) == set(model.gradients)
