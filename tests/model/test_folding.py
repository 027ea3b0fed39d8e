"""Folding omega away: the plain model computes the same function, and what cannot be folded is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_models import PAIRS, TEXT, both, config

import admin_py as ap

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
STACKS = {
    "encoder-decoder": ({}, PAIRS),
    "language model": ({"encoder": 0}, TEXT),
    "encoder": ({"decoder": 0}, TEXT),
}


def own(**fields: Any) -> ap.Scheme:
    """A scheme whose sub-layers are LN(omega x + b), with these fields besides."""
    residual = ap.Residual(**{"norm_post": "layer", "omega": ap.Scale("vector", 1.0, trained=True), **fields})
    return ap.Scheme("own", lambda site: residual, "these tests")


SCHEMES: dict[str, tuple[Any, str]] = {
    "admin": ("admin", "post_ln"),
    "admin_torch": ("admin_torch", "post_ln"),
    "admin_torch_trained": ("admin_torch_1_trained", "post_ln"),
    "deepnorm": ("deepnorm", "post_ln"),
    "post_ln": ("post_ln", "post_ln"),
    "looks_linear": ("looks_linear", "post_ln"),
    "hybrid": (("admin", "deepnorm"), "post_ln"),
    "RMSNorm": (own(norm_post="rms"), "own folded"),
    "DyT": (own(norm_post="dyt"), "own folded"),
    "inner norms": (own(norm_inner="layer"), "own folded"),
    "branch norms, alpha": (
        own(norm_branch="layer", alpha=ap.Scale("vector", 0.5, trained=True)),
        "own folded",
    ),
    "scaled branch input": (own(input_scale=0.7), "own folded"),
}


def trained(scheme: Any, dtype: str, seed: int = 1, **changes: Any) -> ap.Transformer:
    """A model in general position, as if trained: no gain, bias or omega is where it began."""
    model = ap.Transformer(config(scheme=scheme, dropout=0.3, **changes), seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    for name, value in model.parameters.items():
        if name.endswith("omega"):
            value[...] = rng.uniform(0.3, 4.0, value.shape) * rng.choice([-1, 1], value.shape, p=[0.1, 0.9])
        else:
            value[...] = value * rng.uniform(0.5, 1.5, value.shape) + rng.normal(0, 0.1, value.shape)
    return model


def deviation(plain: ap.Transformer, model: ap.Transformer, batch: ap.Batch, **options: Any) -> float:
    """Largest difference of the results, relative to their largest element."""
    got, expected = (each.forward(batch, **options).astype(np.float64) for each in (plain, model))
    return float(np.abs(got - expected).max() / np.abs(expected).max())


@both
@pytest.mark.parametrize("kind", STACKS)
@pytest.mark.parametrize("name", SCHEMES)
def test_the_folded_model_computes_the_same_function(name: str, kind: str, dtype: str) -> None:
    scheme, expected_name = SCHEMES[name]
    changes, batch = STACKS[kind]
    if name == "hybrid" and kind != "encoder-decoder":
        scheme = scheme[0]
    model = trained(scheme, dtype, **changes)
    before = model.state
    plain = model.reparameterise()
    assert plain.config.scheme_name == expected_name
    assert all(
        residual.omega.kind == "none"
        for stack in plain.config.stacks
        for residual in plain.config.residuals(stack)
    )
    assert not any(parameter.endswith("omega") for parameter in plain.parameters)
    assert (plain.dtype, plain.seed) == (dtype, model.seed)
    assert deviation(plain, model, batch) < TOLERANCE[dtype], "seed 1"
    assert deviation(plain, model, batch, training=True, step=5) < TOLERANCE[dtype], "seed 1"
    assert all(np.array_equal(model.parameters[parameter], value) for parameter, value in before.items())


@both
@pytest.mark.parametrize("sharing", ["all", "none", "inputs", "decoder"])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_embeddings_are_left_alone(dtype: str, sharing: str, positions: str) -> None:
    """The first omega goes into a scale of the input, for the matrix may be the output's too."""
    model = trained("admin", dtype, share_embeddings=sharing, positions=positions)
    plain = model.reparameterise()
    assert plain.config.input_scale == "vector"
    for stack in ("encoder", "decoder"):
        assert np.array_equal(plain.parameters[f"{stack}.input_scale"], model.omega[stack][0])
    assert all(
        np.array_equal(plain.parameters[k], v) for k, v in model.parameters.items() if "embedding" in k
    )
    assert deviation(plain, model, PAIRS) < TOLERANCE[dtype], "seed 1"


@both
@pytest.mark.parametrize(
    "sizes",
    [{"encoder": 1, "decoder": 1}, {"encoder": 6, "decoder": 6}, {"activation": "gelu"}, {"gated": True}],
)
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_depths_and_seeds(dtype: str, sizes: dict[str, Any], seed: int) -> None:
    model = trained("admin", dtype, seed, **sizes)
    assert deviation(model.reparameterise(), model, PAIRS) < TOLERANCE[dtype], f"seed {seed}"


@both
def test_a_model_that_was_really_trained(dtype: str) -> None:
    data = ap.data.copy_task(train=200, valid=10)
    model = ap.Transformer(
        config(vocab_size=data.vocab_size, max_length=64, scheme="admin"), seed=1, dtype=dtype
    )
    batches = list(data.batches(max_tokens=400, seed=1))
    model.profile(batches[0])
    optimizer = ap.RAdam(0.01, betas=(0.9, 0.98))
    for step in range(30):
        model.backward(batches[step % len(batches)], step=step)
        optimizer.step(model)
    assert np.ptp(model.omega["decoder"][3]) > 0
    plain = model.reparameterise()
    assert deviation(plain, model, batches[0]) < TOLERANCE[dtype]
    assert plain.loss(batches[0]).nll == pytest.approx(model.loss(batches[0]).nll, rel=TOLERANCE[dtype])


def test_an_untrained_admin_model_needs_no_scale_of_its_input() -> None:
    """Its first omega is 1."""
    model = ap.Transformer(config(), seed=1, dtype="float64")
    model.profile(PAIRS)
    plain = model.reparameterise()
    assert plain.config == config(scheme="post_ln")
    assert deviation(plain, model, PAIRS) < 1e-12


@pytest.mark.parametrize("kind", ["scalar", "vector"])
def test_a_scale_of_the_input_that_is_there_is_kept(kind: str) -> None:
    model = trained("admin", "float64", input_scale=kind)
    plain = model.reparameterise()
    expected = model.parameters["decoder.input_scale"] * model.omega["decoder"][0]
    assert np.allclose(plain.parameters["decoder.input_scale"], expected, rtol=1e-15)
    assert deviation(plain, model, PAIRS) < 1e-12
    again = plain.reparameterise()
    assert again.config == plain.config
    assert all(np.array_equal(again.parameters[name], value) for name, value in plain.parameters.items())


def test_the_gradients_of_the_folded_model_are_those_of_its_function() -> None:
    """What omega does not touch has the same gradient in both."""
    model = trained("admin", "float64")
    plain = model.reparameterise()
    for each in (model, plain):
        each.backward(PAIRS, training=False)
    for name in ("embedding.weight", "encoder.1.self_attn.out.weight", "decoder.0.cross_attn.v.weight"):
        assert np.allclose(plain.gradients[name], model.gradients[name], rtol=1e-9, atol=1e-13)


def test_a_folded_model_can_be_saved(tmp_path: Any) -> None:
    plain = trained(SCHEMES["RMSNorm"][0], "float64").reparameterise()
    plain.save(tmp_path / "plain.safetensors")
    loaded = ap.Transformer.load(tmp_path / "plain.safetensors")
    assert np.array_equal(loaded.forward(PAIRS), plain.forward(PAIRS))


@pytest.mark.parametrize(
    ("scheme", "words"),
    [
        (
            "pre_ln",
            "encoder.0.self_attn cannot be folded: its norm_pre is 'layer', and folding needs none there",
        ),
        (
            "rezero",
            "encoder.0.self_attn cannot be folded: its norm_post is 'none', and folding needs a norm there",
        ),
        ("sandwich", "encoder.0.self_attn cannot be folded: its norm_pre is 'layer'"),
        ("b2t", r"encoder.0.feed_forward cannot be folded: its kappa is 1\.0, and folding needs 0 there"),
        (
            ap.Scheme(
                "beside",
                lambda site: ap.Residual(norm_post="layer", parallel=not site.first_in_layer),
                source="a test",
            ),
            "encoder.0.feed_forward cannot be folded: its parallel is True, and folding needs False there",
        ),
        (("post_ln", "pre_ln"), "decoder.0.self_attn cannot be folded: its norm_pre is 'layer'"),
    ],
)
def test_other_forms_are_refused(scheme: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ap.Transformer(config(scheme=scheme)).reparameterise()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_an_omega_that_cannot_be_divided_by_is_refused(value: float) -> None:
    model = trained("admin", "float64")
    model.parameters["decoder.1.cross_attn.omega"][3] = value
    with pytest.raises(
        ValueError, match=r"decoder.1.cross_attn cannot be folded: its omega .* for feature 3"
    ):
        model.reparameterise()


def test_weights_that_would_overflow_are_refused() -> None:
    model = trained("admin", "float32")
    model.parameters["encoder.0.feed_forward.omega"][0] = 1e-38
    model.parameters["encoder.0.feed_forward.fc1.weight"][:, 0] = 10
    with pytest.raises(
        ValueError, match=r"cannot be folded: encoder.0.feed_forward.fc1.weight must be finite"
    ):
        model.reparameterise()
