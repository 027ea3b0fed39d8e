"""Which sequences make a batch: buckets of like length, a budget of tokens, a reproducible order.

Random order comes from the raw bits of PCG64, which NumPy keeps the same for ever (the methods of its
Generator may change from release to release), so a seed means the same batches on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import MAX_DRAW_SEED, check_bool, check_integer

# Lengths of one bucket differ by at most a quarter.
BUCKET_GROWTH = 4


def random_bits(seed: int) -> np.random.PCG64:
    """The source of random bits of a seed, an integer >= 0."""
    return np.random.PCG64(np.random.SeedSequence(check_integer("seed", seed, 0, MAX_DRAW_SEED)))


def random_order(count: int, bits: np.random.PCG64) -> NDArray[np.int64]:
    """The numbers 0 .. count - 1 in random order, int64 [count]."""
    return np.argsort(bits.random_raw(count), kind="stable")


def plan_batches(
    lengths: NDArray[np.int64], max_tokens: int, *, seed: int = 0, shuffle: bool = True
) -> list[NDArray[np.int64]]:
    """Cuts one epoch into batches.

    Parameters
    ----------
    lengths : int64 [B, sides]
        Tokens of every sequence on each side (source, and target if there is one).
    max_tokens : int
        A batch holds at most so many tokens on either side.
    seed : int
        Of the order.
    shuffle : bool
        True: sequences of like length (a bucket) come together, in random order within the bucket, and the
        batches come in random order. False: the sequences' own order.

    Returns
    -------
    list of int64 arrays
        The numbers of the sequences of each batch; every sequence is in exactly one.

    Raises
    ------
    ValueError
        If a single sequence is longer than max_tokens.

    Examples
    --------
    >>> import numpy as np
    >>> plan_batches(np.array([[3], [2], [4], [1]]), 5, shuffle=False)
    [array([0, 1]), array([2, 3])]
    """
    max_tokens = check_integer("max_tokens", max_tokens, 1)
    shuffle = check_bool("shuffle", shuffle)
    bits = random_bits(seed)
    longest = lengths.max(axis=1)
    if longest.size and longest.max() > max_tokens:
        worst = int(longest.argmax())
        raise ValueError(
            f"max_tokens is {max_tokens}, but sequence {worst} alone has {longest[worst]} tokens: raise "
            "max_tokens, or make the data with a smaller max_length"
        )
    order = np.arange(longest.size)
    if shuffle:
        order = random_order(longest.size, bits)
        order = order[np.argsort(_buckets(longest)[order], kind="stable")]
    batches = _cut(order, lengths, max_tokens)
    if shuffle:
        batches = [batches[i] for i in random_order(len(batches), bits)]
    return batches


def _buckets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the bucket of each length; the bounds grow by a quarter, in whole numbers."""
    bounds = [1]
    while bounds[-1] <= lengths.max(initial=0):
        bounds.append(bounds[-1] + max(1, bounds[-1] // BUCKET_GROWTH))
    return np.searchsorted(np.array(bounds), lengths, side="right")


def _cut(order: NDArray[np.int64], lengths: NDArray[np.int64], max_tokens: int) -> list[NDArray[np.int64]]:
    """Cuts order into runs, each as long as the budget allows."""
    # sums[k]: tokens on each side of the first k sequences
    sums = np.zeros((order.size + 1, lengths.shape[1]), np.int64)
    np.cumsum(lengths[order], axis=0, out=sums[1:])
    batches = []
    start = 0
    while start < order.size:
        end = min(
            int(np.searchsorted(sums[:, side], sums[start, side] + max_tokens, side="right")) - 1
            for side in range(lengths.shape[1])
        )
        batches.append(order[start:end])
        start = end
    return batches
