"""A task that needs no files: repeat a sequence of random symbols."""

from __future__ import annotations

import numpy as np

from admin_py.base.arguments import door
from admin_py.base.checks import check_bool, check_integer
from admin_py.data.batching import random_bits
from admin_py.data.dataset import Dataset
from admin_py.data.pairs import encode_pairs
from admin_py.data.reading import LinePairs
from admin_py.data.words import WordTokenizer


@door
def copy_task(
    *,
    symbols: int = 20,
    min_length: int = 4,
    max_length: int = 16,
    reverse: bool = False,
    train: int = 10_000,
    valid: int = 500,
    test: int = 0,
    seed: int = 0,
) -> Dataset:
    """Random sequences of symbols, to be copied or reversed.

    Parameters
    ----------
    symbols : int
        How many there are; they are written "0", "1", and so on.
    min_length, max_length : int
        Symbols of a sequence; every length is equally likely.
    reverse : bool
        The target is the source backwards.
    train, valid, test : int
        Sequences to learn from, held out to look at during a training, and held out until its end; all
        different. valid and test may be 0, and those of test take nothing from the others.
    seed : int
        Of the draw.

    Raises
    ------
    ValueError
        If there are not twice as many sequences as asked for, or an argument is out of range.

    Examples
    --------
    >>> data = copy_task(symbols=8, reverse=True, train=100, valid=10)
    >>> data.vocab_size
    12
    >>> source, target = data.pairs("train")[0]
    >>> source.split() == target.split()[::-1]
    True
    """
    symbols = check_integer("symbols", symbols, 1)
    min_length = check_integer("min_length", min_length, 1)
    max_length = check_integer("max_length", max_length, min_length)
    train = check_integer("train", train, 1)
    valid = check_integer("valid", valid, 0)
    test = check_integer("test", test, 0)
    reverse = check_bool("reverse", reverse)
    wanted = train + valid + test
    # Twice as many, so that drawing until all are different ends soon.
    possible = sum(symbols**length for length in range(min_length, max_length + 1))
    if possible < 2 * wanted:
        raise ValueError(
            f"train + valid + test is {wanted:,}, but there are only {possible:,} sequences of {min_length} "
            f"to {max_length} of {symbols} symbols; at least twice as many are needed"
        )
    bits = random_bits(seed)
    drawn: dict[tuple[int, ...], None] = {}
    # In two goes: what is drawn depends on how much is asked for at once, and test must not change the rest.
    for enough in (train + valid, wanted):
        while len(drawn) < enough:
            for sequence in _draw(enough - len(drawn), symbols, min_length, max_length, bits):
                drawn[sequence] = None
    sources = [" ".join(map(str, sequence)) for sequence in drawn]
    targets = [" ".join(map(str, sequence[::-1] if reverse else sequence)) for sequence in drawn]
    tokenizer = WordTokenizer(str(symbol) for symbol in range(symbols))
    splits = {}
    first = 0
    for key, count in (("train", train), ("valid", valid), ("test", test)):
        if count:
            part = slice(first, first + count)
            splits[key] = encode_pairs(key, LinePairs(sources[part], targets[part]), tokenizer)
        first += count
    return Dataset("reverse_task" if reverse else "copy_task", "translation", tokenizer, splits)


def _draw(
    count: int, symbols: int, min_length: int, max_length: int, bits: np.random.PCG64
) -> list[tuple[int, ...]]:
    # Remainders of 64 random bits: even to one part in 2^64 / symbols.
    lengths = min_length + bits.random_raw(count) % np.uint64(max_length - min_length + 1)
    values = bits.random_raw((count, max_length)) % np.uint64(symbols)
    return [tuple(row[: int(n)].tolist()) for row, n in zip(values, lengths, strict=True)]
