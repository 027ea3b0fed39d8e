"""How ranks share the flat buffers out: blocks of two regions, of which one is whole before the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from admin_py.model.transformer import Transformer

LATER = re.compile(r"decoder\.([0-9]+|norm_final)\.")
"""Names of the parameters whose gradients are whole before those of the encoder's layers."""


def cut(length: int, block: int, size: int, *, first: bool = False) -> list[int]:
    """Where the parts of so many ranks begin, and the last one ends: whole blocks, as even as they are.

    Where they are not, the last ranks have more, or the first ones.

    Examples
    --------
    >>> cut(10, 2, 2), cut(7, 2, 3), cut(3, 2, 4)
    ([0, 4, 10], [0, 2, 4, 7], [0, 0, 2, 2, 3])
    >>> cut(10, 2, 2, first=True), cut(7, 2, 3, first=True), cut(3, 2, 4, first=True)
    ([0, 6, 10], [0, 4, 6, 7], [0, 2, 2, 3, 3])
    """
    blocks = -(-length // block)
    more = size - 1 if first else 0
    return [min((rank * blocks + more) // size * block, length) for rank in range(size)] + [length]


class Region:
    """Blocks of the flat buffers, of which every rank owns some that follow each other.

    Parameters
    ----------
    begin, end : int
        Elements.
    block : int
        Elements of a block.
    size : int
        Ranks.
    first : bool
        As of `cut`.
    """

    def __init__(self, begin: int, end: int, block: int, size: int, *, first: bool) -> None:
        self.bounds = [begin + bound for bound in cut(end - begin, block, size, first=first)]
        self.counts = np.diff(self.bounds)
        self.places = (self.counts.tolist(), self.bounds[:-1])

    def of(self, rank: int) -> tuple[int, int]:
        """Where the elements of a rank begin and end."""
        return self.bounds[rank], self.bounds[rank + 1]


def regions(others: int, length: int, block: int, size: int) -> tuple[Region, Region]:
    """All before the decoder's layers, and these, whose gradients are whole before the encoder's layers'.

    Parameters
    ----------
    others : int
        Elements up to the end of the last parameter that is not of the decoder's layers alone.
    length : int
        Elements of all.
    block, size : int
        As of `Region`.

    Examples
    --------
    >>> [region.bounds for region in regions(20, 100, 16, 2)]
    [[0, 16, 32], [32, 80, 100]]
    """
    split = min(-(-others // block) * block, length)
    return Region(0, split, block, size, first=False), Region(split, length, block, size, first=True)


def regions_of(model: Transformer, block: int, size: int) -> tuple[Region, Region]:
    """Those of a model; the second is empty where there is no encoder."""
    length, weights = model._core.trained_length, model._core.weights
    if model.config.encoder_layers == 0:
        return regions(length, length, block, size)
    parameters = model.parameters
    ends = {
        name: (parameters[name].ctypes.data - weights.ctypes.data) // weights.itemsize + parameters[name].size
        for name in model._core.trained
    }
    return regions(max(ends[name] for name in ends if not LATER.match(name)), length, block, size)
