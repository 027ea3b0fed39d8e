"""Packed sequences, and how they are cut into batches."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin_py.data import Sequences
from admin_py.data.batching import plan_batches, random_bits, random_order

id_lists = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=6), max_size=8)


@st.composite
def plans(draw):
    """Lengths [B, sides] and a budget that the longest fits."""
    sides = draw(st.integers(1, 2))
    count = draw(st.integers(1, 60))
    values = st.integers(1, draw(st.sampled_from([1, 5, 200])))
    lengths = np.array(draw(st.lists(values, min_size=count * sides, max_size=count * sides)))
    lengths = lengths.reshape(count, sides)
    return lengths, int(lengths.max()) + draw(st.integers(0, 300))


@given(id_lists)
def test_packing_keeps_every_sequence(lists):
    sequences = Sequences.from_lists(lists)
    assert [list(one) for one in sequences] == lists
    assert sequences.lengths.tolist() == [len(one) for one in lists]
    assert sequences.tokens.dtype == np.int32
    assert sequences.offsets.dtype == np.int64


@given(id_lists, st.randoms(use_true_random=False))
def test_take_picks_sequences_in_the_order_asked(lists, random):
    chosen = [random.randrange(len(lists)) for _ in range(2 * len(lists))]
    taken = Sequences.from_lists(lists).take(np.array(chosen, dtype=np.int64))
    assert [list(one) for one in taken] == [lists[i] for i in chosen]


@given(id_lists, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9))
def test_affixed_puts_ids_around_each_sequence(lists, first, last):
    affixed = Sequences.from_lists(lists).affixed(first=first, last=last)
    head, tail = ([] if one is None else [one] for one in (first, last))
    assert [list(one) for one in affixed] == [head + one + tail for one in lists]


@given(st.lists(id_lists, max_size=3))
def test_concatenate_is_one_after_the_other(parts):
    joined = Sequences.concatenate(Sequences.from_lists(part) for part in parts)
    assert [list(one) for one in joined] == [one for part in parts for one in part]


def test_sequences_cannot_be_changed():
    sequences = Sequences.from_lists([[4, 5]])
    with pytest.raises(ValueError, match="read-only"):
        sequences[0][0] = 7


@pytest.mark.parametrize("offsets", [[0, 1], [1, 3], [0, 2, 1, 3], [], [[0, 3]]])
def test_offsets_that_do_not_fit(offsets):
    with pytest.raises(ValueError, match="offsets"):
        Sequences(np.array([4, 5, 6], np.int32), np.array(offsets, np.int64))


@pytest.mark.parametrize("index", [2, -3])
def test_no_such_sequence(index):
    with pytest.raises(IndexError, match=f"sequence {index} of 2"):
        Sequences.from_lists([[4], [5]])[index]


@settings(deadline=None)
@given(plans(), st.integers(0, 2**64), st.booleans())
def test_every_sequence_once_and_within_the_budget(plan, seed, shuffle):
    lengths, max_tokens = plan
    batches = plan_batches(lengths, max_tokens, seed=seed, shuffle=shuffle)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert batch.size > 0
        assert lengths[batch].sum(axis=0).max() <= max_tokens


@settings(deadline=None)
@given(plans())
def test_without_shuffling_the_order_stays_and_batches_are_full(plan):
    lengths, max_tokens = plan
    batches = plan_batches(lengths, max_tokens, shuffle=False)
    assert np.concatenate(batches).tolist() == list(range(len(lengths)))
    for batch, following in itertools.pairwise(batches):
        with_next = lengths[np.append(batch, following[0])].sum(axis=0)
        assert with_next.max() > max_tokens


@settings(deadline=None)
@given(plans(), st.integers(0, 1000))
def test_shuffled_batches_hold_like_lengths(plan, seed):
    lengths, max_tokens = plan
    longest = lengths.max(axis=1)
    batches = plan_batches(lengths, max_tokens, seed=seed)
    spans = [(longest[batch].min(), longest[batch].max()) for batch in batches]
    # What two batches have in common lies in one bucket, whose lengths differ by at most a quarter.
    for (low_a, high_a), (low_b, high_b) in itertools.combinations(spans, 2):
        assert min(high_a, high_b) <= 1.25 * max(low_a, low_b)


def test_seeds_give_different_orders_of_sequences_and_of_batches():
    lengths = np.tile(np.arange(1, 41), 20)[:, None]
    one, two = (plan_batches(lengths, 100, seed=seed) for seed in (1, 2))
    assert [batch.tolist() for batch in one] != [batch.tolist() for batch in two]
    firsts = lengths[[batch[0] for batch in one], 0]
    assert np.abs(np.corrcoef(firsts, np.arange(firsts.size))[0, 1]) < 0.5  # batches come unsorted


def test_order_is_uniform():
    """The place of each number over 4,000 seeds: chi-square against uniform."""
    count, seeds = 6, 4000
    places = np.zeros((count, count))
    for seed in range(seeds):
        places[np.arange(count), random_order(count, random_bits(seed))] += 1
    chi2 = ((places - seeds / count) ** 2 / (seeds / count)).sum()
    assert chi2 < 52.6  # 25 degrees of freedom, p = 0.001; the seeds are fixed


def digest_of_plan() -> str:
    lengths = np.stack([np.arange(500) % 37 + 1, np.arange(500) % 23 + 2], axis=1)
    batches = plan_batches(lengths, 128, seed=12345)
    return hashlib.sha256(b"|".join(batch.astype("<i8").tobytes() for batch in batches)).hexdigest()


def test_the_same_seed_means_these_batches_on_every_machine():
    """A stored digest: it must not change with NumPy's version, the processor or the process."""
    stored = "a6ba6a936070399b74114feb47c2390b33526ef47799c256af7c440a0a23bc65"
    assert digest_of_plan() == stored
    code = "import test_batching as t; print(t.digest_of_plan())"
    path = [*sys.path, __file__.rpartition("/")[0]]
    code = f"import sys; sys.path[:] = {path!r}; {code}"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == stored
    )


def test_a_sequence_longer_than_the_budget_is_an_error():
    lengths = np.array([[3, 4], [9, 2], [1, 1]])
    with pytest.raises(ValueError, match="max_tokens is 8, but sequence 1 alone has 9 tokens"):
        plan_batches(lengths, 8)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_tokens": 0}, ValueError, "max_tokens must be at least 1, got 0"),
        ({"max_tokens": 5.0}, TypeError, "max_tokens must be an integer, got 5.0"),
        ({"max_tokens": True}, TypeError, "max_tokens must be an integer, got True"),
        ({"max_tokens": 9, "seed": -1}, ValueError, r"seed must be an integer from 0 to \d+, got -1$"),
        ({"max_tokens": 9, "seed": "1"}, TypeError, "seed must be an integer, got '1'"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        plan_batches(np.array([[1]]), **arguments)
