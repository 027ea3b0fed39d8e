"""The parameters of a model as tensors of another library: the way back of `pieces`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.interop.pieces import Piece, Places

Tensors = dict[str, NDArray[Any]]


def tensors_of(parameters: Mapping[str, NDArray[Any]], places: Places) -> Tensors:
    """Name of theirs -> tensor, put together of the parameters that are its parts.

    Parameters that theirs has no tensor for, of which `places` gives the values, are left out.

    Examples
    --------
    >>> ours = {"q": np.zeros((1, 2)), "k": np.ones((1, 2))}
    >>> places = {"q": Piece("qk", 0, 2, transposed=True), "k": Piece("qk", 1, 2, transposed=True)}
    >>> tensors_of(ours, places.__getitem__)["qk"].tolist()
    [[0.0, 1.0], [0.0, 1.0]]
    """
    found: dict[str, dict[int, NDArray[Any]]] = {}
    pieces: dict[str, Piece] = {}
    for name, values in parameters.items():
        piece = places(name)
        if isinstance(piece, Piece):
            found.setdefault(piece.name, {})[piece.part] = values
            pieces[piece.name] = piece
    return {name: _joined(pieces[name], parts) for name, parts in found.items()}


def kept(parameters: Mapping[str, NDArray[Any]], places: Places) -> Tensors:
    """The parameters that do not come back as they are, since theirs is less by a number, as they come back.

    Examples
    --------
    >>> places = {"gamma": Piece("weight", plus=1.0)}
    >>> found = kept({"gamma": np.array([1.5, 1e-20])}, places.__getitem__)
    >>> found["gamma"].tolist()
    [1.5, 0.0]
    """
    found = {}
    for name, values in parameters.items():
        piece = places(name)
        if isinstance(piece, Piece) and piece.plus:
            plus = values.dtype.type(piece.plus)
            back = (values - plus) + plus
            if not np.array_equal(back, values):
                found[name] = back
    return found


def _joined(piece: Piece, parts: Mapping[int, NDArray[Any]]) -> NDArray[Any]:
    rows = [parts[number] for number in range(piece.parts)]
    if piece.plus:
        rows = [row - row.dtype.type(piece.plus) for row in rows]
    if piece.groups > 1:
        grouped = [row.reshape(piece.groups, -1, *row.shape[1:]) for row in rows]
        rows = [np.concatenate(grouped, axis=1).reshape(-1, *rows[0].shape[1:])]
    skipped = np.zeros((piece.skip, *rows[0].shape[1:]), rows[0].dtype)
    whole = np.concatenate([skipped, *rows]) if piece.skip or len(rows) > 1 else rows[0]
    return np.ascontiguousarray(whole.T if piece.transposed else whole)
