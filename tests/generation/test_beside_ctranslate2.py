"""Beam search beside CTranslate2's: the same weights, the same settings, the same hypotheses.

Both count a hypothesis's tokens with its end, finish those of the first `beam` candidates that end, go on
with the first `beam` that do not, and stop when `beam` have finished. They differ in two rules. What is as
long as it may be ends here by its end token, as in fairseq, and there without it: sentences with such
hypotheses are left out. And where a hypothesis may not end yet, log p is here that of all tokens, as in
fairseq, and there of those that it may have: hypotheses may be empty here, though neither finds any unless
it is told so. Where two scores are the same up to rounding, the order may differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_data import real_file

import admin_py as ap
from admin_py.data.reading import read_lines
from admin_py.generation import beam_search
from benchmarks.ctranslate2_model import save_for_ctranslate2, token_ids, token_names

ctranslate2 = pytest.importorskip("ctranslate2")

SENTENCES = 200
LONGEST = 60
ROUNDING = 2e-5
"""Of scores: sums of some ten float32 logarithms, over their number."""


@dataclass
class Sides:
    """A trained model here and there, and what it is to translate."""

    ours: ap.Transformer
    theirs: Any
    sources: list[list[int]]

    @property
    def sources_by_name(self) -> list[list[str]]:
        """As CTranslate2 reads them."""
        names = token_names(self.ours.config.vocab_size)
        return [[names[i] for i in ids] for ids in self.sources]


@pytest.fixture(scope="module", params=["post_ln", "pre_ln"])
def sides(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sides:
    """A small model that has learned to write sentences of about the right length."""
    paths = [real_file(f"multi30k_bpe10k/train.bpe.{code}.gz") for code in ("en", "de")]
    data = ap.data.parallel_text(*paths, pretokenized=True, valid=0, max_lines=4000)
    config = ap.TransformerConfig(
        vocab_size=data.vocab_size,
        encoder_layers=1,
        decoder_layers=2,
        d_model=32,
        heads=2,
        d_ff=64,
        scheme=request.param,
        dropout=0.0,
    )
    model = ap.Transformer(config, seed=1)
    optimizer = ap.Adam(lr=0.01, betas=(0.9, 0.98))
    ap.train(model, data, optimizer=optimizer, steps=250, max_tokens=512, progress=False)
    folder = tmp_path_factory.mktemp(request.param)
    save_for_ctranslate2(model, folder)
    theirs = ctranslate2.Translator(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    lines = list(read_lines(real_file("multi30k_bpe10k/test2016.bpe.en.gz")))[:SENTENCES]
    return Sides(model, theirs, [list(map(int, ids)) for ids in data.encode(lines)])


def test_the_weights_compute_the_same(sides: Sides) -> None:
    """log p of every token of given targets."""
    target = [5, 9, 17, 4]
    names = token_names(sides.ours.config.vocab_size)
    found = sides.theirs.score_batch(sides.sources_by_name, [[names[i] for i in target]] * SENTENCES)
    batch = ap.Batch(sides.sources, [[1, *target, 2]] * SENTENCES)
    z = sides.ours.forward(batch).astype(np.float64)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    expected = log_p[np.arange(len(z)), np.tile([*target, 2], SENTENCES)].reshape(SENTENCES, -1)
    np.testing.assert_allclose([one.log_probs for one in found], expected, atol=1e-4)


@pytest.mark.parametrize(("beam", "length_penalty"), [(1, 1.0), (5, 1.0), (5, 0.0), (4, 0.6)])
def test_what_is_found_is_what_ctranslate2_finds(sides: Sides, beam: int, length_penalty: float) -> None:
    found = beam_search(
        sides.ours,
        sides.sources,
        beam=beam,
        n_best=beam,
        length_penalty=length_penalty,
        stop="count",
        min_length=0,
        max_length=LONGEST,
    )
    expected = sides.theirs.translate_batch(
        sides.sources_by_name,
        beam_size=beam,
        num_hypotheses=beam,
        length_penalty=length_penalty,
        min_decoding_length=0,
        max_decoding_length=LONGEST,
        return_scores=True,
    )
    compared = tied = 0
    for ours, theirs in zip(found, expected, strict=True):
        hypotheses = [token_ids(names) for names in theirs.hypotheses]
        if max(len(ids) for ids in hypotheses) >= LONGEST or max(one.ids.size for one in ours) >= LONGEST:
            continue
        compared += 1
        size = [len(ids) + 1 if length_penalty == 0 else 1 for ids in hypotheses]
        scores = [one.score for one in ours]
        np.testing.assert_allclose(scores, theirs.scores, rtol=0, atol=ROUNDING * max(size))
        tied += [one.ids[1:-1].tolist() for one in ours] != hypotheses
    assert compared >= 0.8 * SENTENCES
    assert tied <= 0.02 * SENTENCES  # the scores in the same order, so that equal ones have changed places


def test_only_what_ctranslate2_computes_is_written(tmp_path: Path) -> None:
    config = {"vocab_size": 9, "encoder_layers": 1, "decoder_layers": 1, "d_model": 8, "heads": 2, "d_ff": 16}
    for change in ({"scheme": "admin"}, {"activation": "gelu"}, {"encoder_layers": 0}):
        model = ap.Transformer(ap.TransformerConfig(**(config | {"scheme": "post_ln"} | change)))
        with pytest.raises(ValueError, match="Post-LN and Pre-LN"):
            save_for_ctranslate2(model, tmp_path)
