"""Schemes that differ in where norms stand: Post-LN, Pre-LN and their mixtures.

N is the number of layers of the sub-layer's own stack, N' that of the decoder, l the layer counted from 1, R
the sub-layers of the stack. LayerNorm stands for the paper's norm, RMSNorm where that was the paper's.
"""

from __future__ import annotations

import math

from admin_py.base.exact_math import log
from admin_py.schemes.residual import Residual, Scale, Site
from admin_py.schemes.scheme import Scheme

MIX_LN_POST_SHARE = 0.25
"""Share of the layers that Mix-LN norms Post-LN (its alpha)."""


def every_gain(gain: float) -> dict[str, float]:
    """One gain on all six matrices."""
    return dict.fromkeys(("q", "k", "v", "out", "fc1", "fc2"), gain)


def value_path_gain(gain: float) -> dict[str, float]:
    """One gain on the matrices that the branch's output is linear in: v, out, fc1, fc2."""
    return dict.fromkeys(("v", "out", "fc1", "fc2"), gain)


def _post_ln(site: Site) -> Residual:
    return Residual(norm_post="layer")


def _pre_ln(site: Site) -> Residual:
    return Residual(norm_pre="layer")


def _sandwich(site: Site) -> Residual:
    return Residual(norm_pre="layer", norm_branch="layer")


def sub_ln_gain(site: Site) -> float:
    """Gain of Sub-LN on v, out, fc1, fc2.

    One stack of L layers: sqrt(ln 2L). Both stacks: encoder sqrt(ln 3N' ln 2N / 3), decoder sqrt(ln 3N').
    """
    if not site.encoder_decoder:
        return math.sqrt(log(2 * site.layers))
    decoder = log(3 * site.decoder_layers)
    if site.stack == "decoder":
        return math.sqrt(decoder)
    return math.sqrt(decoder * log(2 * site.encoder_layers) / 3)


def _sub_ln(site: Site) -> Residual:
    # The release gives cross-attention neither the inner norm nor the gain, and draws q, k, v apart.
    if site.kind == "cross_attn":
        return Residual(norm_pre="layer", init="xavier_normal", qkv_fused_init=False)
    return Residual(
        norm_pre="layer",
        norm_inner="layer",
        init="xavier_normal",
        qkv_fused_init=False,
        gains=value_path_gain(sub_ln_gain(site)),
    )


def _b2t(site: Site) -> Residual:
    return Residual(
        norm_post="layer",
        kappa=1.0 if site.last_in_layer else 0.0,
        gains=every_gain(1 / math.sqrt(site.layers)),
    )


def _layernorm_scaling(site: Site) -> Residual:
    return Residual(norm_pre="layer", input_scale=1 / math.sqrt(site.layer + 1))


def mix_ln_post_layers(layers: int) -> int:
    """How many of the first layers Mix-LN norms Post-LN; none where there are fewer than four."""
    return math.floor(MIX_LN_POST_SHARE * layers)


def _mix_ln(site: Site) -> Residual:
    return _post_ln(site) if site.layer < mix_ln_post_layers(site.layers) else _pre_ln(site)


def _keel(site: Site) -> Residual:
    return Residual(norm_pre="layer", norm_post="layer", omega=Scale("scalar", float(site.num_sublayers)))


POST_LN = Scheme(
    "post_ln",
    _post_ln,
    "Vaswani et al. 2017, Attention Is All You Need, arXiv 1706.03762, section 3.1",
    summary="LN(x + f(x))",
)

PRE_LN = Scheme(
    "pre_ln",
    _pre_ln,
    "Xiong et al. 2020, On Layer Normalization in the Transformer Architecture, arXiv 2002.04745, table 1",
    final_norm="layer",
    summary="x + f(LN(x))",
)

SANDWICH = Scheme(
    "sandwich",
    _sandwich,
    "Ding et al. 2021, CogView, arXiv 2105.13290 (Sandwich-LN); Kim et al. 2025, Peri-LN, arXiv 2502.02732",
    final_norm="layer",
    summary="x + LN(f(LN(x)))",
)

SUB_LN = Scheme(
    "sub_ln",
    _sub_ln,
    "Wang et al. 2022, Foundation Transformers (Magneto), arXiv 2210.06423, section 2; the torchscale "
    "release",
    final_norm="layer",
    summary="x + f(LN(x)), LN before out and fc2; gain g on v, out, fc1, fc2: one stack g^2 = ln 2L, encoder "
    "g^2 = ln 3N' ln 2N / 3, decoder g^2 = ln 3N'; cross-attention is plain Pre-LN",
)

B2T = Scheme(
    "b2t",
    _b2t,
    "Takase et al. 2022, On Layer Normalizations and Residual Connections in Transformers, arXiv 2206.00330; "
    "the b2t_connection release for the gain",
    summary="LN(x + f(x)), on a layer's last sub-layer LN(x + f(x) + x_layer); all matrices x N^(-1/2)",
)

LAYERNORM_SCALING = Scheme(
    "layernorm_scaling",
    _layernorm_scaling,
    "Sun et al. 2025, The Curse of Depth in Large Language Models, arXiv 2502.05795",
    final_norm="layer",
    summary="x + f(LN(x) / sqrt(l))",
)

MIX_LN = Scheme(
    "mix_ln",
    _mix_ln,
    "Li et al. 2024, Mix-LN, arXiv 2412.13795 (alpha 0.25)",
    final_norm="layer",
    summary="Post-LN in the first floor(N / 4) layers, Pre-LN in the rest",
)

KEEL = Scheme(
    "keel",
    _keel,
    "Chen and Wei 2026, Post-LayerNorm Is Back, arXiv 2601.19895",
    summary="LN(R x + f(LN(x)))",
)
