"""Decoding, in both precisions, against whole passes of the oracle, over the table of configurations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import transformer
from reference.ragged import Batch, offsets_of

from proofs.configurations import LARGE_CASES, LOSS_CASES, Case, identifiers
from proofs.core import BUILDS, make
from proofs.deviation import deviation

# As those of a whole pass (test_core_oracle.py): the same sums in another order.
NEAR = {"float64": 1e-12, "float32": 5e-6}
CASES = [case for case in LOSS_CASES + LARGE_CASES if case.config["decoder"]["causal"]]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    top = logits.max(axis=-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))


def sides(case: Case, batch: Batch) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Sources, and the tokens that the decoder reads: all but the last of each."""
    first = np.split(batch[0], batch[1][1:-1])
    if case.config["encoder"]["layers"] == 0:
        return [], [tokens[:-1] for tokens in first]
    return first, [tokens[:-1] for tokens in np.split(batch[2], batch[3][1:-1])]


def packed(dtype: str, sources: list[np.ndarray], prefixes: list[np.ndarray]) -> Any:
    """The core's batch of what decoding begins with."""
    parts: list[np.ndarray] = []
    for side in [sources, prefixes] if sources else [prefixes]:
        parts += [np.concatenate(side).astype(np.int32), offsets_of([ids.size for ids in side])]
    return BUILDS[dtype].Batch(*parts)


def decode(
    decoder: Any, dtype: str, sources: list[np.ndarray], read: list[np.ndarray], rng: np.random.Generator
) -> list[np.ndarray]:
    """log p after each token of each sequence from a prefix on; rows leave and change places."""
    begun = [int(rng.integers(1, ids.size + 1)) for ids in read]
    prefixes = [ids[:n] for ids, n in zip(read, begun, strict=True)]
    decoder.begin(packed(dtype, sources, prefixes))
    found: list[list[np.ndarray]] = [[] for _ in read]
    rows = np.arange(len(read))
    at = np.array(begun)
    while True:
        for number, scores in zip(rows, decoder.scores(), strict=True):
            found[number].append(scores)
        going = rng.permutation(np.flatnonzero(at[rows] < [read[number].size for number in rows]))
        if not going.size:
            return [np.array(one) for one in found]
        decoder.reorder(going.astype(np.int64))
        rows = rows[going]
        assert decoder.sequences.tolist() == rows.tolist()
        assert decoder.lengths.tolist() == at[rows].tolist()
        decoder.step(np.array([read[number][at[number]] for number in rows], dtype=np.int32))
        at[rows] += 1


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=identifiers(CASES))
def test_decoding_gives_the_log_probabilities_of_whole_passes(case: Case, dtype: str) -> None:
    core, params, batch, _ = make(case, dtype, 3)
    rng = np.random.default_rng(5)
    expected = log_softmax(transformer.forward(case.config, params, batch).out)
    sources, read = sides(case, batch)
    expected_of = np.split(expected, np.cumsum([ids.size for ids in read])[:-1])
    decoder = BUILDS[dtype].Decoder(core)
    for _ in range(3):  # again with the room that is there
        for got, whole in zip(decode(decoder, dtype, sources, read, rng), expected_of, strict=True):
            assert deviation(got, whole[-len(got) :]) < NEAR[dtype]


def run(case: Case, dtype: str, threads: int) -> np.ndarray:
    """All log p of one decoding."""
    module = BUILDS[dtype]
    before = module.get_num_threads()
    module.set_num_threads(threads)
    try:
        core, _, batch, _ = make(case, dtype, 3)
        found = decode(module.Decoder(core), dtype, *sides(case, batch), np.random.default_rng(7))
    finally:
        module.set_num_threads(before)
    return np.concatenate(found)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES[::7] + LARGE_CASES[:1], ids=identifiers(CASES[::7] + LARGE_CASES[:1]))
def test_threads_change_no_bit(case: Case, dtype: str) -> None:
    one = run(case, dtype, 1)
    for threads in (2, 7):
        assert np.array_equal(run(case, dtype, threads), one)


def test_a_decoder_takes_the_weights_as_they_are_when_it_begins() -> None:
    case = next(case for case in LARGE_CASES if case.config["decoder"]["layers"])
    core, _, batch, whole = make(case, "float64", 3)
    sources, read = sides(case, batch)
    decoder = BUILDS["float64"].Decoder(core)
    decoder.begin(packed("float64", sources, read))
    for values in core.parameters.values():
        values *= 0.9
    decoder.begin(packed("float64", sources, read))
    last = np.cumsum([ids.size for ids in read]) - 1
    assert deviation(decoder.scores(), log_softmax(core.forward(whole))[last]) < NEAR["float64"]
