"""Every analysis of one model: each is what its own function gives, and what is missing has its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import admin_py as ap
from admin_py import analysis


def small(**changes: object) -> ap.TransformerConfig:
    given = {
        "vocab_size": 30,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "d_model": 16,
        "heads": 2,
        "d_ff": 32,
    }
    return ap.TransformerConfig(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def batch() -> ap.Batch:
    random = np.random.default_rng(5)
    sides = [[random.integers(3, 30, size=n).tolist() for n in (5, 9, 2)] for _ in range(2)]
    return ap.Batch(sides[0], [[1, *one, 2] for one in sides[1]])


@pytest.mark.parametrize("scheme", ["post_ln", "pre_ln", "admin", "deepnorm", "rezero"])
def test_its_parts_are_what_their_functions_give(scheme: str, batch: ap.Batch) -> None:
    model = ap.Transformer(small(scheme=scheme), seed=2)
    if scheme == "admin":
        model.profile(batch)
    state = {name: value.copy() for name, value in model.state.items()}
    found = ap.examine(model, batch, repeats=2)
    assert found.gradients == analysis.gradients(model, batch)
    assert found.dependency == analysis.dependency(model, batch)
    assert found.output_change == analysis.output_change(model, batch, repeats=2)
    assert found.diagnosis == ap.diagnose(model, batch)
    assert (found.scheme, found.num_parameters) == (scheme, model.num_parameters)
    for name, value in model.state.items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)


@pytest.mark.parametrize("scheme", ["post_ln", "admin", "admin_torch", "rezero"])
def test_its_profile_is_of_the_model_as_it_is(scheme: str, batch: ap.Batch) -> None:
    model = ap.Transformer(small(scheme=scheme), seed=2)
    if scheme == "admin":
        model.profile(batch, method="paper")
    profile = ap.examine(model, batch).profile
    assert profile is not None
    seen = model.observe(batch, activations=[])
    for stack in model.config.stacks:
        np.testing.assert_array_equal(profile.var_input(stack), seen.var_input[stack])
        np.testing.assert_array_equal(profile.var_branch(stack), seen.var_branch[stack])
        own = model.omega[stack]
        np.testing.assert_allclose(profile.omega(stack), own if own.ndim == 1 else own[:, 0], rtol=1e-6)


def test_admin_is_profiled_with_the_weights_of_the_post_ln_model(batch: ap.Batch) -> None:
    model = ap.Transformer(small(scheme="post_ln"), seed=2, dtype="float64")
    model.parameters["encoder.0.feed_forward.fc1.weight"][:] *= 3.0
    other = ap.Transformer(small(scheme="admin"), seed=9, dtype="float64")
    for name, value in model.parameters.items():
        other.parameters[name][:] = value
    found = ap.examine(model, batch).admin
    assert found is not None
    profile = other.profile(batch, dropout=False)
    assert found.scheme == "admin"
    for stack in ("encoder", "decoder"):
        np.testing.assert_array_equal(found.omega(stack), profile.omega(stack))
    assert found.omega("decoder")[-1] > 1.0


def test_what_a_model_does_not_have_is_said() -> None:
    encoder = ap.Transformer(small(decoder_layers=0, scheme="pre_ln"), seed=1)
    found = ap.examine(encoder, ap.Batch([[3, 4, 5, 6], [7, 8]]))
    assert found.gradients is None
    assert "no loss" in found.without["gradients"]
    assert found.without["admin"] == "Admin scales the skips of Post-LN, and this model is Pre-LN"
    assert set(found.without) == {"gradients", "admin"}
    assert list(found.to_dataframe()["stack"]) == ["encoder"] * 4
    assert "grad_norm" not in found.to_dataframe()


def test_the_table_has_a_row_a_sublayer(batch: ap.Batch) -> None:
    model = ap.Transformer(small(scheme="post_ln"), seed=2)
    found = ap.examine(model, batch)
    table = found.to_dataframe().set_index("name")
    assert found.gradients is not None
    assert found.output_change is not None
    row = table.loc["decoder.1.cross_attn"]
    place = found.diagnosis.sublayers["decoder"].index("decoder.1.cross_attn")
    assert row["grad_norm"] == found.gradients.outputs["decoder"][place + 1]
    assert row["beta2"] == found.diagnosis.own("decoder")[place]
    assert row["output_change"] == found.output_change.mean("decoder")[place]


def test_it_comes_back_from_its_file(batch: ap.Batch, tmp_path: Path) -> None:
    found = ap.examine(ap.Transformer(small(scheme="post_ln"), seed=2), batch, name="mine")
    found.save(tmp_path / "found.json")
    assert ap.load(tmp_path / "found.json") == found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": 3}, "name must be a string"),
        ({"repeats": 0}, "repeats"),
        ({"label_smoothing": 2.0}, "label_"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, object], said: str, batch: ap.Batch) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        ap.examine(ap.Transformer(small(), seed=1), batch, **options)  # type: ignore[arg-type]


def test_the_model_has_to_read_the_batch() -> None:
    with pytest.raises((ValueError, IndexError), match="30"):
        ap.examine(ap.Transformer(small(), seed=1), ap.Batch([[99]], [[1, 5, 2]]))
