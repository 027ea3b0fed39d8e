"""The likeliest token after each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.generation.beam import search
from admin_py.generation.growing import grow
from admin_py.generation.limits import BATCH_SIZE, check_asked, most_tokens
from admin_py.model.decoder import Decoder
from admin_py.model.transformer import Transformer


@door
def greedy(
    model: Transformer,
    sequences: Any,
    *,
    max_new_tokens: int | None = None,
    bos: int = 1,
    eos: int = 2,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], object] | None = None,
) -> list[NDArray[np.int32]]:
    """The likeliest token after each other, until the end of the sequence.

    Parameters
    ----------
    model : Transformer
        An encoder-decoder, which translates, or a language model, which continues.
    sequences : list of sequences of int, Sequences or Batch
        The sources of an encoder-decoder, or a language model's prompts.
    max_new_tokens : int, optional
        Generate at most so many tokens for each sequence, `eos` included. An encoder-decoder never generates
        more than the `model.config.max_length` that it can read: a larger number means that one. By default a
        translation has at most twice as many tokens as its source and 10 more, and a continuation ends where
        prompt and continuation are `model.config.max_length` tokens long, but not before 32.
    bos, eos : int
        With what an encoder-decoder's target begins; after what nothing is generated.
    batch_size : int
        Sequences that are read at once.
    progress : callable, optional
        Told the number of sequences after each batch.

    Returns
    -------
    list of int32 arrays
        For each sequence what the model was given to begin with (`bos`, or the prompt), what it generated,
        and `eos` if it came. Equal logits go to the smaller id. A language model reads no more than the last
        `model.config.max_length` tokens.

    Raises
    ------
    ValueError
        If the model is an encoder, max_new_tokens is below 1, a sequence is empty or too long, or the
        model's logits are not finite.
    IndexError
        If an id is not in the model's vocabulary.

    Examples
    --------
    >>> from admin_py.model.config import TransformerConfig
    >>> config = TransformerConfig(
    ...     vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> model = Transformer(config, seed=1)
    >>> [ids.size <= 1 + 5 for ids in greedy(model, [[4, 5, 2], [6, 2]], max_new_tokens=5)]
    [True, True]
    >>> [ids.size <= 1 + 2 * n + 10 for n, ids in zip((3, 2), greedy(model, [[4, 5, 2], [6, 2]]))]
    [True, True]
    """
    asked = check_asked(model, sequences, bos=bos, eos=eos, batch_size=batch_size)
    limits = most_tokens(model, asked.given.lengths, max_new_tokens)
    # A search with one hypothesis, as far as the model reads the whole of it.
    within = asked.begun.lengths + limits <= model.config.max_length + 1
    results: list[NDArray[np.int32]] = [np.empty(0, np.int32)] * len(asked.given)
    decoder = Decoder(model, bos=int(bos))
    options = {"beam": 1, "alpha": 0.0, "end": "count", "cut": True, "eos": int(eos)}
    for numbers in asked.batches(np.flatnonzero(within)):
        least = np.zeros(numbers.size, np.int64)
        for b, _, _, ids in search(decoder, asked.batch(numbers), least, limits[numbers], options):
            results[numbers[b]] = np.concatenate([asked.begun[numbers[b]], ids])
        _tell(progress, numbers)
    for numbers in asked.batches(np.flatnonzero(~within)):
        grown = grow(decoder, asked.batch(numbers), limits[numbers], _likeliest, eos)
        for number, ids in zip(numbers, grown, strict=True):
            results[number] = ids
        _tell(progress, numbers)
    return results


def _tell(progress: Callable[[int], object] | None, numbers: NDArray[np.int64]) -> None:
    if progress is not None:
        progress(numbers.size)


def _likeliest(scores: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return scores.argmax(axis=1)
