"""Dependency and output change as methods of the core: what they give, what they refuse with which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from core_objects import MODULES, VOCAB, D, both, core_batch, lengths, transformer

from admin_py.model.config import TransformerConfig

OTHER = {"float32": "float64", "float64": "float32"}


@both
def test_dependency_gives_a_table_a_stack(dtype: str) -> None:
    model, batch = transformer(dtype), core_batch(MODULES[dtype])
    tables = model.dependency(batch)
    for stack, sublayers, tokens in (("encoder", 2, 8), ("decoder", 3, 4)):
        table = tables.pop(stack)
        assert set(table) == {"variances", "sums", "predicted", "num_tokens"}
        assert table["variances"].shape == (sublayers, sublayers + 2)
        assert table["sums"].shape == table["predicted"].shape == (sublayers,)
        assert all(table[name].dtype == np.float64 for name in ("variances", "sums", "predicted"))
        assert table["num_tokens"] == tokens
        later = np.triu_indices(sublayers, 1)
        assert not table["variances"][:, 1:-1][later].any(), "a branch is in no sum before its own"
    assert not tables


@both
def test_components_come_only_where_they_are_asked_for(dtype: str) -> None:
    model, batch = transformer(dtype), core_batch(MODULES[dtype])
    last = model.dependency(batch, components=True)["decoder"]["last"]
    assert (last.shape, last.dtype) == ((4, 5, D), dtype)
    with pytest.raises(TypeError, match="components must be True or False, got 1"):
        model.dependency(batch, components=1)


@both
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"max_memory": 0}, ValueError, "max_memory must be an integer from 1 to .* got 0"),
        ({"max_memory": 2**63}, ValueError, "max_memory must be an integer from 1"),
        ({"max_memory": 1e6}, TypeError, "max_memory must be an integer, got 1000000.0 of type float"),
        ({"max_memory": True}, TypeError, "max_memory must be an integer, got True"),
        ({"memory": 1}, TypeError, "memory"),
    ],
)
def test_dependency_refuses_options(
    dtype: str, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        transformer(dtype).dependency(core_batch(MODULES[dtype]), **options)


@both
def test_output_change_gives_a_table_a_stack_and_leaves_both_models(dtype: str) -> None:
    model, other = transformer(dtype), transformer(dtype)
    other.init_weights(2)
    weights = [each.weights.copy() for each in (model, other)]
    tables = model.output_change(other, core_batch(MODULES[dtype]))
    assert {stack: len(table["change"]) for stack, table in tables.items()} == {"encoder": 2, "decoder": 3}
    for table in tables.values():
        assert set(table) == {"change", "var_branch", "var_sum", "input_change"}
        assert isinstance(table["input_change"], float)
        assert np.all(table["change"] > 0)
    for each, before in zip((model, other), weights, strict=True):
        assert np.array_equal(each.weights, before)


@both
def test_output_change_refuses_what_is_no_such_model(dtype: str) -> None:
    module = MODULES[dtype]
    model, batch = transformer(dtype), core_batch(module)
    wrong: list[tuple[Any, type[Exception], str]] = [
        (model, ValueError, "other must be another model, got the model itself"),
        (
            transformer(OTHER[dtype]),
            TypeError,
            "other must be a Transformer of the same module, got .*Transformer",
        ),
        (None, TypeError, "other must be a Transformer of the same module, got an object of type NoneType"),
        (
            transformer(dtype, encoder=2),
            ValueError,
            rf"of encoder and decoder, {D} and 2 \+ 3, got {D} and 4 \+ 3",
        ),
        (transformer(dtype, decoder=0), ValueError, r"2 \+ 3, got 8 and 2 \+ 0"),
        (transformer(dtype, d_model=16), ValueError, r"8 and 2 \+ 3, got 16 and"),
    ]
    for other, error, words in wrong:
        with pytest.raises(error, match=words):
            model.output_change(other, batch)
    small = transformer(dtype, vocab_size=5)
    with pytest.raises(IndexError, match=r"outside the vocabulary \[0, 5\)"):
        model.output_change(small, batch)
    assert np.isfinite(model.loss(batch)[0]), "free again after each error"
    ids, offsets = np.arange(3, dtype=np.int32), lengths(0, 3)
    assert np.isfinite(small.loss(module.Batch(ids, offsets, ids, offsets))[0])


@both
def test_both_refuse_batches_as_every_pass_does(dtype: str) -> None:
    module, model, other = MODULES[dtype], transformer(dtype), transformer(dtype)
    unknown = module.Batch(np.full(3, VOCAB, np.int32), lengths(0, 3), np.ones(3, np.int32), lengths(0, 3))
    for call in (model.dependency, lambda batch: model.output_change(other, batch)):
        with pytest.raises(TypeError, match="batch must be of type"):
            call(core_batch(MODULES[OTHER[dtype]]))
        with pytest.raises((IndexError, ValueError), match=str(VOCAB)):
            call(unknown)
        with pytest.raises(ValueError, match="target"):
            call(core_batch(module, target=False))


@both
def test_models_of_other_inner_sizes_may_be_compared(dtype: str) -> None:
    """What counts is the residual stream: heads and d_ff are each model's own."""
    sizes = {"heads": 4, "d_ff": 40}
    tables = transformer(dtype).output_change(transformer(dtype, **sizes), core_batch(MODULES[dtype]))
    assert all(np.isfinite(table["change"]).all() for table in tables.values())


@both
def test_a_decoder_alone_may_be_read_too(dtype: str) -> None:
    sizes: dict[str, Any] = {"vocab_size": VOCAB, "d_model": D, "heads": 2, "d_ff": 16, "max_length": 16}
    config = TransformerConfig(encoder_layers=0, decoder_layers=3, **sizes).to_core()
    model, other = (MODULES[dtype].Transformer(config, seed=seed) for seed in (1, 2))
    batch = core_batch(MODULES[dtype], target=False)
    assert list(model.dependency(batch)) == list(model.output_change(other, batch)) == ["decoder"]
