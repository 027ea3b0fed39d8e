"""Every residual scheme as data, with its source; users add theirs here or anywhere.

A scheme is a rule that fills the fields of the one residual formula (`Residual`) from the place of a
sub-layer (`Site`). The compute core knows no scheme by name.

Examples
--------
>>> from admin_py import schemes
>>> schemes.get("pre_ln").summary
'x + f(LN(x))'
"""

from __future__ import annotations

from types import MappingProxyType

from admin_py.schemes import branch_scaling, initial_weights, norm_placement, skip_scaling
from admin_py.schemes.residual import (
    INITS,
    KINDS,
    NORMS,
    SCALE_KINDS,
    WEIGHTS,
    Residual,
    Scale,
    Site,
)
from admin_py.schemes.scheme import Scheme, Table, get, names, register, unregister
from admin_py.schemes.skip_scaling import admin_torch_omega

for _scheme in (
    norm_placement.POST_LN,
    norm_placement.PRE_LN,
    skip_scaling.ADMIN,
    *skip_scaling.ADMIN_TORCH,
    skip_scaling.DEEPNORM,
    branch_scaling.REZERO,
    branch_scaling.REZERO_POST_LN,
    initial_weights.LOOKS_LINEAR,
    initial_weights.T_FIXUP,
    branch_scaling.LAYER_SCALE,
    initial_weights.DS_INIT,
    norm_placement.SANDWICH,
    norm_placement.SUB_LN,
    norm_placement.B2T,
    norm_placement.LAYERNORM_SCALING,
    norm_placement.MIX_LN,
    skip_scaling.DEEP_SCALE_LM,
    norm_placement.KEEL,
):
    register(_scheme)

BUILT_IN = MappingProxyType({_name: get(_name) for _name in names()})
"""The schemes that come with the package, by name; registering others does not change it."""

__all__ = [
    "BUILT_IN",
    "INITS",
    "KINDS",
    "NORMS",
    "SCALE_KINDS",
    "WEIGHTS",
    "Residual",
    "Scale",
    "Scheme",
    "Site",
    "Table",
    "admin_torch_omega",
    "get",
    "names",
    "register",
    "unregister",
]
