"""Whether a model reads its source: against a plain count, and for models that cannot."""

from __future__ import annotations

import numpy as np
import pytest
from made_results import made_history

import admin_py as ap
from admin_py.analysis import SourceUse, source_use
from admin_py.experiments.outcomes import BLIND, STUCK, TRAINS, outcome_of


def model_of(data: ap.data.Dataset, **shape: object) -> ap.Transformer:
    given = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 16, "heads": 2, "d_ff": 32, **shape}
    config = ap.TransformerConfig(vocab_size=data.vocab_size, max_length=data.longest, **given)  # type: ignore[arg-type]
    return ap.Transformer(config, seed=1)


@pytest.fixture(scope="module")
def data() -> ap.data.Dataset:
    return ap.data.number_words(train=400, valid=30)


def test_the_losses_are_those_of_the_pairs_one_by_one(data: ap.data.Dataset) -> None:
    model = model_of(data)
    split = data.split("valid")
    found = source_use(model, data, max_tokens=200)
    assert split.target is not None
    pairs = list(zip(split.source, split.target, strict=True))
    losses = [model.loss(ap.Batch([source], [target])) for source, target in pairs]
    tokens = sum(loss.num_tokens for loss in losses)
    assert found.num_tokens == tokens
    # float32 sums of a few hundred losses in another order
    assert found.nll == pytest.approx(sum(loss.nll * loss.num_tokens for loss in losses) / tokens, rel=1e-5)
    outputs = model.observe(next(data.batches(max_tokens=200, split="valid", shuffle=False)))
    output = outputs["encoder.output"].astype(np.float64)
    share = ((output - output.mean(0)) ** 2).mean() / ((output - output.mean()) ** 2).mean()
    assert found.token_share == pytest.approx(share, rel=1e-9)


def test_a_trained_model_reads_and_one_whose_encoder_is_silent_does_not() -> None:
    data = ap.data.copy_task(train=300, valid=20)
    model = model_of(data)
    ap.train(model, data, optimizer=ap.Adam(lr=5e-3), steps=60, max_tokens=400, progress=False)
    found = source_use(model, data)
    assert found.reads, found
    # With the gain of the encoder's last norm at 0 every token's output is the norm's bias.
    model.parameters["encoder.0.feed_forward.norm_post.gamma"][...] = 0
    silent = source_use(model, data)
    assert silent.other_nll == pytest.approx(silent.nll, rel=1e-6)
    assert silent.token_share < 1e-9
    assert not silent.reads
    assert "does not read its source" in repr(silent)


def test_it_keeps_the_weights_and_survives_its_file(data: ap.data.Dataset, tmp_path: object) -> None:
    model = model_of(data)
    before = {name: values.copy() for name, values in model.parameters.items()}
    found = source_use(model, data)
    for name, values in model.parameters.items():
        np.testing.assert_array_equal(values, before[name])
    path = f"{tmp_path}/found.json"
    found.save(path)
    assert SourceUse.load(path) == found
    assert found.to_dataframe().loc[0, "gain"] == found.gain


@pytest.mark.parametrize("copies", [2, 9])
def test_no_source_is_exchanged_for_one_like_it(copies: int) -> None:
    from admin_py.analysis.source_use import _others
    from admin_py.data.sequences import Sequences

    sources = Sequences.from_lists([[7, 8]] * copies + [[7, 9], [5], [5, 6], [4]])
    others = _others(sources, "valid")
    for one, other in enumerate(others):
        assert not np.array_equal(sources[one], sources[int(other)])


def test_what_cannot_be_asked_is_refused(data: ap.data.Dataset) -> None:
    with pytest.raises(ValueError, match="encoder and decoder"):
        source_use(model_of(data, encoder_layers=0), data)
    text = ap.data.number_words(train=50, valid=5)
    with pytest.raises(ValueError, match="split"):
        source_use(model_of(text), text, split="test")
    with pytest.raises(ValueError, match="max_tokens"):
        source_use(model_of(text), text, max_tokens=0)


def test_the_outcome_tells_what_reads_from_what_does_not() -> None:
    history = made_history(seed=1, last_valid=1.4)
    assert outcome_of(history, 2.8) == outcome_of(history, 2.8, True) == TRAINS
    assert outcome_of(history, 2.8, False) == BLIND
    assert outcome_of(made_history(seed=1, last_valid=2.7), 2.8, False) == STUCK
