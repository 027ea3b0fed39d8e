"""What `Transformer.observe` gives by name: probabilities, gradients, pictures."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

import admin_py as ap

LONG = ap.Batch([list(range(4, 19)), [7, 8]], [[1, *range(9, 19), 2], [1, 11, 2]])
PAIRS = ap.Batch([[4, 5, 6], [7, 8]], [[1, 9, 10, 2], [1, 11, 2]])


def model(scheme: str = "admin", **options: object) -> ap.Transformer:
    config = ap.TransformerConfig(
        vocab_size=20, encoder_layers=2, decoder_layers=2, d_model=8, heads=2, d_ff=16, scheme=scheme,
        **options,
    )  # fmt: skip
    made = ap.Transformer(config, seed=3, dtype="float64")
    made.profile(PAIRS)
    return made


def test_probabilities_are_distributions_over_the_keys() -> None:
    seen = model().observe(PAIRS, activations="*.probabilities")
    assert len(seen) == 6
    for name, maps in seen.activations.items():
        for one, length in zip(maps, (3, 2), strict=True):  # of sources, and of targets as they are read
            assert one.shape == (2, length, length)
            np.testing.assert_allclose(one.sum(axis=-1), 1.0, atol=1e-14)
            if name.startswith("decoder") and "self" in name:
                assert not np.triu(one, 1).any()


@pytest.mark.parametrize(
    "attention",
    [
        {},
        {"head_width": 3},
        {"kv_heads": 1},
        {"head_width": 5, "kv_heads": 1},
        {"attention_scale": 2.0, "score_cap": 0.5},
        {"positions": "rotary", "kv_heads": 1},
        {"positions": "rotary", "rotary_interleaved": True, "rotary_theta": 50.0, "rotary_width": 2},
        {"positions": "rotary", "rotary_scaling": (8.0, 1.0, 4.0, 6)},
        {"bias": "none"},
        {"qk_norm": "rms", "kv_heads": 1, "positions": "rotary"},
        {"qk_norm": "layer", "qk_norm_whole": True, "kv_heads": 1},
        {"qk_norm": "dyt"},
        {"attention_window": 3},
        {"attention_window": (4, 1, None, 2), "positions": "rotary"},
    ],
    ids=str,
)
@pytest.mark.parametrize("scheme", ["post_ln", "pre_ln", "admin", "sandwich"])
def test_probabilities_give_the_branch(scheme: str, attention: dict[str, Any]) -> None:
    """Probabilities times values, through the output matrix, are the branch that the core computed."""
    made = model(scheme, dropout=0.0, **attention)
    seen, weights = made.observe(LONG), made.parameters  # whose positions turn by more than a whole turn
    for name in ("encoder.1.self_attn", "decoder.1.self_attn", "decoder.0.cross_attn"):
        read = seen[f"{name}.normed"]
        source = seen["encoder.output"] if "cross" in name else read
        values = source @ weights[f"{name}.v.weight"].T + weights.get(f"{name}.v.bias", 0.0)
        rows, start, stop = [], 0, 0
        for one in seen[f"{name}.probabilities"]:
            stop = start + one.shape[2]
            heads = values[start:stop].reshape(one.shape[2], made.config.num_kv_heads, -1).transpose(1, 0, 2)
            parts = heads.repeat(2 // made.config.num_kv_heads, axis=0)
            rows.append((one @ parts).transpose(1, 0, 2).reshape(one.shape[1], -1))
            start = stop
        found = np.concatenate(rows) @ weights[f"{name}.out.weight"].T + weights.get(f"{name}.out.bias", 0.0)
        np.testing.assert_allclose(found, seen[f"{name}.branch"], rtol=1e-10, atol=1e-12)


def test_gradients_of_logits_and_stream_by_differences() -> None:
    """Moving an embedding moves x_0: the loss changes by the gradient's product with the move."""
    made = model(dropout=0.0, share_embeddings="none")
    options = {"label_smoothing": 0.1, "z_loss": 0.2}
    seen = made.observe(PAIRS, activations=[], gradients=["encoder.input", "logits"], **options)
    rows = made.parameters["encoder.embedding.weight"]
    step, scale = 1e-6, np.sqrt(8)
    kept = rows[5].copy()
    losses = []
    for sign in (1, -1):
        rows[5] = kept + sign * step
        losses.append(made.loss(PAIRS, **options).loss)
    rows[5] = kept
    predicted = seen.gradients["encoder.input"][1].sum() * scale  # token 5 stands at place 1
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(predicted, rel=1e-6)
    plain = made.observe(PAIRS, gradients="logits", label_smoothing=0.1)
    np.testing.assert_allclose(plain.gradients["logits"].sum(axis=1), 0.0, atol=1e-15)


def test_the_logits_gradient_is_that_of_the_output_matrix() -> None:
    made = model(dropout=0.0, share_embeddings="none")
    options = {"label_smoothing": 0.1, "z_loss": 0.2}
    seen = made.observe(PAIRS, gradients="logits", **options)
    made.backward(PAIRS, training=False, **options)
    name = next(name for name in made.parameters if name.startswith("output"))
    expected = seen.gradients["logits"].T @ seen["decoder.output"]
    np.testing.assert_allclose(made.gradients[name], expected, rtol=1e-10, atol=1e-14)


def test_the_users_gradients_stay() -> None:
    made = model()
    made.backward(PAIRS)
    before = {name: value.copy() for name, value in made.gradients.items()}
    seen = made.observe(PAIRS, gradients="*.branch")
    assert len(seen.gradients) == 10
    assert "10 gradients" in repr(seen)
    for name, value in made.gradients.items():
        np.testing.assert_array_equal(value, before[name])


def test_attention_is_drawn() -> None:
    matplotlib.use("Agg", force=True)
    seen = model().observe(PAIRS, activations="*.probabilities")
    ax = Figure().subplots()
    tokens = (["a", "b", "c"], ["x", "y", "z"])
    assert seen.plot_attention("decoder.0.cross_attn", head=1, ax=ax, tokens=tokens) is ax
    np.testing.assert_array_equal(ax.images[0].get_array(), seen["decoder.0.cross_attn.probabilities"][0][1])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.get_xlabel() == "key"
    with pytest.raises(IndexError, match="head must be from 0 to 1, got 2"):
        seen.plot_attention("decoder.0.cross_attn", head=2)
    with pytest.raises(IndexError, match="sequence must be from 0 to 1, got 5"):
        seen.plot_attention("decoder.0.cross_attn", sequence=5)
    with pytest.raises(KeyError, match=r"decoder\.0\.cross_attn"):
        seen.plot_attention("decoder.0.cross_atn")
    with pytest.raises(ValueError, match="tokens: expected 3 of them, got 2"):
        seen.plot_attention("decoder.0.cross_attn", ax=Figure().subplots(), tokens=["a", "b"])


def test_an_encoder_has_no_gradients() -> None:
    config = ap.TransformerConfig(
        vocab_size=9, encoder_layers=1, decoder_layers=0, d_model=8, heads=2, d_ff=16
    )
    with pytest.raises(ValueError, match="gradients: an encoder has no loss"):
        ap.Transformer(config).observe(ap.Batch([[4, 5]]), gradients="*.branch")
    with pytest.raises(ValueError, match="gradients: no name matches 'no_such'"):
        model().observe(PAIRS, gradients="no_such")


@pytest.mark.parametrize("scheme", ["post_ln", "pre_ln", "admin"])
@pytest.mark.parametrize("causal", [False, True])
def test_layers_name_what_they_keep(scheme: str, causal: bool) -> None:
    """A layer's arrays are those of its formula, and its probabilities give its branch."""
    lengths = [3, 2]
    layer = ap.EncoderLayer(8, 2, 16, scheme=scheme, causal=causal, seed=1, dtype="float64", dropout=0.0)
    x = np.random.default_rng(1).standard_normal((5, 8))
    seen, weights = layer.observe(x, lengths), layer.parameters
    names = ("input", "self_attn.branch", "feed_forward.output", "output")
    assert set(names) < set(seen)
    np.testing.assert_array_equal(seen["output"], layer.forward(x, lengths))
    np.testing.assert_array_equal(seen["input"], x)
    values = seen["self_attn.normed"] @ weights["self_attn.v.weight"].T + weights["self_attn.v.bias"]
    rows = []
    for maps, part in zip(seen["self_attn.probabilities"], np.split(values, [3]), strict=True):
        assert bool(np.triu(maps, 1).any()) is not causal
        heads = part.reshape(len(part), 2, -1).transpose(1, 0, 2)
        rows.append((maps @ heads).transpose(1, 0, 2).reshape(len(part), -1))
    branch = np.concatenate(rows) @ weights["self_attn.out.weight"].T + weights["self_attn.out.bias"]
    np.testing.assert_allclose(branch, seen["self_attn.branch"], rtol=1e-10, atol=1e-12)
    assert seen.var_input["encoder"][0] == pytest.approx(x.var(), rel=1e-12)


def test_a_decoder_layer_shows_what_it_reads_of_a_memory() -> None:
    layer = ap.DecoderLayer(8, 2, 16, seed=1, dtype="float64")
    rng = np.random.default_rng(2)
    x, memory = rng.standard_normal((5, 8)), rng.standard_normal((7, 8))
    seen = layer.observe(x, [3, 2], memory, [3, 4], activations=["cross_attn.*", "output"])
    assert [maps.shape for maps in seen["cross_attn.probabilities"]] == [(2, 3, 3), (2, 2, 4)]
    assert seen.names["decoder"] == ("self_attn", "cross_attn", "feed_forward")
    dx, dmemory = layer.backward(np.ones_like(x))
    assert dx.shape == x.shape
    assert dmemory.shape == memory.shape
    assert isinstance(
        seen.plot_attention("cross_attn", sequence=1, ax=Figure().subplots()), matplotlib.axes.Axes
    )
    with pytest.raises(ValueError, match=r"activations: no name matches 'decoder\.0\.\*'"):
        layer.observe(x, [3, 2], memory, [3, 4], activations="decoder.0.*")
