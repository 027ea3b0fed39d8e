"""Updates in parts and sums over blocks in the extension module: what they are, and what they refuse."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from core_objects import MODULES, both, core_batch, core_config
from hypothesis import given
from hypothesis import strategies as st

KINDS = ("sgd", "adam", "adamw", "radam", "novograd")


def in_order(sums: np.ndarray) -> float:
    total = 0.0
    for one in sums.tolist():
        total += one
    return total


def made(dtype: str) -> Any:
    """A model of a few blocks, with gradients."""
    core = MODULES[dtype]
    model = core.Transformer(core_config(d_model=64, d_ff=128), 1)
    model.backward(core_batch(core))
    return model


@both
@given(size=st.integers(0, 200_000), seed=st.integers(0, 2**32 - 1))
def test_blocks_add_up_to_the_norm(dtype: str, size: int, seed: int) -> None:
    core = MODULES[dtype]
    values = np.random.default_rng(seed).standard_normal(size).astype(dtype)
    block = core.block_length(size)
    found = core.block_squares(values, block)
    assert np.sqrt(in_order(found)) == core.norm2(values)
    cut = block * (len(found) // 2)
    parts = np.concatenate([core.block_squares(values[:cut], block), core.block_squares(values[cut:], block)])
    assert np.array_equal(parts, found)


@both
def test_at_most_1024_blocks(dtype: str) -> None:
    length = MODULES[dtype].block_length
    assert [length(n) for n in (0, 1, 1024 * 16384, 1024 * 16384 + 1)] == [16384, 16384, 16384, 32768]


@both
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_parts_make_the_update_of_all(dtype: str, kind: str, count: int) -> None:
    core, whole, shared = MODULES[dtype], made(dtype), made(dtype)
    length = whole.trained_length
    block = core.block_length(length)
    blocks = -(-length // block)
    bounds = [min(i * blocks // count * block, length) for i in range(count)] + [length]
    one, several = core.Optimizer(kind), [core.Optimizer(kind) for _ in range(count)]
    for _ in range(3):
        norm = one.step(whole, 0.01, 0.5)
        parts = list(zip(several, bounds, bounds[1:], strict=False))
        squares = None
        if kind == "novograd":
            squares = sum(rule.part_squares(shared, begin, end) for rule, begin, end in parts)
        changes = [rule.step_part(shared, 0.01, 0.5, (begin, end), squares) for rule, begin, end in parts]
        assert np.sqrt(in_order(np.concatenate(changes))) == norm
        assert np.array_equal(shared.weights, whole.weights)
    held = [rule.state["m"] for rule in several if rule.state["m"] is not None]
    if one.state["m"] is not None:
        assert np.array_equal(np.concatenate(held), one.state["m"])


@both
@pytest.mark.parametrize("kind", KINDS)
def test_a_part_may_have_several_ranges(dtype: str, kind: str) -> None:
    """Of two processes, which have every other block, and the last three blocks apart."""
    core, whole, shared = MODULES[dtype], made(dtype), made(dtype)
    length, block = whole.trained_length, core.block_length(whole.trained_length)
    edges = [*range(0, length, block), length]
    assert len(edges) > 4
    blocks = list(pairwise(edges))
    parts = [[*blocks[:-1:2], (length, length)], [*blocks[1:-1:2], blocks[-1]]]
    one, several = core.Optimizer(kind), [core.Optimizer(kind), core.Optimizer(kind)]
    for _ in range(3):
        norm = one.step(whole, 0.01, 0.5)
        squares = None
        if kind == "novograd":
            squares = sum(several[0].part_squares(shared, *pair) for part in parts for pair in part)
        changes = dict.fromkeys(range(len(blocks)), 0.0)
        for rule, part in zip(several, parts, strict=True):
            bounds = tuple(edge for pair in part for edge in pair)
            found = rule.step_part(shared, 0.01, 0.5, bounds, squares)
            numbers = [begin // block for begin, end in part if begin < end]
            changes |= dict(zip(numbers, found.tolist(), strict=True))
        assert np.sqrt(in_order(np.array(list(changes.values())))) == norm
        assert np.array_equal(shared.weights, whole.weights)
        assert [rule.state["step"] for rule in several] == [one.state["step"]] * 2
        if kind == "novograd":
            assert all(np.array_equal(rule.state["v"], one.state["v"]) for rule in several)


@both
def test_ranges_that_cannot_be(dtype: str) -> None:
    core, model = MODULES[dtype], made(dtype)
    block = core.block_length(model.trained_length)
    rule = core.Optimizer("adam")
    for bounds in ((), (0,), (0, block, block), (0, 0) * 9):
        with pytest.raises(ValueError, match="bounds must be from 1 to 8 pairs"):
            rule.step_part(model, 0.1, 1.0, bounds)
    for bounds in ([0, block], None, 5):
        with pytest.raises(TypeError, match="bounds must be a tuple of int"):
            rule.step_part(model, 0.1, 1.0, bounds)
    for bounds in ((block, 2 * block, 0, block), (0, block, 0, block)):
        with pytest.raises(ValueError, match="bounds must be in order"):
            rule.step_part(model, 0.1, 1.0, bounds)
    assert rule.state["step"] == 0


@both
def test_it_is_told_when_the_decoders_gradients_are_whole(dtype: str) -> None:
    """Amid the pass: what is read then is what is there at its end; an encoder's are not asked about."""
    import os

    core = MODULES[dtype]
    model = core.Transformer(core_config(d_model=64, d_ff=128), 1)
    batch = core_batch(core)
    model.backward(batch)
    expected = model.gradient_buffer.copy()
    reading, writing = os.pipe()
    try:
        model.backward(batch, ready=writing)
        assert os.read(reading, 10) == b"\x01"
        assert np.array_equal(model.gradient_buffer, expected)
        model.backward(batch, ready=-1)
        for wrong in (-2, 2**31, "1", 1.5):
            with pytest.raises((TypeError, ValueError), match="ready must be"):
                model.backward(batch, ready=wrong)
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
    finally:
        os.close(reading)
        os.close(writing)


@both
def test_bounds_that_are_no_blocks_change_nothing(dtype: str) -> None:
    core, model = MODULES[dtype], made(dtype)
    length, block = model.trained_length, core.block_length(model.trained_length)
    weights = model.weights.copy()
    wrong = [
        (1, length),
        (0, block + 1),
        (block, 0),
        (0, length + 1),
        (0, 2**62),
        (length + block, length + block),
    ]
    for begin, end in wrong:
        rule = core.Optimizer("novograd")
        with pytest.raises(ValueError, match="begin and end must be multiples of"):
            rule.part_squares(model, begin, end)
        with pytest.raises(ValueError, match="begin and end must be multiples of"):
            core.Optimizer("adam").step_part(model, 0.1, 1.0, (begin, end))
    for begin, end in ((-block, block), ("0", block), (0.0, block), (None, block)):
        with pytest.raises((TypeError, ValueError), match="begin must be"):
            core.Optimizer("adam").step_part(model, 0.1, 1.0, (begin, end))
    assert np.array_equal(model.weights, weights)


@both
def test_another_part_than_the_states(dtype: str) -> None:
    core, model = MODULES[dtype], made(dtype)
    block = core.block_length(model.trained_length)
    rule = core.Optimizer("adam")
    rule.step_part(model, 0.1, 1.0, (0, block))
    with pytest.raises(ValueError, match="model must be the one that the optimizer's state belongs to"):
        rule.step(model, 0.1)
    with pytest.raises(ValueError, match="model must be the one that the optimizer's state belongs to"):
        rule.step_part(model, 0.1, 1.0, (block, model.trained_length))


@both
def test_squares_that_novograd_cannot_read(dtype: str) -> None:
    core, model = MODULES[dtype], made(dtype)
    length = model.trained_length
    right = core.Optimizer("novograd").part_squares(model, 0, length)
    other = np.float32 if dtype == "float64" else np.float16
    for squares in (
        None,
        right[:-1],
        right.astype(other),
        right.tolist(),
        np.stack([right, right]),
        right[::2],
    ):
        with pytest.raises((TypeError, ValueError), match="squares must"):
            core.Optimizer("novograd").step_part(model, 0.1, 1.0, (0, length), squares)
    core.Optimizer("novograd").step_part(model, 0.1, 1.0, (0, length), np.full_like(right, np.nan))
    assert np.isnan(model.weights).any()


@both
def test_a_model_without_gradients(dtype: str) -> None:
    core = MODULES[dtype]
    model = core.Transformer(core_config(), 1)
    for call in (
        lambda: core.Optimizer("novograd").part_squares(model, 0, 0),
        lambda: core.Optimizer("adam").step_part(model, 0.1, 1.0, (0, 0)),
    ):
        with pytest.raises(RuntimeError, match="model must have gradients"):
            call()


@both
def test_adding(dtype: str) -> None:
    core = MODULES[dtype]
    total, more = np.arange(70_000, dtype=dtype), np.ones(70_000, dtype)
    core.add(total, more)
    assert np.array_equal(total, np.arange(70_000, dtype=dtype) + 1)
    frozen = total.copy()
    frozen.flags.writeable = False
    wrong = [
        (total, more[:-1]), (total, more[::2]), (total, more.astype(np.int64)), (frozen, more),
        (total, total), (total[1:], total[:-1]), (total, None), ([1.0], more),
    ]  # fmt: skip
    for a, b in wrong:
        with pytest.raises((TypeError, ValueError), match=r"total|array"):
            core.add(a, b)
    assert np.array_equal(total, np.arange(70_000, dtype=dtype) + 1)


@both
def test_blocks_that_are_none(dtype: str) -> None:
    core = MODULES[dtype]
    values = np.ones(20_000_000, dtype)
    for block in (0, -1, 1, 16384, "16384", 2**60, 2**64):
        with pytest.raises((TypeError, ValueError, OverflowError), match="block must be"):
            core.block_squares(values, block)
    for n in (-1, 1.5, None):
        with pytest.raises((TypeError, ValueError), match="n must be"):
            core.block_length(n)
