"""Resampled BLEU: the numbers of sacreBLEU's own paired bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from made_translations import made_translations, plain

import admin_py as ap
from admin_py.scores.resampled import draws, interval, p_value, resampled_bleu

pytest.importorskip("sacrebleu")


@pytest.mark.parametrize("convention", ["published", "detokenised"])
def test_means_intervals_and_p_are_those_of_paired_bootstrap(convention: str) -> None:
    worse, references = made_translations(50)
    better = [line if i % 3 else other for i, (line, other) in enumerate(zip(references, worse, strict=True))]
    if convention == "detokenised":
        worse, better, references = plain(worse), plain(better), plain(references)
    expected = ap.scores.paired_bootstrap(
        {"worse": worse, "better": better},
        references,
        convention=convention,  # type: ignore[arg-type]
        resamples=80,
        seed=3,
    )
    drawn = draws(50, 80, 3)
    found = [resampled_bleu(text, references, convention, drawn) for text in (worse, better)]
    np.testing.assert_allclose(
        [one.mean() for one in found], expected.means, rtol=1e-7
    )  # it sums in single precision
    halves = [(interval(one).high - interval(one).low) / 2 for one in found]
    np.testing.assert_allclose(halves, expected.half_widths, rtol=1e-6)
    difference = float(expected.scores[1] - expected.scores[0])
    assert p_value(*found, difference, alike=False) == expected.p_values[1]


def test_all_sentences_once_have_the_score_of_the_text() -> None:
    found, references = made_translations(30)
    whole = ap.scores.bleu(found, references, convention="published").score
    assert resampled_bleu(found, references, "published", np.arange(30)[None]) == pytest.approx([whole])


def test_what_is_the_same_never_differs() -> None:
    scores = np.arange(40.0)
    assert p_value(scores, scores, 0.0, alike=True) == 1.0
