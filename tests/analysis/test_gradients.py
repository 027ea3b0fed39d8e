"""Gradient norms: those of the reference model and of the model's own arrays; a result that keeps."""

from __future__ import annotations

import numpy as np
import pytest

import admin_py as ap
from admin_py.analysis import GradientNorms, gradients


def model_and_batch(scheme: str = "post_ln", *, layers: tuple[int, int] = (2, 2), dtype: str = "float64"):
    config = ap.TransformerConfig(
        vocab_size=23,
        encoder_layers=layers[0],
        decoder_layers=layers[1],
        d_model=8,
        heads=2,
        d_ff=16,
        dropout=0.1,
        scheme=scheme,
    )
    if layers[0]:
        batch = ap.Batch([[4, 5, 6, 2], [7, 2]], [[1, 9, 10, 2], [1, 11, 12, 13, 2]])
    else:
        batch = ap.Batch([[4, 5, 6, 2], [7, 8, 2]])
    return ap.Transformer(config, seed=3, dtype=dtype), batch


@pytest.mark.parametrize("scheme", ["post_ln", "pre_ln", "admin", "deepnorm", "post_ln/pre_ln"])
def test_there_is_a_norm_for_every_output_of_a_sublayer_and_for_the_input(scheme: str) -> None:
    model, batch = model_and_batch(scheme)
    found = gradients(model, batch)
    assert found.scheme == scheme
    assert {stack: len(norms) for stack, norms in found.outputs.items()} == {"encoder": 5, "decoder": 7}
    assert found.sublayers["decoder"][4] == "decoder.1.cross_attn"
    assert found.kinds("encoder") == ("self_attn", "feed_forward") * 2
    for norms in found.outputs.values():
        assert np.isfinite(norms).all()
        assert (norms[1:] > 0).all()


def test_matrices_have_the_norms_of_the_models_gradients() -> None:
    model, batch = model_and_batch()
    found = gradients(model, batch, label_smoothing=0.1, step=5)
    loss = model.backward(batch, label_smoothing=0.1, step=5)
    assert found.loss == loss.loss
    assert found.num_tokens == loss.num_tokens == 7
    wanted = {name: np.sqrt((g**2).sum()) for name, g in model.gradients.items() if g.ndim == 2}
    assert len(wanted) > 20
    assert found.matrices == pytest.approx(wanted, rel=1e-12)


def test_the_norm_is_that_of_the_change_of_the_loss() -> None:
    """dL/dx_0 of a language model without dropout, against finite differences of its embedding's rows.

    With every token once, x_0 = sqrt(D) E[token] + position, so |dL/dx_0| = |dL/dE| / sqrt(D) if the output
    has an embedding of its own.
    """
    config = ap.TransformerConfig(
        vocab_size=23,
        encoder_layers=0,
        decoder_layers=2,
        d_model=8,
        heads=2,
        d_ff=16,
        dropout=0.0,
        scheme="post_ln",
        share_embeddings="none",
    )
    model = ap.Transformer(config, seed=3, dtype="float64")
    batch = ap.Batch([[4, 5, 6, 7, 2]])
    found = gradients(model, batch, label_smoothing=0.0)
    embedding, step = model.parameters["embedding.weight"], 1e-6
    slopes = []
    for token in (4, 5, 6, 7):
        for feature in range(8):
            embedding[token, feature] += step
            above = model.loss(batch).loss
            embedding[token, feature] -= 2 * step
            below = model.loss(batch).loss
            embedding[token, feature] += step
            slopes.append((above - below) / (2 * step))
    assert found.outputs["decoder"][0] == pytest.approx(np.linalg.norm(slopes) / np.sqrt(8), rel=1e-7)


def test_the_largest_is_one_and_of_the_whole_network() -> None:
    model, batch = model_and_batch()
    found = gradients(model, batch)
    relative = {stack: found.relative(stack) for stack in found.outputs}
    assert max(norms[1:].max() for norms in relative.values()) == 1.0
    for stack, norms in relative.items():
        np.testing.assert_allclose(norms * found.largest, found.outputs[stack], rtol=1e-15)
    with pytest.raises(ValueError, match="stack: expected one of encoder, decoder, got 'middle'"):
        found.relative("middle")


def test_dropout_is_on_as_in_training_unless_asked() -> None:
    model, batch = model_and_batch()
    first, again, other = (gradients(model, batch, step=step) for step in (1, 1, 2))
    assert first == again
    assert first != other
    still = [gradients(model, batch, training=False).outputs["decoder"] for _ in range(2)]
    np.testing.assert_array_equal(*still)
    with pytest.raises(ValueError, match="step goes with training=True, which has dropout, got step=2"):
        gradients(model, batch, training=False, step=2)


def test_the_weights_are_left_alone() -> None:
    model, batch = model_and_batch()
    before = model.state
    gradients(model, batch)
    assert all(np.array_equal(before[name], value) for name, value in model.parameters.items())


def test_rezero_sends_no_gradient_to_the_encoder_at_first() -> None:
    """Its branches are multiplied by 0, cross-attention among them, so only the skips carry gradients."""
    model, batch = model_and_batch("rezero")
    found = gradients(model, batch)
    assert not found.outputs["encoder"].any()
    np.testing.assert_allclose(found.outputs["decoder"], found.outputs["decoder"][-1], rtol=1e-12)
    assert not found.relative("encoder").any()


def test_only_the_decoder_of_post_ln_vanishes() -> None:
    """The paper's claim (section 3, figure of 18-layer models), at 18-18 layers of width 64."""
    data = ap.data.number_words(train=200, valid=0)
    batch = next(data.batches(max_tokens=512, seed=1))
    rises: dict[tuple[str, str], float] = {}
    for scheme in ("post_ln", "pre_ln", "admin"):
        config = ap.TransformerConfig(
            vocab_size=data.vocab_size,
            encoder_layers=18,
            decoder_layers=18,
            d_model=64,
            heads=4,
            d_ff=128,
            scheme=scheme,
        )
        model = ap.Transformer(config, seed=1)
        model.profile(batch)
        for stack, norms in gradients(model, batch).outputs.items():
            rises[scheme, stack] = norms[-1] / norms[1]
    vanishing = rises.pop(("post_ln", "decoder"))
    assert vanishing > 20
    assert all(0.1 < rise < 5 for rise in rises.values()), rises


def test_a_language_model_has_one_stack() -> None:
    model, batch = model_and_batch(layers=(0, 2))
    found = gradients(model, batch)
    assert list(found.outputs) == ["decoder"]
    assert len(found.outputs["decoder"]) == 5


def test_an_encoder_has_no_loss() -> None:
    model, _ = model_and_batch(layers=(2, 0))
    with pytest.raises(ValueError, match="an encoder predicts no tokens"):
        gradients(model, ap.Batch([[4, 5, 6]]))


def test_what_is_loaded_equals_what_was_saved(tmp_path) -> None:
    model, batch = model_and_batch("admin", dtype="float32")
    found = gradients(model, batch)
    found.save(tmp_path / "gradients.json")
    loaded = GradientNorms.load(tmp_path / "gradients.json")
    assert loaded == found
    assert loaded.metadata["dtype"] == "float32"
    assert loaded.metadata["seed"] == 3
    assert loaded.metadata["versions"]["admin-py"] == ap.__version__
    other = tmp_path / "profile.json"
    model.profile(batch).save(other)
    with pytest.raises(ValueError, match="expected a result of kind 'gradients'"):
        GradientNorms.load(other)


def test_tables_repr_and_html() -> None:
    model, batch = model_and_batch()
    found = gradients(model, batch)
    table = found.to_dataframe()
    assert list(table.columns) == ["stack", "index", "name", "kind", "grad_norm", "relative"]
    assert len(table) == 10
    np.testing.assert_array_equal(table["grad_norm"][4:], found.outputs["decoder"][1:])
    assert len(found.matrices_to_dataframe()) == len(found.matrices)
    assert "post_ln" in repr(found)
    assert "decoder.1.feed_forward" in found._repr_html_()


def test_a_gate_is_a_kind_of_matrix_of_its_own() -> None:
    config = ap.TransformerConfig(
        vocab_size=20, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16, gated=True
    )
    found = gradients(ap.Transformer(config, seed=1), ap.Batch([[4, 5, 6]], [[1, 9, 10, 2]]))
    assert found.matrices["decoder.0.feed_forward.gate.weight"] > 0
    assert "gate" in [
        text.get_text() for text in ap.plots.plot_matrix_gradients(found).get_legend().get_texts()
    ]
