"""Folding: a model whose skips are scaled becomes a plain Post-LN model that computes the same function.

With x_i = Npost_i(omega_i (.) x_{i-1} + b_i), let x'_{i-1} = omega_i (.) x_{i-1}. It comes from the previous
norm with gamma and nu multiplied by omega_i, or, below the first sub-layer, from a scale of the stack's
input; and a branch that reads x'_{i-1} gives the same b_i when the columns of its input weights are divided
by omega_i. So the skip's scale is gone. (Liu et al., EMNLP 2020, arXiv 2004.08249, section 4; the release's
script does the same.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admin_py import schemes
from admin_py.model.config import TransformerConfig
from admin_py.schemes import Residual, Scale, Scheme, Site, Table

if TYPE_CHECKING:
    pass

Arrays = dict[str, NDArray[np.float64]]

READERS = {
    "self_attn": ("q.weight", "k.weight", "v.weight"),
    "cross_attn": ("q.weight",),  # k and v read the encoder
    "feed_forward": ("fc1.weight", "gate.weight"),
}
"""Weights of each kind of branch that read the sub-layer's input; [out, in]."""


def fold(
    config: TransformerConfig, parameters: Mapping[str, NDArray[Any]]
) -> tuple[TransformerConfig, Arrays]:
    """Configuration and weights of a model without omega that computes the same function.

    Parameters
    ----------
    config : TransformerConfig
        Of the model to be folded.
        Every sub-layer must be LN(omega (.) x + b): an output norm, no input norm, no second skip from the
        layer's input, and no omega with a 0. So Admin, admin-torch, DeepNorm and Post-LN fold; Pre-LN does
        not.
    parameters : mapping
        Name -> weights; they stay as they are.

    Returns
    -------
    TransformerConfig
        Of scheme ``"post_ln"`` where nothing but omega set the scheme apart from it, with
        ``input_scale="vector"`` where the first omega of a stack is not 1.
    dict
        Name -> weights, float64. A model of them agrees to rounding: about 1e-6 relative in float32, 1e-15 in
        float64.

    Raises
    ------
    ValueError
        Naming the first sub-layer that cannot be folded, and why.

    Examples
    --------
    >>> from admin_py.data.batch import Batch
    >>> from admin_py.model.transformer import Transformer
    >>> config = TransformerConfig(
    ...     vocab_size=20, encoder_layers=2, decoder_layers=2, d_model=8, heads=2, d_ff=16
    ... )
    >>> model, batch = Transformer(config, seed=1, dtype="float64"), Batch([[4, 5, 6]], [[1, 9, 10, 2]])
    >>> _ = model.profile(batch)
    >>> plain, weights = fold(config, model.parameters)
    >>> plain.scheme_name, "encoder.0.self_attn.omega" in weights
    ('post_ln', True)
    """
    for stack in config.stacks:
        _check_stack(config, stack)
    arrays: Arrays = {name: value.astype(np.float64) for name, value in parameters.items()}
    starts = {stack: _fold_stack(config, stack, arrays) for stack in config.stacks}
    plain = _plain_config(config, starts)
    _set_input_scales(plain, starts, arrays)
    return plain, arrays


def _check_stack(config: TransformerConfig, stack: str) -> None:
    for name, residual in zip(config.sublayer_names(stack), config.residuals(stack), strict=True):
        for field, fits, needed in (
            ("norm_pre", residual.norm_pre == "none", "none"),
            ("norm_post", residual.norm_post != "none", "a norm"),
            ("kappa", residual.kappa == 0, "0"),
            ("parallel", not residual.parallel, "False"),
        ):
            if not fits:
                raise ValueError(
                    f"{name} cannot be folded: its {field} is {getattr(residual, field)!r}, and folding "
                    f"needs {needed} there (sub-layers of the form LN(omega x + b), as in Admin)"
                )


def _fold_stack(config: TransformerConfig, stack: str, arrays: Arrays) -> NDArray[np.float64]:
    """Folds all omegas of a stack; returns the scale [D] that its input needs."""
    names, residuals = config.sublayer_names(stack), config.residuals(stack)
    start = np.ones(config.d_model)
    for index, (name, residual) in enumerate(zip(names, residuals, strict=True)):
        if residual.omega.kind == "none":
            continue
        omega = np.broadcast_to(arrays[f"{name}.omega"], config.d_model)
        unusable = np.flatnonzero(~np.isfinite(omega) | (omega == 0))
        if unusable.size:
            raise ValueError(
                f"{name} cannot be folded: its omega must be finite and not 0, got {omega[unusable[0]]} "
                f"for feature {unusable[0]}"
            )
        for reader in READERS[name.rpartition(".")[2]]:
            if f"{name}.{reader}" in arrays:  # only gated branches have a gate
                arrays[f"{name}.{reader}"] = arrays[f"{name}.{reader}"] / omega
        if index == 0:
            start = omega
            continue
        for part in ("gamma", "nu"):
            parameter = f"{names[index - 1]}.norm_post.{part}"
            if parameter in arrays:  # RMSNorm has no nu
                arrays[parameter] = arrays[parameter] * omega
    return start


def _set_input_scales(
    config: TransformerConfig, starts: Mapping[str, NDArray[np.float64]], arrays: Arrays
) -> None:
    """Multiplies the stacks' input scales, or makes them, where the new model has any."""
    for stack, start in starts.items():
        if config.input_scale == "vector":
            arrays[f"{stack}.input_scale"] = arrays.get(f"{stack}.input_scale", np.ones(1)) * start


def _plain_config(config: TransformerConfig, starts: Mapping[str, NDArray[np.float64]]) -> TransformerConfig:
    needs_scale = any(np.any(start != 1) for start in starts.values())
    new = [_plain_scheme(config, stack) for stack in config.stacks]
    return config.replace(
        scheme=new[0] if len(new) == 1 or new[0] == new[1] else tuple(new),
        input_scale="vector" if needs_scale else config.input_scale,
    )


def _plain_scheme(config: TransformerConfig, stack: str) -> Scheme:
    """Post-LN, or the stack's own scheme without omega."""
    scheme, sites = config.stack_scheme(stack), config.sites(stack)
    rows = [dataclasses.replace(row, omega=Scale(), profiled=False) for row in config.residuals(stack)]
    post_ln = schemes.get("post_ln")
    if scheme.final_norm == post_ln.final_norm and all(
        _form(row) == _form(post_ln.residual(site)) for row, site in zip(rows, sites, strict=True)
    ):
        return post_ln
    gain = config.embedding_gain(stack)

    def embedding_gain(site: Site) -> float:
        return gain

    return Scheme(
        f"{scheme.name} folded",
        Table({stack: rows}),
        scheme.source,
        final_norm=scheme.final_norm,
        embedding_gain=embedding_gain,
    )


def _form(residual: Residual) -> tuple[Any, ...]:
    """What of a residual the function depends on, its initial weights apart."""
    skipped = ("init", "qkv_fused_init", "gains")
    return tuple(value for name, value in sorted(vars(residual).items()) if name not in skipped)
