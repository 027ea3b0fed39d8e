"""Schemes that change the initial weights: looks-linear, T-Fixup, DS-Init.

l is the layer counted from 1, N the number of encoder layers, N' of decoder layers.
"""

from __future__ import annotations

import math

from admin_py.base.exact_math import fourth_root
from admin_py.schemes.norm_placement import every_gain, value_path_gain
from admin_py.schemes.residual import Residual, Site
from admin_py.schemes.scheme import Scheme


def _looks_linear(site: Site) -> Residual:
    return Residual(
        norm_post="layer", init="looks_linear" if site.kind == "feed_forward" else "xavier_uniform"
    )


def t_fixup_gain(site: Site) -> float:
    """Gain of T-Fixup on v, out, fc1, fc2: .67 N^(-1/4) in an encoder, (9N')^(-1/4) in a decoder.

    A decoder without an encoder has two sub-layers a layer and reads no other stack, as an encoder does, so
    it takes the encoder's; the paper has no such model.
    """
    if site.stack == "decoder" and site.encoder_decoder:
        return 1 / fourth_root(9 * site.decoder_layers)
    return 0.67 / fourth_root(site.layers)


def t_fixup_embedding_gain(site: Site) -> float:
    """Gain of T-Fixup on a stack's embeddings: (9N)^(-1/4), N the layers of that stack."""
    return 1 / fourth_root(9 * site.layers)


def _t_fixup(site: Site) -> Residual:
    return Residual(qkv_fused_init=False, gains=value_path_gain(t_fixup_gain(site)))


def _ds_init(site: Site) -> Residual:
    return Residual(norm_post="layer", gains=every_gain(1 / math.sqrt(site.layer + 1)))


LOOKS_LINEAR = Scheme(
    "looks_linear",
    _looks_linear,
    "Balduzzi et al. 2017, The Shattered Gradients Problem, arXiv 1702.08591; as in the Transformer-Clinic "
    "release",
    summary="LN(x + f(x)), fc1 = [W; -W], fc2 = [U, -U], so that a feed-forward with relu starts linear",
)

T_FIXUP = Scheme(
    "t_fixup",
    _t_fixup,
    "Huang et al. 2020, Improving Transformer Optimization Through Better Initialization, ICML 2020 (PMLR "
    "119, 4475-4483), the steps of T-Fixup",
    embedding_gain=t_fixup_embedding_gain,
    summary="x + f(x), gain g on v, out, fc1, fc2: encoder or only stack .67 N^(-1/4), decoder (9N')^(-1/4); "
    "embeddings x (9N)^(-1/4), the decoder's x (9N')^(-1/4)",
)

DS_INIT = Scheme(
    "ds_init",
    _ds_init,
    "Zhang et al. 2019, Improving Deep Transformer with Depth-Scaled Initialization, arXiv 1908.11365 "
    "(alpha 1)",
    summary="LN(x + f(x)), all matrices x l^(-1/2)",
)
