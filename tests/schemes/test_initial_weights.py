"""Initial weights of real models: for every scheme the distribution that its formula says, and determinism.

Every check of a distribution allows five standard errors of the statistic it looks at (one false alarm in 3.5
million draws), and the seeds are fixed, so a test that passes once passes always.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from admin_py import _core, _core64, schemes
from admin_py.model.config import SHARING, TransformerConfig
from admin_py.schemes import Residual, Scale, Scheme, Site

SEED = 20
ERRORS = 5.0
"""Standard errors that a statistic may be off by."""

Core = Any
Parameters = dict[str, NDArray[Any]]


def model_config(scheme: str | Scheme, **fields: Any) -> TransformerConfig:
    """Four and three layers: deep enough that all formulas of depth differ from 1 and from each other."""
    base: dict[str, Any] = {
        "vocab_size": 300, "encoder_layers": 4, "decoder_layers": 3, "d_model": 64, "heads": 4, "d_ff": 96,
        "max_length": 40,
    }  # fmt: skip
    return TransformerConfig(**(base | fields), scheme=scheme)


def drawn(config: TransformerConfig, seed: int = SEED, core: Core = _core64) -> Parameters:
    """Initial parameters of a model."""
    return dict(core.Transformer(config.to_core(), seed).parameters)


def sub_layers(config: TransformerConfig) -> list[tuple[str, Residual]]:
    """Names and fields of all sub-layers."""
    return [
        pair for stack in config.stacks for pair in zip(config.sublayer_names(stack), config.residuals(stack))
    ]


def weights_of(name: str) -> tuple[str, ...]:
    """Matrices of a sub-layer."""
    return ("fc1", "fc2") if name.endswith("feed_forward") else ("q", "k", "v", "out")


def xavier_std(config: TransformerConfig, residual: Residual, weight: str, shape: tuple[int, ...]) -> float:
    """Glorot and Bengio (2010), equation 16: std^2 = 2 / (fan_in + fan_out), of [out, in]."""
    fan_out, fan_in = shape
    fused = config.qkv_fused_init if residual.qkv_fused_init is None else residual.qkv_fused_init
    if fused and weight in ("q", "k", "v"):
        fan_out *= 3
    return residual.gains[weight] * math.sqrt(2 / (fan_in + fan_out))


def independent_part(residual: Residual, weight: str, matrix: NDArray[Any]) -> NDArray[Any]:
    """Elements of a matrix that are drawn independently: all, but half of a mirrored one."""
    if residual.init == "looks_linear" and weight == "fc1":
        return matrix[: len(matrix) // 2].ravel()
    if residual.init == "looks_linear" and weight == "fc2":
        return matrix[:, : matrix.shape[1] // 2].ravel()
    return matrix.ravel()


def assert_distribution(x: NDArray[Any], std: float, *, normal: bool, what: str) -> None:
    """x [n] looks like independent draws of mean 0 and that std, normal or uniform."""
    n, kurtosis = x.size, 3.0 if normal else 1.8
    # Standard errors: of the mean std / sqrt(n), of the relative std half of sqrt((kurtosis - 1) / n).
    assert abs(x.mean()) < ERRORS * std / math.sqrt(n), what
    found = math.sqrt((x**2).mean())
    assert abs(found / std - 1) < ERRORS * 0.5 * math.sqrt((kurtosis - 1) / n), f"{what}: {found} for {std}"
    if normal:
        cdf = stats.norm(0, std).cdf
        assert np.abs(x).max() < std * math.sqrt(2 * math.log(n)) * 1.5, (
            what
        )  # the largest is near sqrt(2 ln n)
    else:
        bound = std * math.sqrt(3)
        cdf = stats.uniform(-bound, 2 * bound).cdf
        assert np.abs(x).max() <= bound * (1 + 1e-15), what  # the products and quotients here round too
        assert np.abs(x).max() > bound * (1 - 15 / n), what  # the gap is exponential of mean bound / n: e^-15
    # Kolmogorov-Smirnov: P(sqrt(n) D > 2.8) = 2 exp(-2 * 2.8^2) = 3e-7.
    assert math.sqrt(n) * stats.kstest(x, cdf).statistic < 2.8, what


# Distributions


@pytest.mark.parametrize("scheme", schemes.names())
def test_matrices_are_drawn_as_the_scheme_says(scheme: str) -> None:
    config = model_config(scheme)
    parameters = drawn(config)
    pooled = []  # all matrices in units of their own std: 40 times the draws, so six times as sharp
    for name, residual in sub_layers(config):
        for weight in weights_of(name):
            matrix = parameters[f"{name}.{weight}.weight"]
            std = xavier_std(config, residual, weight, matrix.shape)
            part = independent_part(residual, weight, matrix)
            normal = residual.init == "xavier_normal"
            assert_distribution(part, std, normal=normal, what=f"{scheme}: {name}.{weight}")
            pooled.append(part / std)
    assert_distribution(np.concatenate(pooled), 1.0, normal=normal, what=scheme)


@pytest.mark.parametrize("fused", [True, False])
def test_q_k_v_drawn_as_one_matrix_or_apart(fused: bool) -> None:
    parameters = drawn(model_config("post_ln", qkv_fused_init=fused))
    for kind in ("encoder.0.self_attn", "decoder.0.self_attn", "decoder.2.cross_attn"):
        for weight in ("q", "k", "v"):
            largest = np.abs(parameters[f"{kind}.{weight}.weight"]).max()
            bound = math.sqrt(6 / (64 + (3 if fused else 1) * 64))
            assert bound * (1 - 15 / 4096) < largest <= bound
        assert np.abs(parameters[f"{kind}.out.weight"]).max() > math.sqrt(6 / 128) * (1 - 15 / 4096)


@pytest.mark.parametrize("scheme", schemes.names())
def test_constants(scheme: str) -> None:
    config = model_config(scheme, input_scale="vector")
    parameters = drawn(config)
    expected = {"gamma": 1.0, "nu": 0.0, "bias": 0.0, "input_scale": 1.0}
    checked = 0
    for name, value in parameters.items():
        last = name.rsplit(".", 1)[-1]
        if last in expected:
            assert np.all(value == expected[last]), name
            checked += 1
    assert checked > 7 * 4  # the biases of seven layers are among them
    for name, residual in sub_layers(config):
        layer = name.rsplit(".", 1)[0]
        for what, scale in (("omega", residual.omega), ("alpha", residual.alpha)):
            key = f"{layer}.{what}" if scale.shared else f"{name}.{what}"
            assert (key in parameters) == (scale.kind != "none"), key
            if scale.kind != "none":
                assert parameters[key].shape == (scale.num_elements(64),)
                assert np.all(parameters[key] == scale.value), key


def test_norms_of_every_kind_start_as_they_should() -> None:
    kinds = {"norm_pre": "dyt", "norm_branch": "rms", "norm_post": "layer", "norm_inner": "dyt"}
    parameters = drawn(model_config(Scheme("all_norms", lambda site: Residual(**kinds), final_norm="dyt")))
    for norm, kind in {**kinds, "norm_final": "dyt"}.items():
        owner = "encoder" if norm == "norm_final" else "encoder.1.feed_forward"
        width = 96 if norm == "norm_inner" else 64
        found = {
            key.removeprefix(f"{owner}.{norm}."): value
            for key, value in parameters.items()
            if key.startswith(f"{owner}.{norm}.")
        }
        shapes = {"gamma": (width,)}
        shapes |= {"nu": (width,)} if kind != "rms" else {}
        shapes |= {"scale": (1,)} if kind == "dyt" else {}
        assert {key: value.shape for key, value in found.items()} == shapes
        assert all(
            np.all(found[k] == v) for k, v in {"gamma": 1, "nu": 0, "scale": 0.5}.items() if k in found
        )


@pytest.mark.parametrize("share", SHARING)
@pytest.mark.parametrize("layers", [(2, 2), (2, 0), (0, 2)])
def test_embeddings_and_learned_positions_are_normal(share: str, layers: tuple[int, int]) -> None:
    encoder, decoder = layers
    config = model_config(
        "admin",
        encoder_layers=encoder,
        decoder_layers=decoder,
        share_embeddings=share,
        positions="learned",
        max_length=80,
    )
    parameters = drawn(config)
    tables = {name: value for name, value in parameters.items() if value.shape == (300, 64)}
    assert len(tables) == config.num_embeddings
    positions = {name: value for name, value in parameters.items() if value.shape == (80, 64)}
    assert set(positions) == {f"{stack}.positions.weight" for stack in config.stacks}
    for name, value in {**tables, **positions}.items():
        assert_distribution(value.ravel(), 64**-0.5, normal=True, what=name)
    flat = list({**tables, **positions}.values())
    for i, one in enumerate(flat):
        assert not any(np.array_equal(one, other) for other in flat[:i])


def test_embedding_gains_are_those_of_the_stack_that_reads() -> None:
    config = model_config("t_fixup", share_embeddings="none")
    parameters = drawn(config)
    for stack in ("encoder", "decoder"):
        std = 64**-0.5 * config.embedding_gain(stack)
        what = f"{stack}.embedding.weight"
        assert_distribution(parameters[what].ravel(), std, normal=True, what=what)
    shared = drawn(model_config("t_fixup"))["embedding.weight"]
    std = 64**-0.5 * config.embedding_gain("encoder")
    assert_distribution(shared.ravel(), std, normal=True, what="embedding.weight")


def test_looks_linear_is_mirrored_exactly() -> None:
    for core in (_core, _core64):
        parameters = drawn(model_config("looks_linear"), core=core)
        for name in ("encoder.3.feed_forward", "decoder.0.feed_forward"):
            fc1, fc2 = parameters[f"{name}.fc1.weight"], parameters[f"{name}.fc2.weight"]
            np.testing.assert_array_equal(fc1[48:], -fc1[:48])
            np.testing.assert_array_equal(fc2[:, 48:], -fc2[:, :48])
            # relu of [W x; -W x] through [U, -U] is U W x.
            x = np.random.default_rng(SEED).standard_normal(64)
            linear = fc2[:, :48] @ (fc1[:48] @ x)
            np.testing.assert_allclose(fc2 @ np.maximum(fc1 @ x, 0), linear, rtol=1e-5, atol=1e-5)
            assert np.abs(linear).max() > 0.1


def test_a_gain_of_zero_starts_a_branch_at_zero() -> None:
    zero = Scheme("zero_out", lambda site: Residual(norm_pre="layer", gains={"out": 0.0, "fc2": 0.0}))
    parameters = drawn(model_config(zero))
    assert not parameters["encoder.0.self_attn.out.weight"].any()
    assert not parameters["decoder.2.feed_forward.fc2.weight"].any()
    assert parameters["decoder.2.feed_forward.fc1.weight"].all()


# Independence and determinism


def test_different_matrices_are_uncorrelated() -> None:
    parameters = drawn(model_config("post_ln"))
    square = {name: value.ravel() for name, value in parameters.items() if value.shape == (64, 64)}
    assert len(square) == 4 * 4 + 8 * 3
    table = np.corrcoef(np.stack(list(square.values())))
    off = np.abs(table[~np.eye(len(table), dtype=bool)])
    assert off.max() < ERRORS / 64  # the standard error of a correlation of 4096 pairs is 1 / 64


def test_elements_of_a_matrix_are_uncorrelated_with_their_neighbours() -> None:
    matrix = drawn(model_config("post_ln"))["encoder.0.self_attn.out.weight"]
    unit = matrix / matrix.std()
    for lag in (1, 2, 3, 4, 8, 16, 32, 64, 65, 128):
        flat = unit.ravel()
        products = flat[lag:] * flat[:-lag]
        assert abs(products.mean()) < ERRORS / math.sqrt(products.size), lag


@pytest.mark.parametrize("core", [_core, _core64])
def test_a_seed_gives_the_same_bits_and_another_seed_others(core: Core) -> None:
    config = model_config("deepnorm", positions="learned")
    first, again, other = drawn(config, 5, core), drawn(config, 5, core), drawn(config, 6, core)
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        random = name.endswith(".weight")
        assert np.array_equal(value, other[name]) != random, name


def test_seeds_that_differ_in_one_bit_are_uncorrelated() -> None:
    config = model_config("post_ln", encoder_layers=1, decoder_layers=0)
    draws = [
        drawn(config, seed)["encoder.0.self_attn.out.weight"].ravel() for seed in (0, 1, 2, 2**32, 2**63)
    ]
    off = np.abs(np.corrcoef(draws)[~np.eye(5, dtype=bool)])
    assert off.max() < ERRORS / 64


@pytest.mark.parametrize("scheme", schemes.names())
def test_float32_is_float64_rounded(scheme: str) -> None:
    config = model_config(scheme, positions="learned", share_embeddings="none")
    single, double = drawn(config, core=_core), drawn(config, core=_core64)
    assert list(single) == list(double)
    for name, value in single.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, double[name].astype(np.float32), err_msg=name)


def test_init_weights_draws_anew() -> None:
    config = model_config("admin")
    model = _core.Transformer(config.to_core(), 1)
    before = {name: value.copy() for name, value in model.parameters.items()}
    model.weights[...] = 7.0
    model.init_weights(1)
    for name, value in model.parameters.items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    model.init_weights(2)
    name = "encoder.0.self_attn.q.weight"
    np.testing.assert_array_equal(model.parameters[name], drawn(config, 2, _core)[name])
    assert not np.array_equal(model.parameters[name], before[name])


def test_any_number_of_threads_draws_the_same() -> None:
    # More elements than one task fills, so that the threads do share the work.
    config = model_config("post_ln", vocab_size=5000, encoder_layers=1, decoder_layers=0)
    before = _core.get_num_threads()
    try:
        draws = []
        for threads in (1, 2, 3):
            _core.set_num_threads(threads)
            draws.append(drawn(config, core=_core))
    finally:
        _core.set_num_threads(before)
    for name, value in draws[0].items():
        np.testing.assert_array_equal(value, draws[1][name], err_msg=name)
        np.testing.assert_array_equal(value, draws[2][name], err_msg=name)


@pytest.mark.parametrize("scheme", schemes.names())
def test_schemes_start_from_the_same_draws(scheme: str) -> None:
    """Runs of one seed compare schemes, not draws: matrices are those of a plain residual times the gain."""
    config = model_config(scheme)
    rows = {stack: config.residuals(stack) for stack in config.stacks}

    def plain_rule(site: Site) -> Residual:
        own = rows[site.stack][site.sublayer]
        return Residual(init=own.init, qkv_fused_init=own.qkv_fused_init)

    parameters, plain = drawn(config), drawn(model_config(Scheme("plain", plain_rule)))
    for name, residual in sub_layers(config):
        for weight in weights_of(name):
            key = f"{name}.{weight}.weight"
            expected = residual.gains[weight] * plain[key]
            np.testing.assert_allclose(parameters[key], expected, rtol=1e-14, err_msg=key)
    gain = config.embedding_gain("encoder")
    np.testing.assert_allclose(parameters["embedding.weight"], gain * plain["embedding.weight"], rtol=1e-14)


# The table of parameters against the configuration


@pytest.mark.parametrize("scheme", [*schemes.names(), "t_fixup/pre_ln", "rezero/sub_ln"])
@pytest.mark.parametrize("layers", [(2, 3), (3, 0), (0, 2)])
@pytest.mark.parametrize(
    "more", [{}, {"positions": "learned", "share_embeddings": "none", "input_scale": "vector"}]
)
def test_the_configuration_counts_the_parameters(scheme: str, layers: tuple[int, int], more: Any) -> None:
    encoder, decoder = layers
    config = model_config(scheme, encoder_layers=encoder, decoder_layers=decoder, **more)
    model = _core.Transformer(config.to_core(), 0)
    assert model.num_parameters == config.num_parameters
    assert model.num_parameters == sum(model.parameters[name].size for name in model.trained)
    names = set(config.sublayer_names("encoder")) | set(config.sublayer_names("decoder"))
    owners = {
        name.rsplit(".", 2)[0] for name in model.parameters if name.endswith((".q.weight", ".fc1.weight"))
    }
    assert owners == names


@pytest.mark.parametrize("share", SHARING)
@pytest.mark.parametrize("layers", [(1, 1), (1, 0), (0, 1)])
@pytest.mark.parametrize("scale", schemes.SCALE_KINDS)
def test_sharing_and_input_scales_are_counted(share: str, layers: tuple[int, int], scale: str) -> None:
    encoder, decoder = layers
    config = model_config(
        "pre_ln", encoder_layers=encoder, decoder_layers=decoder, share_embeddings=share, input_scale=scale
    )
    assert _core.Transformer(config.to_core(), 0).num_parameters == config.num_parameters


def test_every_kind_of_scale_is_counted_and_only_trained_ones() -> None:
    def rule(site: Site) -> Residual:
        kinds = ("none", "scalar", "vector")
        omega, alpha = kinds[site.sublayer % 3], kinds[site.layer % 3]
        return Residual(
            norm_pre="rms",
            norm_inner="dyt",
            omega=Scale() if omega == "none" else Scale(omega, 2.0, trained=site.sublayer % 2 == 0),
            alpha=Scale() if alpha == "none" else Scale(alpha, 0.5, trained=True, shared=site.last_in_layer),
        )

    config = model_config(Scheme("mixed", rule, final_norm="rms"), encoder_layers=6, decoder_layers=6)
    assert _core.Transformer(config.to_core(), 0).num_parameters == config.num_parameters
