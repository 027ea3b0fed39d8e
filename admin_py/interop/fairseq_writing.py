"""`to_fairseq` writes a model as a checkpoint of fairseq's ``transformer`` or ``transformer_lm``."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.base.arguments import door
from admin_py.base.extras import installed_by
from admin_py.base.paths import make_folder, path_of
from admin_py.base.whole_files import written_whole
from admin_py.interop.fairseq import EMBEDDING_NORM, FIRST_POSITION, WITHIN
from admin_py.interop.layer_names import LayerNames
from admin_py.interop.obstacles import ANY, Allowed, differing_fields, differing_sublayers, fewest, meaning
from admin_py.interop.pieces import Piece
from admin_py.interop.plain import simplified
from admin_py.interop.writing import Tensors, tensors_of
from admin_py.model.config import STACKS, TransformerConfig
from admin_py.schemes import get

if TYPE_CHECKING:
    from admin_py.model.transformer import Transformer

ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_tanh": "gelu_accurate",
    "silu": "swish",
    "relu_squared": "relu_squared",
}
"""Ours -> theirs."""

ALLOWED: Allowed = {
    "activation": tuple(ACTIVATIONS),
    "share_embeddings": ANY,
    "embedding_scale": (None, 1.0),
    "positions": ("learned",),
    "embedding_norm": ("none", "layer"),
}

NAMES = {
    "encoder_embed_dim": "d_model", "decoder_embed_dim": "d_model", "encoder_ffn_embed_dim": "d_ff",
    "decoder_ffn_embed_dim": "d_ff", "encoder_layers": "encoder_layers", "decoder_layers": "decoder_layers",
    "encoder_attention_heads": "heads", "decoder_attention_heads": "heads", "dropout": "dropout",
    "attention_dropout": "attention_dropout", "activation_dropout": "activation_dropout",
    "max_source_positions": "max_length", "max_target_positions": "max_length",
    "tokens_per_sample": "max_length",
}  # fmt: skip
"""Theirs -> ours, of settings."""


@door
def to_fairseq(model: Transformer, path: str | os.PathLike[str]) -> Transformer:
    """Write a model as a checkpoint of fairseq's, where that holds it exactly.

    Parameters
    ----------
    model : Transformer
        Post-LN or Pre-LN; or one that becomes so with the same function, as an Admin model does by folding
        omega, see `to_hugging_face`. It stays as it is.
    path : path
        Such as ``checkpoint.pt``. Positions are learned there, whatever they are here, for fairseq's
        sinusoids begin elsewhere.

    Returns
    -------
    Transformer
        What was written: the model, or what it became. `admin_py.load_pretrained` of the file gives its
        parameters bit for bit.

    Raises
    ------
    ValueError
        Naming all that stands in the way. `interop.torch.module` holds every model.
    OSError
        If the file cannot be written.
    ModuleNotFoundError
        Where PyTorch is not installed.

    Notes
    -----
    Ids stay as they are, and fairseq takes id 1 for padding, where the data of this package has 0.

    Examples
    --------
    .. code-block:: python

        ap.interop.to_fairseq(model, "checkpoint.pt")
    """
    with installed_by("pretrained"):
        import torch

    place = path_of(path)
    written = model if not _obstacles(model.config) else simplified(model, factors=(None, 1.0))
    left = _obstacles(written.config)
    if left:
        raise ValueError(
            f"model cannot be written for fairseq: it has {'; '.join(left)}. "
            "admin_py.interop.torch.module(model) holds all of it"
        )
    found = tensors_of(written.parameters, _places(written.config))
    _finish(written.config, found)
    state = {name: torch.from_numpy(np.array(value)) for name, value in found.items()}
    make_folder(place.parent)
    with written_whole(place) as stream:
        torch.save({"args": argparse.Namespace(**_settings(written.config)), "model": state}, stream)
    return written


def _obstacles(config: TransformerConfig) -> list[str]:
    if config.kind == "encoder":
        return ["no decoder"]
    ways = [differing_sublayers(config, get(name)) for name in ("post_ln", "pre_ln")]
    return differing_fields(config, ALLOWED) + fewest(ways)


def _settings(config: TransformerConfig) -> dict[str, Any]:
    pre = config.residuals("decoder")[0].norm_pre != "none"
    share = config.share_embeddings
    language_model = config.kind == "language_model"
    return {
        "arch": "transformer_lm" if language_model else "transformer",
        **{theirs: getattr(config, ours) for theirs, ours in NAMES.items()},
        **{f"{stack}_normalize_before": pre for stack in STACKS},
        **{f"{stack}_learned_pos": True for stack in STACKS},
        "activation_fn": ACTIVATIONS[config.activation],
        "no_scale_embedding": config.embedding_scale == 1.0,
        "share_all_embeddings": share == "all" and not language_model,
        "share_decoder_input_output_embed": share in ("all", "decoder"),
        "adaptive_input": False,
        "layernorm_embedding": meaning(config, "embedding_norm") == "layer",
        "no_token_positional_embeddings": False,
    }


def _places(config: TransformerConfig) -> LayerNames:
    first = "encoder" if config.kind == "encoder_decoder" else "decoder"
    ends: dict[str, Any] = {
        "embedding.weight": f"{first}.embed_tokens.weight",
        "output.weight": "decoder.output_projection.weight",
    }
    for stack in STACKS:
        ends[f"{stack}.embedding.weight"] = f"{stack}.embed_tokens.weight"
        ends[f"{stack}.positions.weight"] = Piece(f"{stack}.embed_positions.weight", skip=FIRST_POSITION)
        ends[f"{stack}.norm_embedding"] = f"{stack}.{EMBEDDING_NORM}"
        ends[f"{stack}.norm_final"] = f"{stack}.layer_norm"
    return LayerNames(ends, "{stack}.layers.{layer}", WITHIN)


def _finish(config: TransformerConfig, tensors: Tensors) -> None:
    """A matrix that is one here is there under each of its names."""
    target, output = "decoder.embed_tokens.weight", "decoder.output_projection.weight"
    if target not in tensors:
        tensors[target] = tensors["encoder.embed_tokens.weight"]
    if config.share_embeddings in ("all", "decoder"):
        tensors[output] = tensors[target]
