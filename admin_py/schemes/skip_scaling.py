"""Schemes that scale the skip: Admin, admin-torch, DeepNorm, DeepScaleLM.

N is the number of encoder layers, N' of decoder layers, L of the only stack's, R the sub-layers of the stack.
"""

from __future__ import annotations

import math
from functools import partial

from admin_py.base.arguments import door
from admin_py.base.checks import check_choice, check_integer
from admin_py.base.exact_math import fourth_root, log
from admin_py.schemes.norm_placement import value_path_gain
from admin_py.schemes.residual import Residual, Scale, Site
from admin_py.schemes.scheme import Scheme

OUTPUT_CHANGES = ("log n", "1", "n")
"""How the output change of an admin-torch model may grow with its depth n."""


def _admin(site: Site) -> Residual:
    return Residual(norm_post="layer", omega=Scale("vector", 1.0, trained=True), profiled=True)


@door
def admin_torch_omega(num_sublayers: int, output_change: str = "log n") -> float:
    """omega of admin-torch for a stack of R sub-layers: omega^2 = (R + 1) / ln(R + 1) - 1, R or 1.

    Parameters
    ----------
    num_sublayers : int
        R, at least 1.
    output_change : {"log n", "1", "n"}
        How the output change grows with depth.

    Examples
    --------
    >>> admin_torch_omega(36, "1"), admin_torch_omega(36, "n")
    (6.0, 1.0)
    >>> round(admin_torch_omega(36), 4)
    3.0408
    """
    check_choice("output_change", output_change, OUTPUT_CHANGES)
    num_sublayers = check_integer("num_sublayers", num_sublayers, 1)
    if output_change == "log n":
        return math.sqrt((num_sublayers + 1) / log(num_sublayers + 1) - 1)
    return math.sqrt(num_sublayers) if output_change == "1" else 1.0


def _admin_torch(site: Site, *, output_change: str, trained: bool) -> Residual:
    value = admin_torch_omega(site.num_sublayers, output_change)
    return Residual(norm_post="layer", omega=Scale("vector" if trained else "scalar", value, trained=trained))


def admin_torch(name: str, output_change: str, *, trained: bool) -> Scheme:
    """A scheme with admin-torch's closed form of omega, a constant or a trained vector."""
    kind = "a trained vector" if trained else "a constant"
    formula = {"log n": "(R + 1) / ln(R + 1) - 1", "1": "R", "n": "1"}[output_change]
    return Scheme(
        name,
        partial(_admin_torch, output_change=output_change, trained=trained),
        "Liu et al. 2020, the admin-torch release (microsoft/admin-torch), calculate_init",
        summary=f"LN(omega x + f(x)), omega {kind}, omega^2 = {formula}",
    )


def deepnorm_constants(site: Site) -> tuple[float, float]:
    """omega (their alpha) and gain (their beta) of DeepNorm, figure 2 of the paper.

    One stack: (2L)^(1/4), (8L)^(-1/4). Both: encoder .81 (N^4 N')^(1/16), .87 (N^4 N')^(-1/16); decoder
    (3N')^(1/4), (12N')^(-1/4).
    """
    if not site.encoder_decoder:
        return fourth_root(2 * site.layers), 1 / fourth_root(8 * site.layers)
    if site.stack == "decoder":
        return fourth_root(3 * site.decoder_layers), 1 / fourth_root(12 * site.decoder_layers)
    depth = fourth_root(fourth_root(site.encoder_layers**4 * site.decoder_layers))
    return 0.81 * depth, 0.87 / depth


def _deepnorm(site: Site) -> Residual:
    omega, gain = deepnorm_constants(site)
    return Residual(
        norm_post="layer",
        omega=Scale("scalar", omega),
        init="xavier_normal",
        qkv_fused_init=False,
        gains=value_path_gain(gain),
    )


def deep_scale_lm_beta2(layers: int) -> float:
    """beta^2 of DeepScaleLM: 2 / N, at most 1/2 so that a shallow stack (N < 4) keeps half its skip."""
    return min(2.0 / layers, 0.5)


def _deep_scale_lm(site: Site) -> Residual:
    beta2 = deep_scale_lm_beta2(site.layers)
    return Residual(
        norm_pre="layer", omega=Scale("scalar", math.sqrt(1 - beta2)), alpha=Scale("scalar", math.sqrt(beta2))
    )


ADMIN = Scheme(
    "admin",
    _admin,
    "Liu et al. 2020, Understanding the Difficulty of Training Transformers, arXiv 2004.08249, section 4; "
    "the Transformer-Clinic release",
    summary="LN(omega x + f(x)), omega trained and set by variance profiling",
)

ADMIN_TORCH = (
    admin_torch("admin_torch", "log n", trained=False),
    admin_torch("admin_torch_trained", "log n", trained=True),
    admin_torch("admin_torch_1", "1", trained=False),
    admin_torch("admin_torch_1_trained", "1", trained=True),
    admin_torch("admin_torch_n", "n", trained=False),
    admin_torch("admin_torch_n_trained", "n", trained=True),
)

DEEPNORM = Scheme(
    "deepnorm",
    _deepnorm,
    "Wang et al. 2022, DeepNet: Scaling Transformers to 1,000 Layers, arXiv 2203.00555, figure 2",
    summary="LN(omega x + f(x)), gain g on v, out, fc1, fc2: one stack omega = (2L)^(1/4), g = (8L)^(-1/4); "
    "encoder omega = .81 (N^4 N')^(1/16), g = .87 (N^4 N')^(-1/16); decoder omega = (3N')^(1/4), "
    "g = (12N')^(-1/4)",
)

DEEP_SCALE_LM = Scheme(
    "deep_scale_lm",
    _deep_scale_lm,
    "Kedia et al. 2024, Transformers Get Stable, arXiv 2403.09635: its residual scaling; its initial "
    "weights, which depend on dropout and on the data's token correlation, are not part",
    final_norm="layer",
    summary="sqrt(1 - beta^2) x + beta f(LN(x)), beta^2 = min(2 / N, 1/2)",
)
