"""A model as plain as it can be written without changing its function: for families that know no omega.

Scales of skips are folded (`Transformer.reparameterise`), those of branches go into the maps beside them,
scales of a stack's input into its embeddings and positions. Dropout commutes with all of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py import schemes
from admin_py.interop.fairseq import sinusoids
from admin_py.interop.llama import PRE_RMS
from admin_py.model.config import TransformerConfig
from admin_py.model.folding import READERS
from admin_py.model.transformer import Transformer
from admin_py.model.undrawn import undrawn
from admin_py.schemes import Residual, Scale, Scheme, Table

Arrays = dict[str, NDArray[np.float64]]

LAST = {"self_attn": "out", "cross_attn": "out", "feed_forward": "fc2"}
"""Map of each kind of branch that gives its output."""

PLAIN = ("post_ln", "pre_ln")


def simplified(model: Transformer, *, factors: tuple[float | None, ...]) -> Transformer:
    """A model that computes the same function, as far as rounding goes, with fewer kinds of parts.

    Parameters
    ----------
    model : Transformer
        It stays as it is.
    factors : tuple
        Values of ``embedding_scale`` that are wanted: the model's own if it is one of them, else the first.

    Returns
    -------
    Transformer
        Without omega where the method allows to fold it, without alpha where no norm follows the branch,
        without scales of inputs and logits; sinusoids as learned positions with the same numbers. Embeddings
        that are scaled in different ways are no longer shared.

    Examples
    --------
    >>> from admin_py.data.batch import Batch
    >>> config = TransformerConfig(
    ...     vocab_size=9, encoder_layers=0, decoder_layers=2, d_model=8, heads=2, d_ff=8, scheme="layer_scale"
    ... )
    >>> model, batch = Transformer(config, dtype="float64"), Batch([[3, 4, 5]])
    >>> plain = simplified(model, factors=(1.0,))
    >>> plain.config.scheme_name, plain.config.embedding_scale, plain.config.share_embeddings
    ('pre_ln', 1.0, 'none')
    >>> bool(np.allclose(plain.forward(batch), model.forward(batch), rtol=1e-12, atol=1e-12))
    True
    """
    if any(
        row.omega.kind != "none" for stack in model.config.stacks for row in model.config.residuals(stack)
    ):
        with suppress(ValueError):  # where the scheme does not allow it omega stays
            model = model.reparameterise()
    arrays: Arrays = {name: value.astype(np.float64) for name, value in model.parameters.items()}
    config = _without_scales(model.config, arrays)
    config = _with_plain_ends(config, arrays, factors)
    with undrawn():
        plain = Transformer(config, seed=model.seed, dtype=model.dtype)
    plain.load_state({name: arrays[name] for name in plain.parameters})
    plain.vocabulary = model.vocabulary
    return plain


def _without_scales(config: TransformerConfig, arrays: Arrays) -> TransformerConfig:
    """alpha into the last map of a branch, the scale of its input into those that read it."""
    new = []
    for stack in config.stacks:
        rows = [
            _fold_branch(name, row, arrays)
            for name, row in zip(config.sublayer_names(stack), config.residuals(stack), strict=True)
        ]
        new.append(_scheme(config, stack, rows))
    if new[0] == new[-1]:
        return config.replace(scheme=new[0])
    return config.replace(scheme=(new[0], new[1]))


def _fold_branch(name: str, row: Residual, arrays: Arrays) -> Residual:
    layer, _, kind = name.rpartition(".")
    if row.input_scale != 1:
        for reader in READERS[kind]:
            if f"{name}.{reader}" in arrays:  # only gated branches have a gate
                arrays[f"{name}.{reader}"] = arrays[f"{name}.{reader}"] * row.input_scale
        row = dataclasses.replace(row, input_scale=1.0)
    if row.alpha.kind == "none" or row.norm_branch != "none":
        return row
    alpha = arrays[f"{layer}.alpha" if row.alpha.shared else f"{name}.alpha"]
    for part, factor in (("weight", alpha[:, np.newaxis]), ("bias", alpha)):
        last = f"{name}.{LAST[kind]}.{part}"
        if last in arrays:
            arrays[last] = arrays[last] * factor
    return dataclasses.replace(row, alpha=Scale())


def _scheme(config: TransformerConfig, stack: str, rows: list[Residual]) -> Scheme:
    """A scheme by its name where the rows are its own."""
    final = config.stack_scheme(stack).final_norm
    for known in (*map(schemes.get, PLAIN), PRE_RMS):
        if known.final_norm == final and all(
            form(row) == form(known.residual(site))
            for row, site in zip(rows, config.sites(stack), strict=True)
        ):
            return known
    return Scheme("simplified", Table({stack: rows}), config.stack_scheme(stack).source, final_norm=final)


def form(row: Residual) -> dict[str, Any]:
    """What of a sub-layer its function depends on; the values of fixed and trained scales are parameters."""
    skipped = ("init", "qkv_fused_init", "gains", "profiled")
    return {name: value for name, value in vars(row).items() if name not in skipped}


def _with_plain_ends(
    config: TransformerConfig, arrays: Arrays, factors: tuple[float | None, ...]
) -> TransformerConfig:
    """Scales of the stacks' inputs, of embeddings and of logits go into the matrices."""
    own = None if config.embedding_scale == math.sqrt(config.d_model) else config.embedding_scale
    factor = own if own in factors else factors[0]
    before, after = (math.sqrt(config.d_model) if one is None else one for one in (own, factor))
    scales = {stack: arrays.get(f"{stack}.input_scale", np.ones(1)) for stack in config.stacks}
    for stack in config.stacks:  # a norm on embeddings takes the scale of what comes after it
        parts = [f"{stack}.norm_embedding.{part}" for part in ("gamma", "nu")]
        if parts[0] in arrays:
            arrays.update({part: arrays[part] * scales[stack] for part in parts if part in arrays})
            scales[stack] = np.ones(1)
    positions = config.positions
    if positions == "sinusoidal":
        positions = "learned"
        for stack in config.stacks:
            arrays[f"{stack}.positions.weight"] = sinusoids(config.max_length, config.d_model, first=0)
    if positions == "learned":
        for stack, scale in scales.items():
            arrays[f"{stack}.positions.weight"] = arrays[f"{stack}.positions.weight"] * scale
    share = _set_embeddings(
        config, arrays, {stack: scale * (before / after) for stack, scale in scales.items()}
    )
    if config.output_bias:
        arrays["output.bias"] = arrays["output.bias"] * config.logits_scale
    return config.replace(
        embedding_scale=factor,
        input_scale="none",
        positions=positions,
        logits_scale=1.0,
        share_embeddings=share,
    )


def _set_embeddings(
    config: TransformerConfig, arrays: Arrays, factors: Mapping[str, NDArray[np.float64]]
) -> str:
    """Multiply the embeddings of each stack by its factors [D]; returns which of them are still shared."""
    share, both = config.share_embeddings, len(config.stacks) == 2
    names = {stack: f"{stack}.embedding.weight" for stack in config.stacks}
    found = {stack: arrays.get(name, arrays.get("embedding.weight")) for stack, name in names.items()}
    scaled = {stack: one * factors[stack] for stack, one in found.items() if one is not None}
    last = config.stacks[-1]
    if last == "encoder":
        arrays["embedding.weight"] = scaled["encoder"]
        return share
    tied = share in ("all", "decoder")
    output = found[last] if tied else arrays["output.weight"]
    assert output is not None
    tied = tied and config.logits_scale == 1 and bool(np.all(factors[last] == 1))
    arrays["output.weight"] = output * config.logits_scale
    one = both and share in ("all", "inputs") and np.array_equal(factors["encoder"], factors["decoder"])
    arrays["embedding.weight"] = scaled[last]
    arrays.update({names[stack]: value for stack, value in scaled.items()})
    if not both:
        return "all" if tied else "none"
    return {(True, True): "all", (False, True): "decoder", (True, False): "inputs"}.get((one, tied), "none")
