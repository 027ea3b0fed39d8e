"""Text from a model, token by token: greedy decoding and sampling by a plain loop.

Every step reads the whole sequences so far again, so n tokens take n forward passes. The sequences of a batch
grow together and leave it as they end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import MAX_DRAW_SEED, check_array, check_integer, check_number, shown
from admin_py.base.exact_math import exp
from admin_py.data.batch import Batch
from admin_py.data.sequences import Sequences
from admin_py.model.transformer import Transformer

BATCH_SIZE = 64
"""Sequences that grow together: bounds the memory of the logits."""

PER_SOURCE_TOKEN, BESIDES = 2, 10
"""By default a translation has at most so many tokens for each of its source, and so many more."""

AT_LEAST = 32
"""By default a continuation may have so many tokens, however long its prompt is."""

# (logits [B, V], numbers of the sequences [B]) -> next ids [B]
_Choose = Callable[[NDArray[Any], NDArray[np.int64]], NDArray[np.int64]]


@door
def greedy(
    model: Transformer,
    sequences: Any,
    *,
    max_new_tokens: int | None = None,
    bos: int = 1,
    eos: int = 2,
    batch_size: int = BATCH_SIZE,
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

    def likeliest(logits: NDArray[Any], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return logits.argmax(axis=1)

    return _generate(model, sequences, likeliest, max_new_tokens, bos, eos, batch_size)


@door
def sample(
    model: Transformer,
    sequences: Any,
    *,
    max_new_tokens: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    bos: int = 1,
    eos: int = 2,
    batch_size: int = BATCH_SIZE,
) -> list[NDArray[np.int32]]:
    """Tokens drawn from the model's distribution, until the end of the sequence.

    Parameters
    ----------
    model, sequences, max_new_tokens, bos, eos, batch_size
        As of `greedy`.
    temperature : float
        Logits are divided by it: below 1 likely tokens become likelier.
    top_k : int, optional
        Draw from the k likeliest tokens alone.
    seed : int
        Of the draw. Each sequence has random numbers of its own, whatever stands beside it.

    Returns
    -------
    list of int32 arrays
        As of `greedy`.

    Raises
    ------
    ValueError, IndexError
        As `greedy`, and if temperature is not above 0 or top_k not at least 1.
    """
    temperature = _temperature(temperature)
    if top_k is not None:
        top_k = check_integer("top_k", top_k, 1)
    seed = check_integer("seed", seed, 0, MAX_DRAW_SEED)
    streams: dict[int, np.random.PCG64] = {}

    def draw(logits: NDArray[Any], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        for number in numbers.tolist():
            if number not in streams:
                streams[number] = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(number,)))
        # 53 random bits make a number in [0, 1).
        uniform = np.array([(streams[n].random_raw() >> 11) * 2.0**-53 for n in numbers.tolist()])
        return draw_from(logits, uniform, temperature=temperature, top_k=top_k)

    return _generate(model, sequences, draw, max_new_tokens, bos, eos, batch_size)


@door
def draw_from(
    logits: NDArray[Any], uniform: NDArray[np.float64], *, temperature: float = 1.0, top_k: int | None = None
) -> NDArray[np.int64]:
    """Ids [B] that lie at the quantiles uniform [B], in [0, 1), of softmax(logits [B, V] / temperature).

    Examples
    --------
    >>> logits = np.log([[0.2, 0.5, 0.3]] * 4)
    >>> draw_from(logits, np.array([0.0, 0.19, 0.21, 0.99]))
    array([0, 0, 1, 2])
    >>> draw_from(logits, np.array([0.0, 0.19, 0.21, 0.99]), top_k=1)
    array([1, 1, 1, 1])
    """
    logits, uniform = check_array("logits", logits), check_array("uniform", uniform)
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(f"logits must be [B, V], got an array of shape {list(logits.shape)}")
    if uniform.shape != logits.shape[:1]:
        raise ValueError(f"uniform must be [{len(logits)}], got an array of shape {list(uniform.shape)}")
    temperature = _temperature(temperature)
    if top_k is not None:
        top_k = check_integer("top_k", top_k, 1)
    scaled = logits.astype(np.float64)
    with np.errstate(over="ignore"):  # a tiny temperature: all but the likeliest at -inf
        scaled = (scaled - scaled.max(axis=1, keepdims=True)) / temperature
    if top_k is not None and top_k < scaled.shape[1]:
        others = np.argsort(-scaled, axis=1, kind="stable")[:, top_k:]
        np.put_along_axis(scaled, others, -np.inf, axis=1)
    sums = exp(scaled).cumsum(axis=1)
    # The first id whose cumulated probability lies above the quantile: never one of probability 0.
    return (sums > (uniform * sums[:, -1])[:, None]).argmax(axis=1)


def _temperature(value: float) -> float:
    temperature = check_number("temperature", value)
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    return temperature


def _generate(
    model: Transformer,
    sequences: Any,
    choose: _Choose,
    max_new_tokens: int | None,
    bos: int,
    eos: int,
    batch_size: int,
) -> list[NDArray[np.int32]]:
    if max_new_tokens is not None:
        max_new_tokens = check_integer("max_new_tokens", max_new_tokens, 1)
    batch_size = check_integer("batch_size", batch_size, 1)
    size = model.config.vocab_size
    for name, value in (("bos", bos), ("eos", eos)):
        if check_integer(name, value, 0) >= size:
            raise IndexError(f"{name} must be an id of the model's vocabulary of {size}, got {shown(value)}")
    kind = model.config.kind
    if kind == "encoder":
        raise ValueError("model must be an encoder-decoder or a language model; an encoder generates nothing")
    translates = kind != "language_model"
    given = sequences.source if isinstance(sequences, Batch) else _sequences(sequences)
    if translates:
        _check_readable(model, given.lengths)
    limits = _limits(model, given.lengths, max_new_tokens)
    results: list[NDArray[np.int32]] = []
    for start in range(0, len(given), batch_size):
        numbers = np.arange(start, min(start + batch_size, len(given)))
        sources = given.take(numbers)
        begun = [[bos] for _ in numbers] if translates else [list(source) for source in sources]
        several = (begun, numbers, limits[numbers])
        grown = _grow(model, sources if translates else None, *several, choose, eos)
        results += [np.array(ids, dtype=np.int32) for ids in grown]
    return results


def _sequences(given: Any) -> Sequences:
    try:
        return Batch(given).source
    except TypeError as error:
        raise TypeError(f"sequences: {error}") from None
    except ValueError as error:
        raise ValueError(f"sequences: {error}") from None


def _check_readable(model: Transformer, lengths: NDArray[np.int64]) -> None:
    """That an encoder reads the longest source: the bound is said at once for all of them."""
    longest, readable = int(lengths.argmax()), model.config.max_length
    if lengths[longest] > readable:
        over = int((lengths > readable).sum())
        raise ValueError(
            f"sequences must have at most {readable} tokens, the model's max_length, the end counted; number "
            f"{longest} has {lengths[longest]}, and {over} of {len(lengths)} are longer"
        )


def _limits(model: Transformer, lengths: NDArray[np.int64], max_new_tokens: int | None) -> NDArray[np.int64]:
    """Tokens that may be generated after each sequence, [B], from the lengths of what is given, [B]."""
    readable = model.config.max_length
    if model.config.kind == "language_model":
        if max_new_tokens is None:
            return np.maximum(readable - lengths, AT_LEAST)
        return np.full(lengths.shape, max_new_tokens)  # it reads the last tokens, however many there are
    wanted = PER_SOURCE_TOKEN * lengths + BESIDES if max_new_tokens is None else max_new_tokens
    # The last token is not read, but bos is.
    return np.minimum(np.broadcast_to(wanted, lengths.shape), readable)


def _grow(
    model: Transformer,
    sources: Sequences | None,
    begun: list[list[int]],
    numbers: NDArray[np.int64],
    limits: NDArray[np.int64],
    choose: _Choose,
    eos: int,
) -> list[list[int]]:
    """Lengthens every sequence in begun until its end or limit; sources is None for a language model."""
    grown = [list(ids) for ids in begun]
    growing = np.arange(len(grown))
    new = 0
    while growing.size:
        # The last token of a target is predicted, not read: any id will do there.
        window = model.config.max_length
        read = Sequences.from_lists([[*grown[b][-window:], eos] for b in growing])
        batch = Batch(read) if sources is None else Batch(sources.take(growing), read)
        logits = model.forward(batch)  # [M, V]: each sequence has one row less than tokens
        last = np.cumsum(read.lengths - 1) - 1
        ids = choose(_finite(logits[last]), numbers[growing])
        for b, i in zip(growing, ids.tolist(), strict=True):
            grown[b].append(i)
        new += 1
        growing = growing[(ids != eos) & (new < limits[growing])]
    return grown


def _finite(logits: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(logits).all():
        raise ValueError(
            "model gives logits that are not finite, so no token is the likeliest: it has diverged"
        )
    return logits
