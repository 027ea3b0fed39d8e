"""Schemes that start the branch at zero or near it: ReZero, LayerScale."""

from __future__ import annotations

from admin_py.schemes.residual import Residual, Scale, Site
from admin_py.schemes.scheme import Scheme

LAYER_SCALE_START = 1e-4
"""Initial alpha; the paper's own depends on depth: .1 to 18 layers, 1e-5 to 24, 1e-6 beyond."""

_REZERO = Scale("scalar", 0.0, trained=True, shared=True)


def _rezero(site: Site) -> Residual:
    return Residual(alpha=_REZERO)


def _rezero_post_ln(site: Site) -> Residual:
    return Residual(norm_post="layer", alpha=_REZERO)


def _layer_scale(site: Site) -> Residual:
    return Residual(norm_pre="layer", alpha=Scale("vector", LAYER_SCALE_START, trained=True))


REZERO = Scheme(
    "rezero",
    _rezero,
    "Bachlechner et al. 2020, ReZero Is All You Need, arXiv 2003.04887, table 1; one alpha a layer as in its "
    "release",
    summary="x + alpha f(x), alpha trained from 0, one a layer",
)

REZERO_POST_LN = Scheme(
    "rezero_post_ln",
    _rezero_post_ln,
    "Bachlechner et al. 2020, arXiv 2003.04887, with the norm of Post-LN kept as in the Transformer-Clinic "
    "release",
    summary="LN(x + alpha f(x)), alpha trained from 0, one a layer",
)

LAYER_SCALE = Scheme(
    "layer_scale",
    _layer_scale,
    "Touvron et al. 2021, Going Deeper with Image Transformers, arXiv 2103.17239, section 2",
    final_norm="layer",
    summary="x + alpha (.) f(LN(x)), alpha a vector trained from 1e-4",
)
