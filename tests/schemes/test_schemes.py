"""Schemes: the published constants at several depths, and the fields they fill."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from admin_py import schemes
from admin_py.model.config import TransformerConfig
from admin_py.schemes import Residual, Scale, Site

DEPTHS = ((6, 6), (18, 18), (12, 3), (1, 1), (100, 40))
ONE_STACK = (1, 2, 6, 24, 100)
VALUE_PATH = ("v", "out", "fc1", "fc2")


def filled(scheme: str, encoder: int, decoder: int, stack: str) -> tuple[Residual, ...]:
    """The sub-layers of a stack of a model of that scheme."""
    config = TransformerConfig(
        vocab_size=50,
        encoder_layers=encoder,
        decoder_layers=decoder,
        d_model=16,
        heads=2,
        d_ff=32,
        scheme=scheme,
    )
    return config.residuals(stack)


def both(scheme: str, encoder: int, decoder: int) -> list[tuple[Site, Residual]]:
    """Places and sub-layers of both stacks."""
    config = TransformerConfig(
        vocab_size=50,
        encoder_layers=encoder,
        decoder_layers=decoder,
        d_model=16,
        heads=2,
        d_ff=32,
        scheme=scheme,
    )
    return [pair for stack in config.stacks for pair in zip(config.sites(stack), config.residuals(stack))]


def final_norm(scheme: str) -> str:
    return schemes.get(scheme).final_norm


def unlike_default(residual: Residual) -> dict[str, Any]:
    """The fields that are not those of the plain residual."""
    plain = Residual()
    names = (field.name for field in dataclasses.fields(Residual))
    return {
        name: getattr(residual, name) for name in names if getattr(residual, name) != getattr(plain, name)
    }


# Where norms stand


@pytest.mark.parametrize(
    ("scheme", "fields", "final"),
    [
        ("post_ln", {"norm_post": "layer"}, "none"),
        ("pre_ln", {"norm_pre": "layer"}, "layer"),
        ("sandwich", {"norm_pre": "layer", "norm_branch": "layer"}, "layer"),
        (
            "admin",
            {"norm_post": "layer", "omega": Scale("vector", 1.0, trained=True), "profiled": True},
            "none",
        ),
        ("rezero", {"alpha": Scale("scalar", 0.0, trained=True, shared=True)}, "none"),
        (
            "rezero_post_ln",
            {"norm_post": "layer", "alpha": Scale("scalar", 0.0, trained=True, shared=True)},
            "none",
        ),
        ("layer_scale", {"norm_pre": "layer", "alpha": Scale("vector", 1e-4, trained=True)}, "layer"),
    ],
)
@pytest.mark.parametrize("depth", DEPTHS)
def test_schemes_that_are_the_same_everywhere(
    scheme: str, fields: dict[str, Any], final: str, depth: tuple[int, int]
) -> None:
    assert final_norm(scheme) == final
    for _, residual in both(scheme, *depth):
        assert unlike_default(residual) == fields


def test_mix_ln_is_post_ln_in_the_first_quarter() -> None:
    # 3 of 12 and 6 of 24 are the paper's own models.
    for layers, post in ((4, 1), (12, 3), (18, 4), (24, 6), (3, 0)):
        table = filled("mix_ln", 0, layers, "decoder")
        placed = [(row.norm_pre, row.norm_post) for row in table]
        assert placed == [("none", "layer")] * (2 * post) + [("layer", "none")] * (2 * (layers - post))
    assert final_norm("mix_ln") == "layer"


def test_b2t_adds_the_layers_input_on_its_last_sub_layer() -> None:
    assert [row.kappa for row in filled("b2t", 2, 2, "encoder")] == [0, 1, 0, 1]
    assert [row.kappa for row in filled("b2t", 2, 2, "decoder")] == [0, 0, 1, 0, 0, 1]
    for encoder, decoder in DEPTHS:
        for stack, layers in (("encoder", encoder), ("decoder", decoder)):
            for row in filled("b2t", encoder, decoder, stack):
                assert row.norm_post == "layer"
                assert list(row.gains.values()) == pytest.approx([1 / math.sqrt(layers)] * 6)


def test_layernorm_scaling_divides_by_the_root_of_the_layer() -> None:
    scales = [row.input_scale for row in filled("layernorm_scaling", 0, 9, "decoder")]
    expected = [1 / math.sqrt(1 + i // 2) for i in range(18)]
    assert scales == pytest.approx(expected, rel=1e-15)
    assert (scales[0], scales[6], scales[16]) == (1, 0.5, pytest.approx(1 / 3))
    assert final_norm("layernorm_scaling") == "layer"


def test_keel_scales_the_skip_by_the_number_of_sub_layers() -> None:
    for stack, sublayers in (("encoder", 24), ("decoder", 9)):
        for row in filled("keel", 12, 3, stack):
            assert unlike_default(row) == {
                "norm_pre": "layer",
                "norm_post": "layer",
                "omega": Scale("scalar", float(sublayers)),
            }


# Skips


@pytest.mark.parametrize("layers", ONE_STACK)
def test_admin_torch_is_the_plug_ins_closed_form(layers: int) -> None:
    R = 2 * layers
    squares = {"": (R + 1) / math.log(R + 1) - 1, "_1": R, "_n": 1}
    for suffix, square in squares.items():
        constant = filled(f"admin_torch{suffix}", layers, 0, "encoder")
        trained = filled(f"admin_torch{suffix}_trained", layers, 0, "encoder")
        for row, kind in [(row, "scalar") for row in constant] + [(row, "vector") for row in trained]:
            assert row.omega.value**2 == pytest.approx(square, rel=1e-14)
            assert (row.omega.kind, row.omega.trained) == (kind, kind == "vector")
            assert (row.norm_post, row.profiled) == ("layer", False)


def test_admin_torch_counts_three_sub_layers_in_a_decoder_layer() -> None:
    assert filled("admin_torch_1", 18, 18, "encoder")[0].omega.value == 6
    assert filled("admin_torch_1", 18, 12, "decoder")[0].omega.value == 6
    # What the plug-in's calculate_init returns for 12 and 18 residual layers.
    assert filled("admin_torch", 6, 6, "encoder")[0].omega.value == pytest.approx(2.017009, abs=1e-6)
    assert filled("admin_torch", 6, 6, "decoder")[0].omega.value == pytest.approx(2.335132, abs=1e-6)


def test_admin_torch_omega_refuses_what_it_cannot_compute() -> None:
    with pytest.raises(ValueError, match="num_sublayers must be at least 1, got 0"):
        schemes.admin_torch_omega(0)
    with pytest.raises(ValueError, match="output_change must be one of 'log n', '1', 'n', got 'n2'"):
        schemes.admin_torch_omega(12, "n2")


def deepnorm_row(row: Residual, omega: float, gain: float) -> None:
    """A sub-layer of DeepNorm with these constants."""
    assert (row.norm_post, row.init, row.qkv_fused_init) == ("layer", "xavier_normal", False)
    assert dataclasses.replace(row.omega, value=1.0) == Scale("scalar")
    assert row.omega.value == pytest.approx(omega, rel=1e-13)
    assert row.gains == pytest.approx({"q": 1, "k": 1} | dict.fromkeys(VALUE_PATH, gain), rel=1e-13)


@pytest.mark.parametrize("depth", DEPTHS)
def test_deepnorm_of_an_encoder_decoder(depth: tuple[int, int]) -> None:
    N, M = depth
    for row in filled("deepnorm", N, M, "encoder"):
        deepnorm_row(row, 0.81 * (N**4 * M) ** (1 / 16), 0.87 * (N**4 * M) ** (-1 / 16))
    for row in filled("deepnorm", N, M, "decoder"):
        deepnorm_row(row, (3 * M) ** (1 / 4), (12 * M) ** (-1 / 4))


@pytest.mark.parametrize("layers", ONE_STACK)
def test_deepnorm_of_one_stack(layers: int) -> None:
    for row in filled("deepnorm", layers, 0, "encoder") + filled("deepnorm", 0, layers, "decoder"):
        deepnorm_row(row, (2 * layers) ** (1 / 4), (8 * layers) ** (-1 / 4))


def test_deepnorm_in_figures() -> None:
    # One stack of 8 layers: 16^(1/4) = 2 and 64^(-1/4) = 2^(-3/2); decoder of 27: 81^(1/4) = 3.
    deepnorm_row(filled("deepnorm", 8, 0, "encoder")[0], 2.0, 2**-1.5)
    deepnorm_row(filled("deepnorm", 5, 27, "decoder")[0], 3.0, 324**-0.25)
    # 16 and 1 layers: (16^4)^(1/16) = 2.
    deepnorm_row(filled("deepnorm", 16, 1, "encoder")[0], 1.62, 0.435)


def test_deep_scale_lm_keeps_the_variance() -> None:
    for layers in ONE_STACK:
        for row in filled("deep_scale_lm", layers, 0, "encoder"):
            beta2 = 2 / layers if layers >= 4 else 0.5
            assert row.alpha.value == pytest.approx(math.sqrt(beta2), rel=1e-15)
            assert (row.omega.kind, row.alpha.kind) == ("scalar", "scalar")
            assert row.omega.value**2 + row.alpha.value**2 == pytest.approx(1, rel=1e-15)
            assert (row.norm_pre, row.omega.trained, row.alpha.trained) == ("layer", False, False)
    assert final_norm("deep_scale_lm") == "layer"


# Initial weights


@pytest.mark.parametrize("depth", DEPTHS)
def test_t_fixup_of_an_encoder_decoder(depth: tuple[int, int]) -> None:
    N, M = depth
    config = TransformerConfig(vocab_size=9, encoder_layers=N, decoder_layers=M, scheme="t_fixup")
    gains = {"encoder": 0.67 * N ** (-1 / 4), "decoder": (9 * M) ** (-1 / 4)}
    for stack, gain in gains.items():
        for row in config.residuals(stack):
            assert row.gains == pytest.approx({"q": 1, "k": 1} | dict.fromkeys(VALUE_PATH, gain), rel=1e-14)
            assert not row.qkv_fused_init
            assert {row.norm_pre, row.norm_branch, row.norm_post, row.norm_inner} == {"none"}
    assert config.embedding_gain("encoder") == pytest.approx((9 * N) ** (-1 / 4), rel=1e-14)
    assert config.embedding_gain("decoder") == pytest.approx((9 * M) ** (-1 / 4), rel=1e-14)


def test_t_fixup_of_a_decoder_alone_takes_the_encoders_gains() -> None:
    config = TransformerConfig(vocab_size=9, encoder_layers=0, decoder_layers=16, scheme="t_fixup")
    assert config.residuals("decoder")[0].gains["fc1"] == pytest.approx(0.335)
    assert config.embedding_gain("decoder") == pytest.approx(1 / math.sqrt(12))
    assert config.embedding_gain("encoder") == 1


@pytest.mark.parametrize("scheme", [name for name in schemes.names() if name != "t_fixup"])
def test_only_t_fixup_scales_the_embeddings(scheme: str) -> None:
    config = TransformerConfig(vocab_size=9, encoder_layers=4, decoder_layers=3, scheme=scheme)
    assert (config.embedding_gain("encoder"), config.embedding_gain("decoder")) == (1, 1)


@pytest.mark.parametrize("depth", DEPTHS)
def test_ds_init_shrinks_with_the_layer(depth: tuple[int, int]) -> None:
    for site, row in both("ds_init", *depth):
        assert list(row.gains.values()) == pytest.approx([(1 + site.layer) ** (-1 / 2)] * 6, rel=1e-15)
        assert row.norm_post == "layer"


def test_looks_linear_mirrors_feed_forwards_only() -> None:
    for site, row in both("looks_linear", 3, 2):
        assert row.init == ("looks_linear" if site.kind == "feed_forward" else "xavier_uniform")
        assert row.norm_post == "layer"


@pytest.mark.parametrize("depth", DEPTHS)
def test_sub_ln_of_an_encoder_decoder(depth: tuple[int, int]) -> None:
    N, M = depth
    squares = {"encoder": math.log(3 * M) * math.log(2 * N) / 3, "decoder": math.log(3 * M)}
    for site, row in both("sub_ln", N, M):
        cross = site.kind == "cross_attn"
        assert (row.norm_pre, row.norm_inner) == ("layer", "none" if cross else "layer")
        assert (row.init, row.qkv_fused_init, row.gains["q"]) == ("xavier_normal", False, 1)
        for name in VALUE_PATH:
            assert row.gains[name] ** 2 == pytest.approx(1 if cross else squares[site.stack], rel=1e-13)
    assert final_norm("sub_ln") == "layer"


@pytest.mark.parametrize("layers", ONE_STACK)
def test_sub_ln_of_one_stack(layers: int) -> None:
    for row in filled("sub_ln", layers, 0, "encoder") + filled("sub_ln", 0, layers, "decoder"):
        assert row.gains["out"] ** 2 == pytest.approx(math.log(2 * layers), rel=1e-13)


# All of them


@pytest.mark.parametrize("scheme", schemes.names())
def test_every_scheme_has_a_source_a_summary_and_survives_pickling(scheme: str) -> None:
    found = schemes.get(scheme)
    assert found.name == scheme
    assert found.summary
    assert re.search(r"\b(19|20)\d\d\b", found.source), "no year in its source"
    assert re.search(r"arXiv \d{4}\.\d{5}|PMLR|release", found.source), "nothing that can be looked up"
    again = pickle.loads(pickle.dumps(found))
    site = Site("decoder", 1, 4, "cross_attn", 3, encoder_layers=5, decoder_layers=2, d_model=8)
    assert again.residual(site) == found.residual(site)


@pytest.mark.parametrize("scheme", schemes.names())
@pytest.mark.parametrize("depth", [*DEPTHS, (5, 0), (0, 5), (1, 0), (0, 1)])
def test_every_scheme_fits_every_kind_of_model(scheme: str, depth: tuple[int, int]) -> None:
    for _, row in both(scheme, *depth):
        assert Residual.from_dict(row.to_dict()) == row
        # Every scheme must let the gradient through: a skip, and branches that are not zero for good.
        assert row.omega.value > 0
        assert row.alpha.value > 0 or row.alpha.trained


def test_the_schemes_that_the_documentation_promises_are_there() -> None:
    wanted = (
        "post_ln pre_ln admin admin_torch deepnorm rezero rezero_post_ln looks_linear t_fixup layer_scale"
    )
    more = "ds_init sandwich sub_ln b2t layernorm_scaling mix_ln deep_scale_lm keel"
    assert set(f"{wanted} {more}".split()) <= set(schemes.names())
    assert tuple(schemes.BUILT_IN) == schemes.names()


def test_a_site_counts_within_its_own_stack() -> None:
    config = TransformerConfig(vocab_size=9, encoder_layers=3, decoder_layers=2, d_model=8, heads=2)
    for stack, per_layer, layers in (("encoder", 2, 3), ("decoder", 3, 2)):
        sites = config.sites(stack)
        assert [site.sublayer for site in sites] == list(range(per_layer * layers))
        assert {(site.layers, site.per_layer, site.num_sublayers) for site in sites} == {
            (layers, per_layer, layers * per_layer)
        }
        for site in sites:
            assert site.first_in_layer == (site.kind == "self_attn")
            assert site.last_in_layer == (site.kind == "feed_forward")
            assert site.encoder_decoder
            assert (site.encoder_layers, site.decoder_layers, site.d_model) == (3, 2, 8)


def test_the_tables_of_the_documentation_are_up_to_date() -> None:
    docs = Path(__file__).parents[2] / "docs"
    spec = importlib.util.spec_from_file_location("render_schemes", docs / "render_schemes.py")
    assert spec is not None
    assert spec.loader is not None
    render_schemes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(render_schemes)
    page = (docs / "schemes.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in schemes.BUILT_IN)
    assert page == render_schemes.render(page), "run python docs/render_schemes.py"
