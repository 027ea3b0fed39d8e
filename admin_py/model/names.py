"""Where a weight matrix belongs, told from its name."""

from __future__ import annotations

from typing import NamedTuple

KINDS = ("q", "k", "v", "out", "fc1", "gate", "fc2", "embedding")
"""Of weight matrices; in the paper Q, K, V, O, 1, 2 (and no gate). Learned positions count as embeddings."""

SHARED = "shared"
"""Stack of a matrix that belongs to no single one: an embedding that encoder and decoder share."""

NO_LAYER = -1


class MatrixPlace(NamedTuple):
    """Place of a weight matrix.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    stack : str
        ``"encoder"``, ``"decoder"`` or ``"shared"``.
    layer : int
        Counted from 0; -1 for embeddings.
    sublayer : str
        ``"self_attn"``, ``"cross_attn"`` or ``"feed_forward"``; empty for embeddings.
    """

    kind: str
    stack: str
    layer: int
    sublayer: str


def place_of(name: str) -> MatrixPlace:
    """Place of a matrix, from a name such as ``decoder.2.cross_attn.q.weight``.

    Examples
    --------
    >>> place_of("decoder.2.cross_attn.q.weight")
    MatrixPlace(kind='q', stack='decoder', layer=2, sublayer='cross_attn')
    >>> place_of("embedding.weight")[:3], place_of("output.weight")[:3]
    (('embedding', 'shared', -1), ('embedding', 'decoder', -1))
    """
    parts = name.split(".")
    if len(parts) > 3:
        return MatrixPlace(parts[-2], parts[0], int(parts[1]), parts[2])
    stack = {"embedding": SHARED, "output": "decoder"}.get(parts[0], parts[0])
    return MatrixPlace("embedding", stack, NO_LAYER, "")
