"""`to_torch_nn`: the stacks of a model as those of ``torch.nn``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.base.arguments import door
from admin_py.base.extras import installed_by
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.obstacles import ANY, Allowed, differing_fields, differing_sublayers, fewest
from admin_py.interop.pieces import Piece
from admin_py.interop.plain import simplified
from admin_py.interop.writing import tensors_of
from admin_py.model.config import STACKS, TransformerConfig
from admin_py.schemes import Scheme, get

if TYPE_CHECKING:
    from admin_py.model.transformer import Transformer

OUTSIDE = (
    "embedding_scale", "share_embeddings", "output_bias", "logits_scale", "logits_cap", "input_scale",
    "embedding_norm",
)  # fmt: skip
"""Fields of what is before and after the stacks."""

ALLOWED: Allowed = {
    **dict.fromkeys((*OUTSIDE, "activation", "norm_eps"), ANY),
    "positions": ("sinusoidal", "learned"),
}

SCHEMES = tuple(
    Scheme(f"{name} with final norm {final}", get(name).rule, final_norm=final)
    for name in ("post_ln", "pre_ln")
    for final in ("none", "layer")
)


@door
def to_torch_nn(model: Transformer) -> dict[str, Any]:
    """The stacks of a model as the state dict of ``torch.nn.Transformer``, or of its halves.

    Parameters
    ----------
    model : Transformer
        Post-LN or Pre-LN; or one that becomes so with the same function, see `to_hugging_face`. It stays as
        it is.

    Returns
    -------
    dict of str to Tensor
        ``encoder.layers.0.self_attn.in_proj_weight`` and so on: of ``TransformerEncoder`` and, beside an
        encoder, ``TransformerDecoder``; the decoder of a language model is a ``TransformerEncoder`` with a
        causal mask. ``encoder.norm`` and ``decoder.norm`` are there where the scheme has final norms, as in
        Pre-LN; make the stacks of Post-LN with ``norm=None``. Embeddings, positions and the output are no
        part of them: a stack reads x_0, times the first omega where that was folded.

    Raises
    ------
    ValueError
        Naming all that stands in the way. `interop.torch.module` holds every model.
    ModuleNotFoundError
        Where PyTorch is not installed.

    Examples
    --------
    .. code-block:: python

        half = torch.nn.Transformer(d_model, heads, n, n, d_ff, dropout, norm_first=True, batch_first=True)
        half.load_state_dict(ap.interop.to_torch_nn(model))      # of Pre-LN
    """
    with installed_by("pretrained"):
        import torch

    written = model if not _obstacles(model.config) else simplified(model, factors=(None, 1.0))
    left = _obstacles(written.config)
    if left:
        raise ValueError(
            f"model cannot be written for torch.nn: it has {'; '.join(left)}. "
            "admin_py.interop.torch.module(model) holds all of it"
        )
    inside = {name: value for name, value in written.parameters.items() if not _is_outside(name)}
    return {
        name: torch.from_numpy(np.array(value))
        for name, value in tensors_of(inside, _places(written.config)).items()
    }


def _obstacles(config: TransformerConfig) -> list[str]:
    return differing_fields(config, ALLOWED) + fewest(differing_sublayers(config, one) for one in SCHEMES)


def _is_outside(name: str) -> bool:
    return (
        name.endswith((".input_scale", "positions.weight", "embedding.weight"))
        or ".norm_embedding." in name
        or name.startswith("output.")
    )


def _places(config: TransformerConfig) -> Any:
    """Norms are numbered in the order of their sub-layers."""
    names = {}
    for stack in config.stacks:
        kinds = [site.kind for site in config.sites(stack)[: config.sublayers_per_layer(stack)]]
        within: dict[str, str | Piece] = {"feed_forward.fc1": "linear1", "feed_forward.fc2": "linear2"}
        within |= {f"{kind}.norm": f"norm{number}" for number, kind in enumerate(kinds, start=1)}
        for ours, theirs in (("self_attn", "self_attn"), ("cross_attn", "multihead_attn")):
            within[f"{ours}.out"] = f"{theirs}.out_proj"
            for number, part in enumerate("qkv"):
                within[f"{ours}.{part}"] = Piece(f"{theirs}.in_proj_", number, 3)
        names[stack] = LayerNames(
            {f"{one}.norm_final": f"{one}.norm" for one in STACKS}, "{stack}.layers.{layer}", within
        )

    def place(name: str) -> Piece:
        piece = names[name.partition(".")[0]](name)
        assert isinstance(piece, Piece)
        return piece._replace(name=piece.name.replace("in_proj_.", "in_proj_"))

    return place
