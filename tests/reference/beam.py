"""Beam search by whole passes over plain lists, a sequence at a time; the best of all sequences there are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# ids so far -> log p of what may come next, [V]
Score = Callable[[list[int]], np.ndarray]


@dataclass(frozen=True)
class Options:
    """Of a search, as `admin_py.generation.beam_search` has them, the lengths being those of one sequence."""

    beam: int
    n_best: int = 1
    length_penalty: float = 1.0
    penalty: str = "power"
    least: int = 0
    most: int = 10
    no_repeat_ngram: int = 0
    stop: str = "bound"
    eos: int = 2


@dataclass(frozen=True)
class Found:
    """What follows the prefix, the end included."""

    ids: tuple[int, ...]
    total: float
    score: float


def penalty_of(options: Options, n: int) -> float:
    """Of n tokens, the end included."""
    base = float(n) if options.penalty == "power" else (5 + n) / 6
    return base**options.length_penalty


def repeats(ids: Sequence[int], n: int) -> bool:
    """Whether an n-gram stands twice in ids."""
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return len(set(grams)) < len(grams)


def allowed(options: Options, prefix: list[int], ids: list[int], token: int) -> bool:
    """Whether `token` may follow."""
    if len(ids) == options.most:
        return token == options.eos
    if token == options.eos:
        return len(ids) >= options.least and not (
            options.no_repeat_ngram > 0 and repeats_last([*prefix, *ids, token], options.no_repeat_ngram)
        )
    return not (options.no_repeat_ngram > 0 and repeats_last([*prefix, *ids, token], options.no_repeat_ngram))


def repeats_last(ids: list[int], n: int) -> bool:
    """Whether the last n-gram stands before, too."""
    if len(ids) < n:
        return False
    return any(ids[i : i + n] == ids[-n:] for i in range(len(ids) - n))


def search(score: Score, prefix: list[int], options: Options) -> list[Found]:
    """The n best that a beam finds, the best first."""
    opened: list[tuple[float, list[int]]] = [(0.0, [])]
    finished: list[Found] = []
    for n in range(1, options.most + 2):
        candidates = []
        for rank, (total, ids) in enumerate(opened):
            log_p = score([*prefix, *ids])
            candidates += [
                (-(total + log_p[token]), rank, token)
                for token in range(log_p.size)
                if allowed(options, prefix, ids, token)
            ]
        candidates.sort()
        goes_on: list[tuple[float, list[int]]] = []
        for place, (minus, rank, token) in enumerate(candidates[: 2 * options.beam]):
            if len(goes_on) == options.beam:
                break
            ids = [*opened[rank][1], token]
            if token != options.eos:
                goes_on.append((-minus, ids))
            elif place < options.beam:
                finished.append(Found(tuple(ids), -minus, -minus / penalty_of(options, n)))
        opened = goes_on
        finished.sort(key=lambda found: -found.score)
        if not opened or ends(options, finished, opened, n):
            break
    return finished[: options.n_best]


def ends(options: Options, finished: list[Found], opened: list[tuple[float, list[int]]], n: int) -> bool:
    """Whether the search is over after n tokens."""
    if options.stop == "count":
        return len(finished) >= options.beam
    if len(finished) < options.n_best:
        return False
    lengths = range(n + 1, options.most + 2)
    best = max(total / penalty_of(options, length) for total, _ in opened for length in lengths)
    return best <= finished[options.n_best - 1].score


def exhaustive(score: Score, prefix: list[int], options: Options, vocabulary: int) -> list[Found]:
    """The n best of all sequences."""
    others = [token for token in range(vocabulary) if token != options.eos]
    all_found = []
    for length in range(options.least, options.most + 1):
        for ids in itertools.product(others, repeat=length):
            whole, total = [*ids, options.eos], 0.0
            for i, token in enumerate(whole):
                total += score([*prefix, *whole[:i]])[token]
            all_found.append(Found(tuple(whole), total, total / penalty_of(options, length + 1)))
    return sorted(all_found, key=lambda found: -found.score)[: options.n_best]
