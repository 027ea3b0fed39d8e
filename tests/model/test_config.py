"""TransformerConfig: what it refuses, what it says of a model, and that it comes back exactly."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin_py import schemes
from admin_py.model.config import ACTIVATIONS, BIASES, POSITIONS, SHARING, TransformerConfig
from admin_py.schemes import Residual, Scale, Scheme, Site

# What the compute core reads of a model, a stack and a sub-layer.
CORE_KEYS = {
    "vocab_size", "d_model", "heads", "d_ff", "max_length", "activation", "gated", "bias", "positions",
    "share_embeddings", "output_bias", "logits_scale", "dropout", "attention_dropout", "activation_dropout",
    "norm_eps", "embedding_scale", "attention", "logits_cap", "encoder", "decoder",
}  # fmt: skip
ATTENTION_KEYS = {
    "head_width", "kv_heads", "scale", "score_cap", "qk_norm", "qk_norm_whole", "rotary"
}  # fmt: skip
STACK_KEYS = {
    "layers", "causal", "cross", "norm_embedding", "norm_final", "input_scale", "embedding_gain", "sublayers"
}  # fmt: skip
SUBLAYER_KEYS = {
    "norm_pre", "norm_branch", "norm_post", "norm_inner", "residual_normed", "profiled", "input_scale",
    "kappa", "omega", "alpha", "init", "qkv_fused_init", "gains", "window", "parallel",
}  # fmt: skip

SMALL: dict[str, Any] = {"vocab_size": 30, "d_model": 8, "heads": 2, "d_ff": 12, "max_length": 20}


def small(**fields: Any) -> TransformerConfig:
    """A small configuration."""
    return TransformerConfig(**(SMALL | fields))


def tilted(site: Site) -> Residual:
    """A rule that depends on everything a rule may depend on."""
    return Residual(
        norm_pre="rms" if site.stack == "encoder" else "dyt",
        norm_post="layer",
        omega=Scale("vector", 1 + site.sublayer / 7, trained=True),
        alpha=Scale("scalar", 1 / (1 + site.layer), trained=True, shared=True),
        kappa=0.1 * site.last_in_layer,
        gains={"v": site.layers**-0.5, "fc1": site.d_model**-0.25},
    )


TILTED = Scheme("tilted", tilted, "here", final_norm="rms", embedding_gain=lambda site: 1 / (2 + site.layers))

scheme_likes = st.one_of(
    st.sampled_from([*schemes.names(), TILTED]),
    st.tuples(*[st.sampled_from([*schemes.names(), TILTED])] * 2),
)


@st.composite
def any_positions(draw: st.DrawFn) -> dict[str, Any]:
    """Positions of any kind, with what rotary ones have."""
    positions = draw(st.sampled_from(POSITIONS))
    if positions != "rotary":
        return {"positions": positions}
    scaling = st.tuples(st.floats(1, 100), st.floats(0.1, 2), st.floats(2.5, 9), st.integers(1, 10**6))
    return {
        "positions": positions,
        "rotary_theta": draw(st.none() | st.floats(1, 1e6)),
        "rotary_width": draw(st.sampled_from([None, 2])),
        "rotary_interleaved": draw(st.booleans()),
        "rotary_scaling": draw(st.none() | scaling),
    }


@st.composite
def any_config(draw: st.DrawFn) -> TransformerConfig:
    """A configuration with any valid fields."""
    heads = draw(st.integers(1, 4))
    encoder, decoder = draw(st.sampled_from([(1, 1), (2, 1), (1, 3), (5, 4), (2, 0), (0, 2), (0, 5)]))
    probabilities = st.floats(0, 0.99)
    scheme = draw(scheme_likes)
    gated = draw(st.booleans()) and "looks_linear" not in (scheme if isinstance(scheme, tuple) else (scheme,))
    return TransformerConfig(
        vocab_size=draw(st.integers(1, 10**6)),
        encoder_layers=encoder,
        decoder_layers=decoder,
        d_model=2 * heads * draw(st.integers(1, 9)),
        heads=heads,
        d_ff=2 * draw(st.integers(1, 50)),
        scheme=scheme,
        dropout=draw(probabilities),
        attention_dropout=draw(probabilities),
        activation_dropout=draw(probabilities),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        gated=gated,
        bias=draw(st.sampled_from(BIASES)),
        output_bias=decoder > 0 and draw(st.booleans()),
        logits_scale=draw(st.floats(0.01, 100.0)),
        share_embeddings=draw(st.sampled_from(SHARING)),
        **draw(any_positions()),
        max_length=draw(st.integers(1, 5000)),
        qkv_fused_init=draw(st.booleans()),
        norm_eps=draw(st.floats(1e-12, 1.0)),
        embedding_scale=draw(st.none() | st.floats(1e-3, 1e3)),
        embedding_norm=draw(
            st.sampled_from(schemes.NORMS) | st.tuples(*[st.sampled_from(schemes.NORMS)] * 2)
        ),
        input_scale=draw(st.sampled_from(schemes.SCALE_KINDS)),
        head_width=draw(st.none() | st.integers(1, 9).map(lambda half: 2 * half)),
        kv_heads=draw(st.sampled_from([None, 1, heads])),
        attention_scale=draw(st.none() | st.floats(1e-6, 10)),
        score_cap=draw(st.none() | st.floats(1e-3, 1e3)),
        attention_window=draw(st.sampled_from([None, 7, [None, 5, *[2] * 9][: encoder + decoder]])),
        **draw(st.sampled_from([{}, {"qk_norm": "rms"}, {"qk_norm": "layer", "qk_norm_whole": True}])),
        logits_cap=draw(st.none() | st.floats(1e-3, 1e3)),
    )


# It comes back


@settings(deadline=None)
@given(any_config())
def test_it_comes_back_exactly(config: TransformerConfig) -> None:
    again = TransformerConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert hash(again) == hash(config)
    assert again.to_core() == config.to_core()
    assert again.to_dict() == config.to_dict()
    assert pickle.loads(pickle.dumps(config)) == config
    assert config.replace() == config


def test_a_scheme_of_the_package_is_kept_by_name_and_any_other_written_out() -> None:
    assert small(scheme="deepnorm").to_dict()["scheme"] == "deepnorm"
    assert small(scheme=schemes.get("deepnorm")).to_dict()["scheme"] == "deepnorm"
    assert small(scheme=("post_ln", "pre_ln")).to_dict()["scheme"] == ["post_ln", "pre_ln"]
    written = small(scheme=TILTED).to_dict()["scheme"]
    assert (written["name"], written["source"], written["final_norm"]) == ("tilted", "here", "rms")
    assert {stack: len(rows) for stack, rows in written["sublayers"].items()} == {
        "encoder": 12,
        "decoder": 18,
    }


def test_another_scheme_of_a_built_in_name_is_written_out_too() -> None:
    impostor = Scheme("admin", tilted, "not Admin")
    config = small(encoder_layers=1, decoder_layers=0, scheme=impostor)
    assert isinstance(config.to_dict()["scheme"], dict)
    assert config != small(encoder_layers=1, decoder_layers=0, scheme="admin")


def test_a_hybrid_of_a_written_out_scheme() -> None:
    config = small(scheme=(TILTED, "pre_ln"))
    data = config.to_dict()
    assert data["scheme"][1] == "pre_ln"
    assert set(data["scheme"][0]["sublayers"]) == {"encoder"}
    assert TransformerConfig.from_dict(data) == config


def test_configurations_are_equal_when_they_describe_the_same_model() -> None:
    assert small() == small(scheme=schemes.get("admin")) == small(scheme=("admin", "admin"))
    assert small() != small(dropout=0.2)
    assert small() != small(scheme="post_ln")
    assert small() != "admin"
    assert len({small(), small(), small(d_ff=14)}) == 2


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({}, ValueError, "data must have vocab_size"),
        (
            {"vocab_size": 9, "d_modle": 8},
            ValueError,
            "a TransformerConfig has no field 'd_modle'; did you mean",
        ),
        (
            {"vocab_size": 9, "zzz": 8},
            ValueError,
            "a TransformerConfig has no field 'zzz'; its fields are vocab",
        ),
        ([1], TypeError, "data must be a mapping, got [1]"),
        (
            {"vocab_size": 9, "scheme": {"name": "x"}},
            ValueError,
            "a scheme written out needs the key 'source'",
        ),
    ],
)
def test_what_it_does_not_come_back_from(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        TransformerConfig.from_dict(data)
    assert str(caught.value).startswith(message)


# What it refuses


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"vocab_size": 0}, ValueError, "vocab_size must be an integer from 1 to 2147483647, got 0"),
        ({"vocab_size": 2**31}, ValueError, "vocab_size must be an integer from 1 to 2147483647"),
        ({"encoder_layers": -1}, ValueError, "encoder_layers must be an integer from 0 to 100000, got -1"),
        ({"decoder_layers": 2.0}, TypeError, "decoder_layers must be an integer, got 2.0"),
        ({"encoder_layers": 0, "decoder_layers": 0}, ValueError, "a model needs a stack"),
        ({"d_model": "64"}, TypeError, "d_model must be an integer, got '64'"),
        ({"d_model": True}, TypeError, "d_model must be an integer, got True"),
        ({"d_model": 10, "heads": 4}, ValueError, "heads must divide d_model, got heads=4 and d_model=10"),
        ({"heads": 16}, ValueError, "heads must divide d_model, got heads=16 and d_model=8"),
        ({"heads": 2, "head_width": 0}, ValueError, "head_width must be an integer from 1"),
        (
            {"head_width": 2**30},
            ValueError,
            "all heads together must have at most 1073741824 features, got heads=2",
        ),
        ({"heads": 4, "kv_heads": 3}, ValueError, "kv_heads must divide heads, got kv_heads=3 and heads=4"),
        ({"kv_heads": 4}, ValueError, "kv_heads must divide heads, got kv_heads=4 and heads=2"),
        ({"attention_scale": 0}, ValueError, "attention_scale must be positive, got 0"),
        (
            {"qk_norm": "batch"},
            ValueError,
            "qk_norm must be one of 'none', 'layer', 'rms', 'dyt', got 'batch'",
        ),
        ({"attention_window": 0}, ValueError, "attention_window must be an integer from 1"),
        (
            {"attention_window": [4, None, 2]},
            ValueError,
            "attention_window must be one for all layers or one for",
        ),
        (
            {"attention_window": [4] * 11 + [0]},
            ValueError,
            "attention_window[11] must be an integer from 1",
        ),
        ({"qk_norm_whole": True}, ValueError, "qk_norm_whole must be False where qk_norm is 'none'"),
        ({"score_cap": -1.0}, ValueError, "score_cap must be positive, got -1.0"),
        ({"logits_cap": "30"}, TypeError, "logits_cap must be a number"),
        (
            {"positions": "rotary", "head_width": 3},
            ValueError,
            "rotary_width must be even and at most the 3 features",
        ),
        (
            {"positions": "rotary", "rotary_width": 6},
            ValueError,
            "rotary_width must be even and at most the 4 features of a head, got 6",
        ),
        ({"positions": "rotary", "rotary_theta": 0.5}, ValueError, "rotary_theta must be"),
        ({"positions": "rotary", "rotary_scaling": (8, 1)}, ValueError, "rotary_scaling must be"),
        (
            {"positions": "rotary", "rotary_scaling": (8, 4, 1, 64)},
            ValueError,
            "rotary_scaling's frequency factors must be 0 < low < high, got 4.0 and 1.0",
        ),
        (
            {"rotary_width": 2},
            ValueError,
            "rotary_width is of positions='rotary', got positions='sinusoidal'",
        ),
        ({"heads": 0}, ValueError, "heads must be an integer from 1"),
        ({"d_ff": 0}, ValueError, "d_ff must be an integer from 1"),
        ({"max_length": 0}, ValueError, "max_length must be an integer from 1"),
        ({"dropout": 1.0}, ValueError, "dropout must be a probability in [0, 1), got 1.0"),
        (
            {"attention_dropout": -0.1},
            ValueError,
            "attention_dropout must be a probability in [0, 1), got -0.1",
        ),
        ({"activation_dropout": math.nan}, ValueError, "activation_dropout must be a finite number, got nan"),
        ({"dropout": None}, TypeError, "dropout must be a number, got None"),
        (
            {"activation": "swish"},
            ValueError,
            "activation must be one of 'relu', 'gelu', ",
        ),
        (
            {"positions": "alibi"},
            ValueError,
            "positions must be one of 'sinusoidal', 'learned', 'rotary', got 'alibi'",
        ),
        (
            {"share_embeddings": True},
            ValueError,
            "share_embeddings must be one of 'none', 'decoder', 'inputs'",
        ),
        ({"input_scale": "matrix"}, ValueError, "input_scale must be one of 'none', 'scalar', 'vector'"),
        ({"qkv_fused_init": "yes"}, TypeError, "qkv_fused_init must be True or False, got 'yes'"),
        ({"norm_eps": 0}, ValueError, "norm_eps must be positive, got 0.0"),
        ({"norm_eps": math.inf}, ValueError, "norm_eps must be a finite number, got inf"),
        (
            {"embedding_norm": "batch"},
            ValueError,
            "embedding_norm must be one of 'none', 'layer', 'rms', 'dyt'",
        ),
        ({"embedding_norm": ("layer", "batch")}, ValueError, "embedding_norm[1] must be one of 'none'"),
        (
            {"embedding_norm": ["layer"] * 3},
            ValueError,
            "embedding_norm must be one norm, or the encoder's and",
        ),
        ({"embedding_norm": None}, ValueError, "embedding_norm must be one of"),
        ({"embedding_scale": 0}, ValueError, "embedding_scale must be positive, got 0.0"),
        ({"embedding_scale": "sqrt"}, TypeError, "embedding_scale must be a number, got 'sqrt'"),
        (
            {"scheme": "pots_ln"},
            ValueError,
            "unknown scheme 'pots_ln'; did you mean 'post_ln'? The schemes are",
        ),
        ({"scheme": ("admin", "admni")}, ValueError, "unknown scheme 'admni'; did you mean 'admin'?"),
        (
            {"scheme": ("admin",) * 3},
            ValueError,
            "a pair of schemes is the encoder's and the decoder's, got 3",
        ),
        (
            {"scheme": "post_ln/pre_ln/admin"},
            ValueError,
            "a pair of schemes is the encoder's and the decoder's",
        ),
        ({"scheme": None}, TypeError, "scheme must be a name, a Scheme or a pair of these, got None"),
        ({"scheme": "looks_linear", "d_ff": 7}, ValueError, "d_ff must be even for the looks-linear"),
        ({"scheme": "looks_linear", "gated": True}, ValueError, "gated must be False for the looks-linear"),
        (
            {"bias": "k"},
            ValueError,
            "bias must be one of 'all', 'none', 'qkv', 'attention', 'feed_forward', got 'k'",
        ),
        ({"output_bias": True, "decoder_layers": 0}, ValueError, "output_bias must be False for an encoder"),
        ({"logits_scale": 0}, ValueError, "logits_scale must be positive, got 0.0"),
        ({"gated": 1}, TypeError, "gated must be True or False, got 1"),
        ({"d_model": 2**20, "d_ff": 2**20}, ValueError, "the model would have "),
    ],
)
def test_what_makes_no_model(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        small(**fields)
    assert str(caught.value).startswith(message)


def test_one_alpha_a_layer_must_be_one() -> None:
    def rule(site: Site) -> Residual:
        return Residual(alpha=Scale("scalar", float(site.sublayer), trained=True, shared=True))

    with pytest.raises(ValueError, match="scheme 'torn' shares one alpha in a layer but gives") as caught:
        small(scheme=Scheme("torn", rule))
    assert "encoder layer 0: Scale('scalar', 0.0, trained=True, shared=True), Scale('scalar', 1.0" in str(
        caught.value
    )


def test_positional_and_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError):
        TransformerConfig(100)  # type: ignore[misc]
    with pytest.raises(TypeError, match="d_modell"):
        TransformerConfig(vocab_size=100, d_modell=8)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="has no field 'layers'"):
        small().replace(layers=3)


def test_frozen_and_checked_again_when_changed() -> None:
    config = small()
    with pytest.raises(AttributeError):
        config.d_ff = 3  # type: ignore[misc]
    changed = config.replace(d_ff=24, encoder_layers=2)
    assert (changed.d_ff, changed.num_sublayers("encoder"), len(changed.residuals("encoder"))) == (24, 4, 4)
    with pytest.raises(ValueError, match="heads must divide d_model"):
        config.replace(heads=3)


def test_numbers_of_numpy_become_python_s() -> None:
    config = small(d_ff=np.int64(16), dropout=np.float32(0.25), qkv_fused_init=np.bool_(False))
    assert (type(config.d_ff), type(config.dropout), type(config.qkv_fused_init)) == (int, float, bool)
    json.dumps(config.to_dict())


# What it says


def test_kinds_of_models_and_their_sub_layers() -> None:
    both, encoder, decoder = small(), small(decoder_layers=0), small(encoder_layers=0)
    assert [c.kind for c in (both, encoder, decoder)] == ["encoder_decoder", "encoder", "language_model"]
    assert [c.stacks for c in (both, encoder, decoder)] == [
        ("encoder", "decoder"),
        ("encoder",),
        ("decoder",),
    ]
    assert (both.num_sublayers("encoder"), both.num_sublayers("decoder")) == (12, 18)
    assert (encoder.num_sublayers("decoder"), decoder.num_sublayers("decoder")) == (0, 12)
    assert decoder.sublayer_names("decoder")[:3] == [
        "decoder.0.self_attn",
        "decoder.0.feed_forward",
        "decoder.1.self_attn",
    ]
    assert both.sublayer_names("decoder")[17] == "decoder.5.feed_forward"
    assert decoder.residuals("encoder") == ()
    with pytest.raises(ValueError, match="stack must be one of 'encoder', 'decoder', got 'middle'"):
        both.residuals("middle")


def test_names_of_schemes() -> None:
    assert small().scheme_name == "admin"
    assert small(scheme="post_ln/pre_ln").scheme_name == "post_ln/pre_ln"
    assert small(scheme="post_ln/pre_ln").scheme == ("post_ln", "pre_ln")
    assert small(scheme=["post_ln", "post_ln"]).scheme_name == "post_ln"
    assert small(scheme=("post_ln", "pre_ln"), decoder_layers=0).scheme_name == "post_ln"
    assert small(scheme=TILTED).scheme_name == "tilted"


def test_a_hybrid_takes_each_stack_from_its_own_scheme() -> None:
    hybrid = small(scheme=("t_fixup", "pre_ln"))
    assert hybrid.residuals("encoder") == small(scheme="t_fixup").residuals("encoder")
    assert hybrid.residuals("decoder") == small(scheme="pre_ln").residuals("decoder")
    core = hybrid.to_core()
    assert (core["encoder"]["norm_final"], core["decoder"]["norm_final"]) == ("none", "layer")
    assert core["encoder"]["embedding_gain"] == pytest.approx(54**-0.25)
    assert core["decoder"]["embedding_gain"] == 1


def test_repr_is_short_and_says_what_is_not_default() -> None:
    config = TransformerConfig(vocab_size=100, scheme=("admin", "pre_ln"), dropout=0.3)
    assert repr(config) == (
        "TransformerConfig(vocab_size=100, encoder_layers=6, decoder_layers=6, d_model=512, heads=8, "
        "d_ff=2048, scheme='admin/pre_ln', dropout=0.3)"
    )
    assert eval(repr(config), {"TransformerConfig": TransformerConfig}) == config


def test_the_dict_for_the_core_has_exactly_the_keys_of_its_contract() -> None:
    core = small(input_scale="vector").to_core()
    assert set(core) == CORE_KEYS
    assert set(core["attention"]) == ATTENTION_KEYS
    for stack, layers in (("encoder", 6), ("decoder", 6)):
        assert set(core[stack]) == STACK_KEYS
        assert (core[stack]["layers"], core[stack]["input_scale"]) == (layers, "vector")
        for row in core[stack]["sublayers"]:
            assert set(row) == SUBLAYER_KEYS
            assert set(row["omega"]) == set(row["alpha"]) == {"kind", "trained", "shared", "value"}
            assert tuple(row["gains"]) == schemes.WEIGHTS
    assert [core[s]["causal"] for s in ("encoder", "decoder")] == [False, True]
    assert [core[s]["cross"] for s in ("encoder", "decoder")] == [False, True]
    alone = small(encoder_layers=0).to_core()
    assert (alone["decoder"]["cross"], alone["encoder"]["sublayers"]) == (False, [])


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize(("scheme", "said"), [("post_ln", None), ("deepnorm", False)])
def test_the_scheme_decides_about_fused_q_k_v_if_it_says_anything(
    given: bool, scheme: str, said: bool | None
) -> None:
    core = small(scheme=scheme, qkv_fused_init=given).to_core()
    assert {row["qkv_fused_init"] for row in core["encoder"]["sublayers"]} == {
        given if said is None else said
    }


# Counts


def test_parameters_counted_by_hand() -> None:
    # D 8, F 12, V 30: attention 4 (64 + 8) = 288, feed-forward 2 * 96 + 8 + 12 = 212, LayerNorm 16.
    encoder, decoder = 288 + 212, 2 * 288 + 212
    one = {"encoder_layers": 1, "decoder_layers": 1}
    assert small(**one, scheme="post_ln").num_parameters == 240 + encoder + 2 * 16 + decoder + 3 * 16
    assert small(**one, scheme="pre_ln").num_parameters == 240 + encoder + 3 * 16 + decoder + 4 * 16
    assert small(**one, scheme="admin").num_parameters == 240 + encoder + 2 * 24 + decoder + 3 * 24
    assert small(**one, scheme="admin_torch").num_parameters == 240 + encoder + 2 * 16 + decoder + 3 * 16
    assert small(**one, scheme="rezero").num_parameters == 240 + encoder + 1 + decoder + 1
    assert small(**one, scheme="sandwich").num_parameters == 240 + encoder + 5 * 16 + decoder + 7 * 16
    # Sub-LN: two norms in self-attention, one in cross-attention, in the feed-forward one of D and one of F.
    assert (
        small(**one, scheme="sub_ln").num_parameters
        == 240 + encoder + 3 * 16 + 24 + 16 + decoder + 4 * 16 + 24 + 16
    )
    for share, matrices in (("all", 1), ("decoder", 2), ("inputs", 2), ("none", 3)):
        assert small(share_embeddings=share).num_embeddings == matrices
        assert small(share_embeddings=share, decoder_layers=0).num_embeddings == 1
        assert small(share_embeddings=share, encoder_layers=0).num_embeddings == 1 + (
            share in ("none", "inputs")
        )
    base = small(**one).num_parameters
    assert small(**one, positions="learned").num_parameters == base + 2 * 20 * 8
    assert small(**one, input_scale="scalar").num_parameters == base + 2
    assert small(**one, input_scale="vector").num_parameters == base + 16
    assert small(**one, embedding_norm="layer").num_parameters == base + 2 * 16
    assert small(**one, embedding_norm=("none", "rms")).num_parameters == base + 8
    assert small(encoder_layers=0, embedding_norm=("layer", "none")).num_parameters == (
        small(encoder_layers=0).num_parameters
    )
