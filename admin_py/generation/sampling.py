"""Tokens drawn from the model's distribution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import MAX_COUNT, MAX_DRAW_SEED, check_array, check_integer, check_number, shown
from admin_py.base.exact_math import exp
from admin_py.generation.growing import grow
from admin_py.generation.limits import BATCH_SIZE, check_asked, most_tokens
from admin_py.model.decoder import Decoder
from admin_py.model.transformer import Transformer


@door
def sample(
    model: Transformer,
    sequences: Any,
    *,
    max_new_tokens: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    numbers: Any = None,
    bos: int = 1,
    eos: int = 2,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], object] | None = None,
) -> list[NDArray[np.int32]]:
    """Tokens drawn from the model's distribution, until the end of the sequence.

    Parameters
    ----------
    model, sequences, max_new_tokens, bos, eos, batch_size, progress
        As of `greedy`.
    temperature : float
        Logits are divided by it: below 1 likely tokens become likelier.
    top_k : int, optional
        Draw from the k likeliest tokens alone.
    top_p : float, optional
        Draw from the fewest likeliest tokens alone whose probabilities add up to p (Holtzman et al. 2020), of
        those that top_k leaves.
    seed : int
        Of the draw. Each sequence has random numbers of its own, whatever stands beside it.
    numbers : array of int, optional
        By which those are told apart, a number a sequence: 0, 1, 2 and so on by default. Of a part of many
        sequences their numbers among all draw the same as all at once.

    Returns
    -------
    list of int32 arrays
        As of `greedy`.

    Raises
    ------
    ValueError, IndexError
        As `greedy`, and if temperature is not above 0, top_k not at least 1 or top_p not
        above 0 and at most 1.
    """
    temperature = _temperature(temperature)
    if top_k is not None:
        top_k = check_integer("top_k", top_k, 1)
    top_p = _top_p(top_p)
    seed = check_integer("seed", seed, 0, MAX_DRAW_SEED)
    asked = check_asked(model, sequences, bos=bos, eos=eos, batch_size=batch_size)
    count = len(asked.given)
    limits = most_tokens(model, asked.given.lengths, max_new_tokens)
    named = _numbers(numbers, count)
    decoder = Decoder(model, bos=int(bos))
    results: list[NDArray[np.int32]] = []
    for start in range(0, count, asked.batch_size):
        chosen = np.arange(start, min(start + asked.batch_size, count))
        streams = [_stream(seed, number) for number in named[chosen].tolist()]

        def draw(
            scores: NDArray[Any], rows: NDArray[np.int64], streams: list[np.random.PCG64] = streams
        ) -> NDArray[np.int64]:
            # 53 random bits make a number in [0, 1).
            uniform = np.array([(streams[row].random_raw() >> 11) * 2.0**-53 for row in rows.tolist()])
            return draw_from(scores, uniform, temperature=temperature, top_k=top_k, top_p=top_p)

        results += grow(decoder, asked.batch(chosen), limits[chosen], draw, eos)
        if progress is not None:
            progress(chosen.size)
    return results


def _numbers(given: Any, count: int) -> NDArray[np.int64]:
    """A number of each sequence."""
    if given is None:
        return np.arange(count)
    array = check_array("numbers", given, "iu")
    if array.shape != (count,):
        raise ValueError(f"numbers must be [{count}], one a sequence, got {shown(given)}")
    if array.size and not 0 <= int(array.min()) <= int(array.max()) <= MAX_COUNT:
        raise ValueError(f"numbers must be from 0 to {MAX_COUNT}, got {shown(given)}")
    return array.astype(np.int64)


def _stream(seed: int, number: int) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(number,)))


@door
def draw_from(
    logits: NDArray[Any],
    uniform: NDArray[np.float64],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> NDArray[np.int64]:
    """Ids [B] that lie at the quantiles uniform [B], in [0, 1), of softmax(logits [B, V] / temperature).

    Examples
    --------
    >>> logits = np.log([[0.2, 0.5, 0.3]] * 4)
    >>> draw_from(logits, np.array([0.0, 0.19, 0.21, 0.99]))
    array([0, 0, 1, 2])
    >>> draw_from(logits, np.array([0.0, 0.19, 0.21, 0.99]), top_k=1)
    array([1, 1, 1, 1])
    >>> draw_from(logits, np.array([0.0, 0.19, 0.61, 0.99]), top_p=0.7)
    array([1, 1, 1, 2])
    """
    logits, uniform = check_array("logits", logits), check_array("uniform", uniform)
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(f"logits must be [B, V], got an array of shape {list(logits.shape)}")
    if uniform.shape != logits.shape[:1]:
        raise ValueError(f"uniform must be [{len(logits)}], got an array of shape {list(uniform.shape)}")
    temperature = _temperature(temperature)
    if top_k is not None:
        top_k = check_integer("top_k", top_k, 1)
    top_p = _top_p(top_p)
    scaled = logits.astype(np.float64)
    with np.errstate(over="ignore"):  # a tiny temperature: all but the likeliest at -inf
        scaled = (scaled - scaled.max(axis=1, keepdims=True)) / temperature
    if top_k is not None and top_k < scaled.shape[1]:
        others = np.argsort(-scaled, axis=1, kind="stable")[:, top_k:]
        np.put_along_axis(scaled, others, -np.inf, axis=1)
    if top_p is not None and top_p < 1.0:
        _leave_unlikely(scaled, top_p)
    sums = exp(scaled).cumsum(axis=1)
    # The first id whose cumulated probability lies above the quantile: never one of probability 0.
    return (sums > (uniform * sums[:, -1])[:, None]).argmax(axis=1)


def _temperature(value: float) -> float:
    temperature = check_number("temperature", value)
    if temperature <= 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    return temperature


def _top_p(value: float | None) -> float | None:
    if value is None:
        return None
    top_p = check_number("top_p", value)
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")
    return top_p


def _leave_unlikely(scaled: NDArray[np.float64], top_p: float) -> None:
    """-inf where the likelier ones of a row [B, V] have top_p of the probability already."""
    order = np.argsort(-scaled, axis=1, kind="stable")
    sums = exp(np.take_along_axis(scaled, order, axis=1)).cumsum(axis=1)
    before = np.concatenate([np.zeros((len(sums), 1)), sums[:, :-1]], axis=1)
    kept = before < top_p * sums[:, -1:]
    kept[:, 0] = True
    values = np.where(kept, np.take_along_axis(scaled, order, axis=1), -np.inf)
    np.put_along_axis(scaled, order, values, axis=1)
