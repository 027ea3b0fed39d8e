"""Batches from every form of sequences, and what they refuse."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import admin_py as ap
from admin_py.data import Sequences

LISTS = [[5, 6, 7], [8], [9, 4]]
TOKENS, OFFSETS = np.array([5, 6, 7, 8, 9, 4], np.int32), np.array([0, 3, 4, 6])
FORMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "lists": (LISTS, {}),
    "arrays": ([np.array(row, np.int16) for row in LISTS], {}),
    "tuples in a tuple": (tuple(map(tuple, LISTS)), {}),
    "an iterator": (iter(LISTS), {}),
    "packed": ((TOKENS, OFFSETS), {}),
    "packed lists": ((TOKENS.tolist(), OFFSETS.tolist()), {}),
    "packed, other integers": ((TOKENS.astype(np.uint64), OFFSETS.astype(np.int8)), {}),
    "sequences": (Sequences(TOKENS, OFFSETS), {}),
    "padded": (np.array([[5, 6, 7], [8, 0, 0], [9, 4, 0]]), {"pad_id": 0}),
    "padded on the left": (np.array([[5, 6, 7], [-1, -1, 8], [-1, 9, 4]]), {"pad_id": -1}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_batch(form: str) -> None:
    given_form, options = FORMS[form]
    batch = ap.Batch(given_form, **options)
    assert np.array_equal(batch.source.tokens, TOKENS)
    assert np.array_equal(batch.source.offsets, OFFSETS)
    assert (batch.source.tokens.dtype, batch.source.offsets.dtype) == (np.int32, np.int64)
    assert batch.target is None
    assert (len(batch), batch.num_sequences, batch.num_tokens) == (3, 3, 6)
    assert repr(batch) == "Batch(3 sequences, 6 tokens)"


def test_source_and_target_may_have_different_forms() -> None:
    batch = ap.Batch(LISTS, np.array([[1, 2, 0, 0], [1, 3, 2, 0], [1, 3, 3, 2]]), pad_id=0)
    assert batch.target is not None
    assert batch.target.lengths.tolist() == [2, 3, 4]
    assert (batch.num_sequences, batch.num_tokens) == (3, 15)
    assert repr(batch) == "Batch(3 pairs of sequences, 6 + 9 tokens)"


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5), min_size=1, max_size=5))
def test_what_goes_in_comes_out(rows: list[list[int]]) -> None:
    batch = ap.Batch(rows)
    assert [row.tolist() for row in batch.source] == rows
    core = batch.core("float32")
    assert core.source_tokens.tolist() == [token for row in rows for token in row]
    assert ap.Batch((core.source_tokens, core.source_offsets)) == batch


def test_a_batch_keeps_its_own_copy_and_does_not_change() -> None:
    tokens = TOKENS.copy()
    batch = ap.Batch((tokens, OFFSETS))
    tokens[...] = 1
    assert np.array_equal(batch.source.tokens, TOKENS)
    with pytest.raises(ValueError, match="read-only"):
        batch.source.tokens[0] = 1
    for change in (lambda: setattr(batch, "source", None), lambda: delattr(batch, "source")):
        with pytest.raises(AttributeError, match="a Batch does not change: source"):
            change()


def test_batches_are_compared_by_content_and_pickled() -> None:
    one, two = ap.Batch(LISTS, LISTS), ap.Batch((TOKENS, OFFSETS), (TOKENS, OFFSETS))
    one.core("float64")
    assert one == two == pickle.loads(pickle.dumps(one))
    assert one != ap.Batch(LISTS)
    assert ap.Batch(LISTS) == pickle.loads(pickle.dumps(ap.Batch(LISTS)))
    assert one != LISTS
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_the_cores_batch_is_made_once_a_dtype() -> None:
    batch = ap.Batch(LISTS)
    assert batch.core("float32") is batch.core("float32")
    assert type(batch.core("float64")) is not type(batch.core("float32"))


BAD: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    ([], {}, ValueError, "source must hold at least one sequence, got none"),
    ([[5], []], {}, ValueError, "source: sequence 1 is empty, every sequence needs a token"),
    ((TOKENS, [0, 3, 3, 6]), {}, ValueError, "source: sequence 1 is empty"),
    ([[5], [-1]], {}, ValueError, "sequence 1 of source must be ids from 0 to 2147483647, got -1"),
    ([[5, 2**31]], {}, ValueError, "sequence 0 of source must be ids from 0 to 2147483647, got 2147483648"),
    ([[5, 2**70]], {}, (TypeError, ValueError), "sequence 0 of source must be"),
    ([[5.0]], {}, TypeError, "sequence 0 of source must be integers, got float64"),
    ([[True]], {}, TypeError, "sequence 0 of source must be integers, got bool"),
    ([["5"]], {}, TypeError, "sequence 0 of source must be integers, got <U1"),
    ([5, 6], {}, ValueError, "sequence 0 of source must have 1 dimension, got 0"),
    ([[[5]]], {}, ValueError, "sequence 0 of source must have 1 dimension, got 2"),
    ([[5, [6]]], {}, ValueError, "sequence 0 of source must be a 1-dimensional array of integers"),
    ("56", {}, TypeError, r"source must be a list of sequences, a padded array .* got an object of type str"),
    (5, {}, TypeError, "source must be a list of sequences"),
    ({5: 6}, {}, TypeError, "source must be a list of sequences"),
    (
        (TOKENS, OFFSETS[:-1]),
        {},
        ValueError,
        r"offsets of source must rise from 0 to the number of tokens, 6",
    ),
    ((TOKENS, [0, 4, 3, 6]), {}, ValueError, "offsets of source must rise"),
    ((TOKENS, []), {}, ValueError, "offsets of source must rise"),
    ((TOKENS, [0.0, 6.0]), {}, TypeError, "offsets of source must be a one-dimensional array of integers"),
    (([5, 6], [[0, 2]]), {}, TypeError, "a tuple of two is taken as"),
    (np.array([[5, 6]]), {}, ValueError, r"source is an array \[B, T\]: give pad_id"),
    (np.array([[5.0, 6.0]]), {"pad_id": 0}, TypeError, "source must be integers, got float64"),
    (np.array([[5, 0, 6]]), {"pad_id": 0}, ValueError, "source: sequence 0 has padding .* inside it"),
    (np.array([[5, 6], [0, 0]]), {"pad_id": 0}, ValueError, "source: sequence 1 is empty"),
    (np.empty((0, 3), int), {"pad_id": 0}, ValueError, "source must hold at least one sequence"),
    (np.empty((2, 0), int), {"pad_id": 0}, ValueError, "source: sequence 0 is empty"),
    (LISTS, {"pad_id": 0}, ValueError, "pad_id=0 is for padded arrays"),
    (np.array([[5]]), {"pad_id": 0.0}, TypeError, "pad_id must be an integer"),
]


@pytest.mark.parametrize(("source", "options", "error", "words"), BAD)
def test_a_batch_refuses(source: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ap.Batch(source, **options)
    with pytest.raises(error, match=words.replace("source", "target")):
        ap.Batch(LISTS, source, **options)


def test_source_and_target_must_be_equally_many() -> None:
    with pytest.raises(ValueError, match="target must have as many sequences as source, got 1 and 3"):
        ap.Batch(LISTS, [[5]])
