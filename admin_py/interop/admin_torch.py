"""Omegas of admin-torch: modules beside the branches of a layer, ``<attribute>.omega``.

``admin_torch.as_module`` makes one for each residual connection. Its omega is a vector that is trained, or a
number that is not; the attribute is the user's to name, and tells of which sub-layer it is.
"""

from __future__ import annotations

import re

from admin_py.interop.source import Source

SIGNS = (
    ("cross_attn", ("cross", "encoder", "memory", "multihead", "src")),
    ("feed_forward", ("fc", "ff", "feed", "mlp", "linear")),
    ("self_attn", ("self", "attn", "attention")),
)
"""Sub-layer -> what the attribute's name has, the first that fits."""


def omegas(source: Source, layer: str) -> dict[str, str]:
    """Sub-layer -> name of its omega; empty where there are none.

    Parameters
    ----------
    source : Source
    layer : str
        What the layer's names begin with, its dot included.

    Raises
    ------
    ValueError
        If an attribute's name does not tell its sub-layer, or two tell the same.
    """
    found: dict[str, str] = {}
    for name in source.shapes:
        match = re.fullmatch(re.escape(layer) + r"(\w+)\.omega", name)
        if match is None:
            continue
        attribute = match[1].lower()
        kind = next((kind for kind, signs in SIGNS if any(sign in attribute for sign in signs)), None)
        if kind is None or kind in found:
            why = (
                "may be of any sub-layer" if kind is None else f"is of the same sub-layer as {found[kind]!r}"
            )
            raise ValueError(f"{source.where} cannot be expressed: {name!r} {why}")
        found[kind] = name
    return found


def omega_of(source: Source, layer: str, kind: str) -> str:
    """Name of the omega of one sub-layer.

    Raises
    ------
    ValueError
        If the layer has omegas, but none of this sub-layer.
    """
    found = omegas(source, layer)
    if kind not in found:
        told = ", ".join(map(repr, found.values()))
        raise ValueError(f"{source.where} has no omega of {layer}{kind}, but {told}")
    return found[kind]


def scheme_of(source: Source, layer: str, norm: str) -> str | None:
    """The scheme of a stack with such omegas, by its first layer; None where there are none.

    Raises
    ------
    ValueError
        If the layer is no Post-LN layer.
    """
    found = omegas(source, layer)
    if not found:
        return None
    if norm != "post_ln":
        raise ValueError(
            f"{source.where} cannot be expressed: omegas of admin-torch in a layer that is {norm}"
        )
    sizes = {source.shape(name) for name in found.values()}
    return "admin_torch" if sizes <= {(1,), ()} else "admin"
