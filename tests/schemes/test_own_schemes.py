"""What a user writes: schemes in the registry, residuals and scales, and what is wrong with them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_py import schemes
from admin_py.model.config import TransformerConfig
from admin_py.schemes import Residual, Scale, Scheme, Site, Table

# The registry


@pytest.fixture
def registered() -> Any:
    """Registers schemes and forgets them again."""
    before = set(schemes.names())
    yield schemes.register
    for name in set(schemes.names()) - before:
        schemes.unregister(name)


def plain(site: Site) -> Residual:
    return Residual()


def test_a_registered_scheme_is_known_by_its_name(registered: Any) -> None:
    scheme = registered(Scheme("mine", plain, "me"))
    assert schemes.get("mine") is scheme
    assert schemes.names()[-1] == "mine"
    assert TransformerConfig(vocab_size=9, scheme="mine").scheme_name == "mine"
    registered(scheme)  # once more changes nothing
    with pytest.raises(ValueError, match="a scheme named 'mine' is registered already; replace=True takes"):
        registered(Scheme("mine", plain, "another"))
    other = registered(Scheme("mine", plain, "another"), replace=True)
    assert schemes.get("mine") is other
    with pytest.raises(TypeError, match="scheme must be a Scheme, got an object of type str"):
        registered("mine")


@pytest.mark.parametrize(
    ("name", "near"),
    [("Post-LN", "post_ln"), ("preln", "pre_ln"), ("deep_norm", "deepnorm"), ("re zero", "rezero")],
)
def test_a_wrong_name_is_answered_with_the_near_one(name: str, near: str) -> None:
    with pytest.raises(ValueError) as caught:
        schemes.get(name)
    message = str(caught.value)
    assert message.startswith(
        f"unknown scheme {name!r}; did you mean {near!r}? The schemes are post_ln, pre_ln"
    )
    assert all(known in message for known in schemes.names())


def test_a_name_like_no_other() -> None:
    with pytest.raises(ValueError, match=r"unknown scheme 'zzz'\. The schemes are post_ln, "):
        schemes.get("zzz")
    with pytest.raises(TypeError, match="name must be a string, got 3"):
        schemes.get(3)  # type: ignore[arg-type]


def test_a_rule_that_returns_something_else_is_named() -> None:
    broken = Scheme("broken", lambda site: {"norm_pre": "layer"}, "none")  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="the rule of scheme 'broken' must return a Residual, got"):
        TransformerConfig(vocab_size=9, scheme=broken)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": ""}, ValueError, "name of a Scheme must be letters"),
        ({"name": "a/b"}, ValueError, "name of a Scheme must be letters"),
        ({"name": "../x"}, ValueError, "name of a Scheme must be letters"),
        ({"name": 3}, TypeError, "name of a Scheme must be a string, got 3"),
        ({"rule": "x"}, TypeError, "rule of scheme 's' must take a Site and return a Residual, got 'x'"),
        ({"source": None}, TypeError, "source of scheme 's' must be a string, got None"),
        ({"final_norm": "batch"}, ValueError, "final_norm of scheme 's' must be one of 'none', 'layer'"),
        (
            {"embedding_gain": -1},
            ValueError,
            "embedding_gain of scheme 's' must be a finite number of at least 0",
        ),
        ({"embedding_gain": "big"}, TypeError, "embedding_gain of scheme 's' must be a number, got 'big'"),
    ],
)
def test_what_makes_no_scheme(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        Scheme(**({"name": "s", "rule": plain} | arguments))
    assert str(caught.value).startswith(message)


def test_a_table_fits_only_its_own_depth() -> None:
    scheme = Scheme("written_out", Table({"encoder": [Residual()] * 4}))
    assert TransformerConfig(vocab_size=9, encoder_layers=2, decoder_layers=0, scheme=scheme)
    with pytest.raises(ValueError, match="has 4 sub-layers for the encoder, the model has 6"):
        TransformerConfig(vocab_size=9, encoder_layers=3, decoder_layers=0, scheme=scheme)
    with pytest.raises(ValueError, match="has 0 sub-layers for the decoder, the model has 6"):
        TransformerConfig(vocab_size=9, encoder_layers=2, decoder_layers=2, scheme=scheme)
    with pytest.raises(TypeError, match="residuals must be Residuals, got 'post_ln' for the encoder"):
        Table({"encoder": ["post_ln"]})  # type: ignore[list-item]


# Residual and Scale

numbers = st.floats(-10, 10).map(lambda x: x + 0.0)
norms = st.sampled_from(schemes.NORMS)


@st.composite
def any_scale(draw: st.DrawFn, *, shared: bool) -> Scale:
    kind = draw(st.sampled_from(schemes.SCALE_KINDS))
    if kind == "none":
        return Scale()
    return Scale(kind, draw(numbers), trained=draw(st.booleans()), shared=shared and draw(st.booleans()))


@st.composite
def any_residual(draw: st.DrawFn) -> Residual:
    """A Residual with any valid fields."""
    norm_pre, omega, parallel = draw(norms), draw(any_scale(shared=False)), draw(st.booleans())
    return Residual(
        norm_pre=norm_pre,
        norm_branch=draw(norms),
        norm_post=draw(norms),
        norm_inner=draw(norms),
        residual_normed=norm_pre != "none" and not parallel and draw(st.booleans()),
        parallel=parallel,
        profiled=omega.kind != "none" and draw(st.booleans()),
        input_scale=draw(numbers),
        kappa=draw(numbers),
        omega=omega,
        alpha=draw(any_scale(shared=True)),
        init=draw(st.sampled_from(schemes.INITS)),
        qkv_fused_init=draw(st.sampled_from([None, True, False])),
        gains=draw(st.dictionaries(st.sampled_from(schemes.WEIGHTS), st.floats(0, 10))),
    )


@given(any_residual())
def test_a_residual_comes_back_from_its_dict_and_its_repr(residual: Residual) -> None:
    assert Residual.from_dict(residual.to_dict()) == residual
    assert eval(repr(residual), {"Residual": Residual, "Scale": Scale}) == residual
    assert hash(residual) == hash(Residual.from_dict(residual.to_dict()))
    assert set(residual.gains) == set(schemes.WEIGHTS)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (
            {"norm_pre": "batch"},
            ValueError,
            "norm_pre must be one of 'none', 'layer', 'rms', 'dyt', got 'batch'",
        ),
        ({"init": "he"}, ValueError, "init must be one of 'xavier_uniform', 'xavier_normal', 'looks_linear'"),
        ({"profiled": True}, ValueError, "profiled=True needs an omega of kind 'scalar' or 'vector'"),
        ({"profiled": 1}, TypeError, "profiled must be True or False, got 1"),
        (
            {"residual_normed": True},
            ValueError,
            "residual_normed=True starts the skip at Npre(x), but norm_pre",
        ),
        ({"parallel": 1}, TypeError, "parallel must be True or False, got 1"),
        (
            {"parallel": True, "residual_normed": True, "norm_pre": "layer"},
            ValueError,
            "residual_normed must be False where parallel is True",
        ),
        ({"omega": 2.0}, TypeError, "omega must be a Scale, got 2.0"),
        ({"omega": Scale("scalar", 2.0, shared=True)}, ValueError, "omega cannot be shared"),
        ({"kappa": math.inf}, ValueError, "kappa must be a finite number, got inf"),
        ({"input_scale": "1"}, TypeError, "input_scale must be a number, got '1'"),
        ({"gains": {"o": 1}}, ValueError, "gains must be of q, k, v, out, fc1, fc2, got 'o'"),
        ({"gains": {"q": -1}}, ValueError, "gains['q'] must be a finite number of at least 0, got -1.0"),
        ({"gains": 2.0}, TypeError, "gains must map names of weights to numbers, got 2.0"),
        ({"qkv_fused_init": "no"}, TypeError, "qkv_fused_init must be True or False, got 'no'"),
    ],
)
def test_fields_that_make_no_residual(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        Residual(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"kind": "matrix"}, ValueError, "kind of a Scale must be one of 'none', 'scalar', 'vector'"),
        ({"value": 2.0}, ValueError, "a Scale of kind 'none' is the number 1"),
        ({"trained": True}, ValueError, "a Scale of kind 'none' is the number 1"),
        (
            {"kind": "scalar", "value": math.nan},
            ValueError,
            "value of a Scale must be a finite number, got nan",
        ),
        ({"kind": "scalar", "trained": "yes"}, TypeError, "trained of a Scale must be True or False"),
    ],
)
def test_fields_that_make_no_scale(fields: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        Scale(**fields)
    assert str(caught.value).startswith(message)


def test_dicts_of_other_things() -> None:
    with pytest.raises(
        ValueError, match="a Residual has no field 'norm'; its fields are norm_pre, norm_branch"
    ):
        Residual.from_dict({"norm": "layer"})
    with pytest.raises(TypeError, match="data must be a mapping, got"):
        Scale.from_dict([1])  # type: ignore[arg-type]
