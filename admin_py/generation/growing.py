"""Sequences that grow by a token at a time, each of which is chosen by a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.data.batch import Batch
from admin_py.data.sequences import Sequences
from admin_py.model.decoder import Decoder

# (log p of every token [B, V], numbers of the sequences [B]) -> next ids [B]
Choose = Callable[[NDArray[Any], NDArray[np.int64]], NDArray[np.int64]]


def grow(
    decoder: Decoder, batch: Batch, limits: NDArray[np.int64], choose: Choose, eos: int
) -> list[NDArray[np.int32]]:
    """Lengthens what every sequence of a batch begins with until its end or limit.

    A language model reads no more than the last `max_length` tokens, each at another position than before, so
    that from there on nothing that was kept is of use. The weights are those of the decoder's first batch.
    """
    window = decoder.model.config.max_length
    begun = batch.source if batch.target is None else batch.target
    sources = None if batch.target is None else batch.source
    grown = [list(begun[b]) for b in range(len(begun))]
    growing = np.arange(len(grown))
    _begin(decoder, [ids[-window:] for ids in grown], sources)
    new = 0
    while True:
        ids = choose(decoder.scores, growing)
        for b, i in zip(growing, ids.tolist(), strict=True):
            grown[b].append(i)
        new += 1
        goes_on = (ids != eos) & (new < limits[growing])
        growing = growing[goes_on]
        if not growing.size:
            return [np.array(one, dtype=np.int32) for one in grown]
        if decoder.lengths[goes_on].max() < window:
            if not goes_on.all():
                decoder.reorder(np.flatnonzero(goes_on))
            decoder.step(ids[goes_on])
        else:
            read = None if sources is None else sources.take(growing)
            _begin(decoder, [grown[b][-window:] for b in growing], read)


def _begin(decoder: Decoder, begun: list[list[int]], sources: Sequences | None) -> None:
    prefixes = Sequences.from_lists(begun)
    batch = Batch(prefixes) if sources is None else Batch(sources, prefixes)
    decoder.begin(batch, weights_changed=False)
