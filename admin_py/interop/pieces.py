"""Where each parameter of ours lies in somebody else's model, and copying it from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.interop.source import Source
from admin_py.model.transformer import Transformer


class Piece(NamedTuple):
    """A tensor of theirs, or a part of its rows, that is a parameter of ours.

    Attributes
    ----------
    name : str
        Theirs.
    part, parts : int
        Which of so many equal parts of the rows it is: 1 of 3 are the keys of q, k and v in one matrix.
    groups : int
        Of rows, each of which has these parts: heads, where q, k and v lie head by head.
    skip : int
        Rows at the beginning that are not read.
    transposed : bool
        Theirs is [in, out]; parts and skip are of its columns.
    plus : float
        Added to theirs.
    """

    name: str
    part: int = 0
    parts: int = 1
    skip: int = 0
    transposed: bool = False
    plus: float = 0.0
    groups: int = 1


Places = Callable[[str], Piece | NDArray[np.float64]]
"""From the name of a parameter of ours to its place, or to its values where theirs has no tensor."""


def part_of(rows: NDArray[Any], piece: Piece, count: int) -> NDArray[Any]:
    """Of each group of rows the part of `count` rows, one below the other.

    Examples
    --------
    >>> part_of(np.arange(12), Piece("q_k", 1, 2, groups=3), 2).tolist()
    [2, 3, 6, 7, 10, 11]
    """
    grouped = rows.reshape(piece.groups, piece.parts, count, *rows.shape[1:])
    return grouped[:, piece.part].reshape(piece.groups * count, *rows.shape[1:])


def copy_parameters(model: Transformer, source: Source, places: Places) -> None:
    """Give every parameter of a model its values from a source, one tensor after another.

    Raises
    ------
    ValueError
        If a tensor is missing, of another shape than the model's sizes ask for, or holds what is no number;
        naming the tensor, what it is and what was expected.
    """
    for name, values in model.parameters.items():
        piece = places(name)
        if not isinstance(piece, Piece):
            if piece.shape != values.shape:
                raise ValueError(
                    f"{source.where}: what is {name!r} here must be of shape {list(values.shape)}, got "
                    f"{list(piece.shape)}"
                )
            if not np.isfinite(piece).all():
                raise ValueError(f"{source.where}: what is {name!r} here holds numbers that are not finite")
            values[...] = piece
            continue
        found = source.take(piece.name)
        if piece.transposed:
            found = found.T
        rows = found[piece.skip :] if found.ndim else found.reshape(1)
        count = len(rows) // (piece.groups * piece.parts)
        whole = count * piece.groups * piece.parts == len(rows)
        part = part_of(rows, piece, count) if whole else rows
        if not whole or part.shape != values.shape:
            of = "" if piece.parts == 1 else f", of which one of {piece.parts} parts is {name!r}"
            expected = [piece.skip + piece.parts * values.shape[0], *values.shape[1:]]
            turned = slice(None, None, -1 if piece.transposed else 1)
            raise ValueError(
                f"{source.where}: {piece.name!r}{of} must be of shape {expected[turned]}, got "
                f"{list(source.shapes[piece.name])}"
            )
        if not np.isfinite(part).all():
            raise ValueError(f"{source.where}: {piece.name!r} holds numbers that are not finite")
        values[...] = part + part.dtype.type(piece.plus) if piece.plus else part
