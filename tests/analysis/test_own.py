"""Dependency on the own branch: one quantity, one number, whoever measures it."""

from __future__ import annotations

import numpy as np
import pytest

import admin_py as ap
from admin_py.analysis import dependency, output_change
from admin_py.analysis.theory import own_dependency
from admin_py.base.documents import dump

DATA = ap.data.number_words(train=60, valid=10)
BATCH = next(DATA.batches(max_tokens=128, seed=1))

TOLERANCE = {"float64": 1e-12, "float32": 1e-6}
"""Relative. All three sum in double precision over the arrays of the same pass, but each makes the sum, and a
branch as it is added, in its own order: a rounding of the dtype, at most 5e-8 where this was written."""

SCHEMES = [*ap.schemes.names(), "post_ln/pre_ln", "pre_ln/admin"]


def made(scheme: str, seed: int, dtype: str, steps: int) -> ap.Transformer:
    pair = tuple(scheme.split("/")) if "/" in scheme else scheme
    config = ap.TransformerConfig(
        vocab_size=DATA.vocab_size,
        encoder_layers=2,
        decoder_layers=2,
        d_model=16,
        heads=2,
        d_ff=32,
        scheme=pair,
    )
    model = ap.Transformer(config, seed=seed, dtype=dtype)
    model.profile(BATCH)
    if steps:
        ap.train(model, DATA, optimizer=ap.Adam(lr=1e-2), steps=steps, max_tokens=256, progress=False)
    return model


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("steps", [0, 4])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_dependency_diagnosis_and_output_change_agree(scheme: str, steps: int, dtype: str) -> None:
    for seed in (1, 2):
        model = made(scheme, seed, dtype, steps)
        told = ap.diagnose(model, BATCH)
        taken_apart = dependency(model, BATCH)
        moved = output_change(model, BATCH, repeats=1)
        for stack in told.stacks:
            for other in (taken_apart, moved):
                limit = {"rtol": TOLERANCE[dtype], "atol": 1e-30}
                np.testing.assert_allclose(other.own(stack), told.own(stack), **limit)
                np.testing.assert_allclose(other.amplification(stack), told.amplification(stack), **limit)


def test_the_shares_of_all_parts_add_up_to_1_and_own_has_the_sums_variance_below_the_line() -> None:
    found = dependency(made("post_ln", 1, "float64", 4), BATCH)
    for stack in found.stacks:
        diagonal = np.diagonal(found.variances[stack], 1)
        np.testing.assert_allclose(found.own(stack), diagonal / found.sums[stack])
        np.testing.assert_allclose(found.share(stack), diagonal / found.variances[stack].sum(axis=1))
        std = found.beta(stack, scale="std")
        np.testing.assert_allclose(np.diagonal(std, 1) ** 2, found.own(stack))
        # Parts are correlated: that is why there are two.
        assert np.abs(found.share(stack) / found.own(stack) - 1).max() > 0.01


def test_theory_rests_on_it() -> None:
    found = output_change(made("post_ln", 1, "float64", 0), BATCH)
    curve = np.cumsum(found.own("decoder"))
    ratio = found.theory("decoder") / curve
    np.testing.assert_allclose(ratio, ratio[0])


def test_a_branch_of_0_in_a_sum_of_0_is_0() -> None:
    np.testing.assert_array_equal(own_dependency([0.0, 1.0, np.inf], [0.0, 4.0, np.inf])[:2], [0.0, 0.25])


@pytest.mark.parametrize("analyse", [ap.diagnose, dependency, output_change])
def test_a_stack_that_is_not_there_is_one_clear_error(analyse) -> None:
    found = analyse(made("admin", 1, "float32", 0), BATCH)
    for ask in (found.own, found.amplification):
        with pytest.raises(ValueError, match="stack: expected one of encoder, decoder, got 'middle'"):
            ask("middle")


def test_a_diagnosis_of_an_earlier_layout_is_refused(tmp_path) -> None:
    found = ap.diagnose(made("admin", 1, "float32", 0), BATCH)
    path = tmp_path / "diagnosis.json"
    path.write_text(dump(found.to_dict()).replace('"beta2"', '"own"'), encoding="utf-8")
    with pytest.raises(ValueError, match=r"fields of 'diagnosis' missing or unknown: beta2, own"):
        ap.Diagnosis.load(path)
