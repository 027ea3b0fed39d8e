"""The decoder's Python face: what it tells, what it refuses, and what it leaves alone."""

from __future__ import annotations

import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import admin_py as ap
from admin_py.data.batch import Batch
from admin_py.model.decoder import Decoder

V = 11
SOURCES = [[4, 5, 2], [6, 2], [7, 8, 9, 2]]


def model_of(**changes: object) -> ap.Transformer:
    sizes = {"vocab_size": V, "encoder_layers": 1, "decoder_layers": 1, "d_model": 8, "heads": 2, "d_ff": 16}
    return ap.Transformer(
        ap.TransformerConfig(**(sizes | {"max_length": 9} | changes)), seed=1, dtype="float64"
    )


def last_row(model: ap.Transformer, source: list[int], ids: list[int]) -> np.ndarray:
    """log p by a pass over everything."""
    z = model.forward(Batch([source], [[*ids, 0]]))[-1]
    return z - z.max() - np.log(np.exp(z - z.max()).sum())


def test_what_it_tells() -> None:
    model = model_of()
    decoder = model.decoder(Batch(SOURCES))
    assert repr(decoder) == f"Decoder(3 hypotheses of {model!r})"
    assert (len(decoder), decoder.model) == (3, model)
    assert decoder.sequences.tolist() == [0, 1, 2]
    assert decoder.lengths.tolist() == [1, 1, 1]
    assert decoder.memory > 0
    np.testing.assert_allclose(np.exp(decoder.scores).sum(axis=1), 1)
    scores, ids = decoder.top(4)
    order = np.argsort(-decoder.scores, axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_allclose(scores, np.take_along_axis(decoder.scores, order, axis=1))
    assert not decoder.scores.flags.writeable
    assert decoder.scores is decoder.scores


def test_hypotheses_branch_move_and_leave() -> None:
    model = model_of()
    decoder = model.decoder(Batch(SOURCES, [[1], [1, 4], [1, 5, 6]]))
    decoder.reorder([2, 0, 2])
    decoder.step([7, 8, 9])
    assert decoder.sequences.tolist() == [2, 0, 2]
    assert decoder.lengths.tolist() == [4, 2, 4]
    for row, (source, ids) in enumerate(
        ((SOURCES[2], [1, 5, 6, 7]), (SOURCES[0], [1, 8]), (SOURCES[2], [1, 5, 6, 9]))
    ):
        np.testing.assert_allclose(decoder.scores[row], last_row(model, source, ids), rtol=1e-11)
    before = decoder.scores
    decoder.reorder(np.array([], dtype=int))
    assert len(decoder) == 0
    assert decoder.scores is before, "they are those of the last step"
    with pytest.raises(RuntimeError, match="there are no hypotheses"):
        decoder.step([])


def test_the_model_may_compute_in_between() -> None:
    model = model_of()
    decoder = model.decoder(Batch(SOURCES))
    model.backward(Batch([[4]], [[1, 2, 3]]))
    decoder.step([5, 5, 5])
    np.testing.assert_allclose(decoder.scores[1], last_row(model, SOURCES[1], [1, 5]), rtol=1e-11)


def test_weights_are_those_of_the_beginning() -> None:
    model = model_of()
    decoder = model.decoder(Batch(SOURCES))
    for values in model.parameters.values():
        values *= 1.1
    decoder.begin(Batch(SOURCES))
    np.testing.assert_allclose(decoder.scores[2], last_row(model, SOURCES[2], [1]), rtol=1e-11)
    decoder.begin(Batch(SOURCES[:1]), weights_changed=False)
    np.testing.assert_allclose(decoder.scores[0], last_row(model, SOURCES[0], [1]), rtol=1e-11)


def test_what_is_wrong_is_named() -> None:
    model = model_of()
    for make, told in (
        (lambda: Decoder(None), "model must be a Transformer, got None"),
        (lambda: model_of(decoder_layers=0).decoder(), "an encoder predicts nothing"),
        (lambda: model.decoder(bos=V), "bos must be an id of the model's vocabulary of 11, got 11"),
        (lambda: model.decoder([[4]]), "batch must be a Batch"),
        (lambda: model.decoder(Batch([[4] * 10])), "longer than max_length=9"),
        (lambda: model.decoder(Batch([[V]])), "outside the vocabulary"),
        (lambda: model.decoder().scores, "nothing is predicted yet"),
        (lambda: model.decoder().step([1]), r"ids must have shape \(0|there are no hypotheses"),
    ):
        with pytest.raises((TypeError, ValueError, IndexError, RuntimeError), match=told):
            make()
    decoder = model.decoder(Batch(SOURCES))
    for call, told in (
        (lambda: decoder.step([1, 2]), "ids"),
        (lambda: decoder.step([1, 2, V]), r"ids\[2\] is outside the vocabulary \[0, 11\), got 11"),
        (lambda: decoder.step([1.0, 2.0, 3.0]), "ids must be integers"),
        (lambda: decoder.step([[1, 2, 3]]), "ids must be integers"),
        (lambda: decoder.step([1, 2, 2**40]), "ids must be int32 numbers"),
        (lambda: decoder.reorder([0, 3]), r"parents\[1\] must be one of the 3 hypotheses, got 3"),
        (lambda: decoder.reorder([-1]), r"parents\[0\] must be one of the 3 hypotheses, got -1"),
        (lambda: decoder.top(0), "k must be an integer from 1 to 11, got 0"),
        (lambda: decoder.top(12), "k must be an integer from 1 to 11, got 12"),
    ):
        with pytest.raises((TypeError, ValueError, IndexError), match=told):
            call()
    assert len(decoder) == 3, "nothing was lost by what was refused"
    for _ in range(8):
        decoder.step([4, 4, 4])
    with pytest.raises(ValueError, match="hypothesis 0 has 9 tokens, and the model reads no more"):
        decoder.step([4, 4, 4])


def test_logits_that_are_not_finite_are_named() -> None:
    model = model_of()
    model.parameters["embedding.weight"][...] = np.nan
    decoder = model.decoder(Batch(SOURCES))
    with pytest.raises(ValueError, match="hypothesis 0 has logits that are not finite"):
        decoder.top(1)
    with pytest.raises(ValueError, match="not finite"):
        _ = decoder.scores


def test_it_is_used_by_one_thread_at_a_time_and_not_pickled() -> None:
    model = model_of(d_model=64, d_ff=256, encoder_layers=4, max_length=200)
    decoder = model.decoder()
    batch = Batch([[4] * 200] * 16)
    told: list[BaseException] = []

    def begin() -> None:
        for _ in range(3):
            try:
                decoder.begin(batch)
            except RuntimeError as error:
                told.append(error)

    threads = [threading.Thread(target=begin) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told
    assert "another thread" in str(told[0])
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(decoder._core)


def test_it_keeps_its_model_alive_and_goes_with_it() -> None:
    model = model_of()
    decoder = model.decoder(Batch(SOURCES))
    gone = weakref.ref(model)
    del model
    decoder.step([4, 5, 6])
    del decoder
    gc.collect()
    assert gone() is None
