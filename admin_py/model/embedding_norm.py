"""The norm between embeddings and the first sub-layer, which BERT and BART have."""

from __future__ import annotations

from typing import Any

from admin_py.base.checks import check_choice, shown
from admin_py.schemes import NORMS

STACKS = ("encoder", "decoder")

EmbeddingNorm = str | tuple[str, str]
"""Of both stacks, or the encoder's and the decoder's."""


def check_embedding_norm(given: Any) -> EmbeddingNorm:
    """The norm of both stacks, or a pair of two that differ.

    Raises
    ------
    ValueError, TypeError
        If it is neither.

    Examples
    --------
    >>> check_embedding_norm(["layer", "none"]), check_embedding_norm(("layer", "layer"))
    (('layer', 'none'), 'layer')
    """
    if not isinstance(given, (list, tuple)):
        return check_choice("embedding_norm", given, NORMS)
    if len(given) != len(STACKS):
        raise ValueError(
            f"embedding_norm must be one norm, or the encoder's and the decoder's, got {shown(given)}"
        )
    first, second = (check_choice(f"embedding_norm[{i}]", one, NORMS) for i, one in enumerate(given))
    return first if first == second else (first, second)


def embedding_norm_of(norm: EmbeddingNorm, stack: str) -> str:
    """The norm of one stack."""
    return norm if isinstance(norm, str) else norm[STACKS.index(stack)]
