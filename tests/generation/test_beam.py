"""Beam search against a plain search by whole passes, and against all sequences there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.table_model import table_model
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import beam as plain

from admin_py.data.batch import Batch
from admin_py.generation import beam_search, greedy
from admin_py.generation.beam import search
from admin_py.model.config import TransformerConfig
from admin_py.model.decoder import Decoder
from admin_py.model.transformer import Transformer

V = 7
EOS = 2


def model_of(seed: int, kind: str, spread: float = 3.0, **changes: Any) -> Transformer:
    """Weights in general position, with distributions that are not flat."""
    sizes = {"vocab_size": V, "d_model": 8, "heads": 2, "d_ff": 16, "dropout": 0.0, "decoder_layers": 2}
    sizes |= {"encoder_layers": 1 if kind == "encoder_decoder" else 0, "max_length": 24}
    model = Transformer(TransformerConfig(**(sizes | changes)), seed=seed, dtype="float64")
    rng = np.random.default_rng(seed)
    for name, values in model.parameters.items():
        values += 0.2 * rng.standard_normal(values.shape)
        if "embedding" in name:
            values *= spread
    return model


def scorer(model: Transformer, source: list[int]) -> plain.Score:
    """log p of what may come next, by a pass over all that is there."""
    seen: dict[tuple[int, ...], np.ndarray] = {}

    def score(ids: list[int]) -> np.ndarray:
        if tuple(ids) not in seen:
            read = [*ids, 0]  # the last is predicted only
            batch = Batch([source], [read]) if model.config.kind == "encoder_decoder" else Batch([read])
            z = model.forward(batch)[-1]
            seen[tuple(ids)] = z - z.max() - np.log(np.exp(z - z.max()).sum())
        return seen[tuple(ids)].copy()

    return score


def sequences_of(seed: int, count: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, V, rng.integers(1, 6)).tolist() for _ in range(count)]


KINDS = ("encoder_decoder", "language_model")


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(KINDS),
    beam=st.integers(1, V),
    n_best=st.integers(1, V),
    length_penalty=st.sampled_from([0.0, 0.6, 1.0, 2.0, -1.0]),
    penalty=st.sampled_from(["power", "gnmt"]),
    least=st.integers(0, 3),
    most=st.integers(1, 6),
    no_repeat_ngram=st.integers(0, 3),
    stop=st.sampled_from(["bound", "count"]),
    batch_size=st.integers(1, 4),
)
def test_what_is_found_is_what_a_plain_search_finds(
    seed: int, kind: str, beam: int, n_best: int, least: int, most: int, batch_size: int, **options: Any
) -> None:
    model = model_of(seed, kind)
    sequences = sequences_of(seed, 4)
    n_best, least = min(n_best, beam), min(least, most)
    found = beam_search(
        model,
        sequences,
        beam=beam,
        n_best=n_best,
        min_length=least,
        max_length=most,
        batch_size=batch_size,
        **options,
    )
    wanted = plain.Options(beam=beam, n_best=n_best, least=least, most=most, **options)
    for sequence, hypotheses in zip(sequences, found, strict=True):
        prefix = [1] if kind == "encoder_decoder" else sequence
        expected = plain.search(scorer(model, sequence), prefix, wanted)
        assert [one.ids[len(prefix) :].tolist() for one in hypotheses] == [list(one.ids) for one in expected]
        np.testing.assert_allclose(
            [one.score for one in hypotheses], [one.score for one in expected], rtol=1e-9
        )
        np.testing.assert_allclose(
            [one.log_probability for one in hypotheses], [one.total for one in expected], rtol=1e-9
        )


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_of_all_sequences_finds_the_best(seed: int, kind: str, length: int) -> None:
    """With room for V^T open hypotheses nothing is lost."""
    model = model_of(seed, kind)
    (sequence,) = sequences_of(seed, 1)
    prefix = [1] if kind == "encoder_decoder" else sequence
    options = plain.Options(beam=V**length, n_best=9, most=length, length_penalty=0.5)
    best = plain.exhaustive(scorer(model, sequence), prefix, options, V)
    wanted = {"beam": V**length, "best": 9 if length > 1 else V, "alpha": 0.5}
    batch = Batch([sequence], [prefix]) if kind == "encoder_decoder" else Batch([prefix])
    found = search(Decoder(model), batch, np.array([0]), np.array([length]), wanted)
    assert [ids.tolist() for _, _, _, ids in found] == [list(one.ids) for one in best]
    np.testing.assert_allclose([score for _, score, _, _ in found], [one.score for one in best], rtol=1e-9)


def test_no_translation_is_empty_unless_it_may_be() -> None:
    model, sequences = model_of(3, "encoder_decoder"), sequences_of(3, 9)
    shortest = [one.ids.size for (one,) in beam_search(model, sequences, min_length=0, max_length=9)]
    assert min(shortest) == 2  # bos, eos
    assert min(one.ids.size for (one,) in beam_search(model, sequences, max_length=9)) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_of_one_that_ends_with_the_first_is_greedy(kind: str) -> None:
    model, sequences = model_of(3, kind), sequences_of(3, 9)
    expected = greedy(model, sequences, max_new_tokens=9)
    found = beam_search(model, sequences, beam=1, stop="count", min_length=0, max_length=9)
    for ids, (one,) in zip(expected, found, strict=True):
        assert one.ids[: ids.size].tolist() == ids.tolist()
        assert one.ids[-1] == EOS


def test_bounds_are_lines_of_the_length() -> None:
    model = table_model(lambda token: 5)  # never ends by itself
    sources = [[5] * n for n in (1, 4, 7)]
    found = beam_search(model, sources, beam=1, max_length=(1.5, 1))
    assert [one.ids.size - 2 for (one,) in found] == [2, 7, 11]
    model = table_model(lambda token: EOS)
    found = beam_search(model, sources, beam=2, min_length=(0.5, 2), max_length=20)
    assert [one.ids.size - 2 >= least for (one,), least in zip(found, (2, 4, 5), strict=True)] == [True] * 3


def test_what_is_wrong_is_named() -> None:
    model = model_of(1, "encoder_decoder")
    for options, told in (
        ({"beam": 0}, "beam must be an integer from 1 to 7, got 0"),
        ({"beam": V + 1}, "beam must be an integer from 1 to 7, got 8"),
        ({"n_best": 6}, "n_best must be an integer from 1 to 5, got 6"),
        ({"length_penalty": float("nan")}, "length_penalty must be a finite number"),
        ({"penalty": "log"}, "penalty must be one of"),
        ({"stop": "never"}, "stop must be one of"),
        ({"min_length": -1}, "min_length must be"),
        ({"max_length": (1, 2, 3)}, "max_length must be a pair"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram must be"),
    ):
        with pytest.raises(ValueError, match=told):
            beam_search(model, [[4]], **options)
    model.parameters["embedding.weight"][...] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        beam_search(model, [[4]])
