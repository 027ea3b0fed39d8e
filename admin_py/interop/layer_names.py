"""Where the parameters of a family lie whose names follow one table, a row for each part of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.interop.pieces import Piece

WORDS = {"gamma": "weight", "nu": "bias"}
"""Of a norm, ours -> theirs."""


@dataclass(frozen=True)
class LayerNames:
    """The place of every parameter of ours, by its name.

    Attributes
    ----------
    ends : mapping
        What lies in no layer: the whole name of ours -> theirs, or its values; of a final norm without
        ``gamma`` and ``nu``.
    layer : str
        What the names of a layer begin with, with ``{stack}`` and ``{layer}``.
    within : mapping
        Part of a layer of ours, such as ``"self_attn.q"``, norms as ``"self_attn.norm"``, -> theirs; a
        `Piece` where it is a part of a matrix.
    transposed : bool
        Whether matrices of layers are [in, out].
    words : mapping
        Of norms, ours -> theirs.

    Examples
    --------
    >>> within = {"self_attn.k": Piece("c_attn", 1, 3), "feed_forward.norm": "ln_2"}
    >>> names = LayerNames({}, "h.{layer}", within)
    >>> names("decoder.4.self_attn.k.weight").name, names("decoder.0.feed_forward.norm_pre.nu").name
    ('h.4.c_attn.weight', 'h.0.ln_2.bias')
    """

    ends: Mapping[str, str | Piece | NDArray[Any]]
    layer: str
    within: Mapping[str, str | Piece]
    transposed: bool = False
    words: Mapping[str, str] = field(default_factory=lambda: WORDS)

    def __call__(self, name: str) -> Piece | NDArray[np.float64]:
        """The place of a parameter of ours, or its values."""
        before, _, last = name.rpartition(".")
        word = self.words.get(last, last)
        if name in self.ends:
            found = self.ends[name]
            return Piece(found) if isinstance(found, str) else found
        if before in self.ends:
            return Piece(f"{self.ends[before]}.{word}")
        stack, layer, part = before.split(".", 2)
        theirs = self.within[part.replace(".norm_pre", ".norm").replace(".norm_post", ".norm")]
        piece = Piece(theirs) if isinstance(theirs, str) else theirs
        where = f"{self.layer.format(stack=stack, layer=layer)}.{piece.name}.{word}"
        return piece._replace(name=where, transposed=self.transposed and last == "weight")
