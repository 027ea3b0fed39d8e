"""How long what is generated may be, and what it begins with."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from admin_py.base.checks import MAX_COUNT, check_integer, check_number, shown
from admin_py.data.batch import Batch
from admin_py.data.sequences import Sequences
from admin_py.model.transformer import Transformer

BATCH_SIZE = 64
"""Sequences that grow together: bounds the memory of the logits."""

PER_SOURCE_TOKEN, BESIDES = 2, 10
"""By default a translation has at most so many tokens for each of its source, and so many more."""

AT_LEAST = 32
"""By default a continuation may have so many tokens, however long its prompt is."""


class Asked(NamedTuple):
    """Sequences to be continued, checked."""

    given: Sequences
    """Sources or prompts."""
    begun: Sequences
    """What the results begin with: bos, or the prompts themselves."""
    batch_size: int

    def batch(self, numbers: NDArray[np.int64]) -> Batch:
        """The sequences of these numbers, as a decoder begins with them."""
        begun = self.begun.take(numbers)
        return Batch(begun) if self.begun is self.given else Batch(self.given.take(numbers), begun)

    def batches(self, chosen: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The chosen numbers by batches, the longest first, so that those of a batch end together."""
        return [chosen[some] for some in by_length(self.given.lengths[chosen], self.batch_size)]


def check_asked(model: Transformer, sequences: Any, *, bos: Any, eos: Any, batch_size: Any) -> Asked:
    """The arguments that all ways to generate have in common."""
    batch_size = check_integer("batch_size", batch_size, 1)
    check_special_ids(model, bos=bos, eos=eos)
    translates = check_generates(model)
    given = given_sequences(model, sequences)
    return Asked(given, Sequences.from_lists([[bos]] * len(given)) if translates else given, batch_size)


def check_special_ids(model: Transformer, **ids: Any) -> None:
    """That bos and eos are ids of the model's vocabulary."""
    size = model.config.vocab_size
    for name, value in ids.items():
        if check_integer(name, value, 0) >= size:
            raise IndexError(f"{name} must be an id of the model's vocabulary of {size}, got {shown(value)}")


def check_generates(model: Transformer) -> bool:
    """Whether the model translates; it continues otherwise."""
    if model.config.kind == "encoder":
        raise ValueError("model must be an encoder-decoder or a language model; an encoder generates nothing")
    return model.config.kind != "language_model"


def given_sequences(model: Transformer, sequences: Any) -> Sequences:
    """The sources or prompts, which the model can read."""
    if isinstance(sequences, Batch):
        given = sequences.source
    else:
        try:
            given = Batch(sequences).source
        except TypeError as error:
            raise TypeError(f"sequences: {error}") from None
        except ValueError as error:
            raise ValueError(f"sequences: {error}") from None
    if model.config.kind != "language_model":
        _check_readable(model, given.lengths)
    return given


def _check_readable(model: Transformer, lengths: NDArray[np.int64]) -> None:
    """That an encoder reads the longest source: the bound is said at once for all of them."""
    longest, readable = int(lengths.argmax()), model.config.max_length
    if lengths[longest] > readable:
        over = int((lengths > readable).sum())
        raise ValueError(
            f"sequences must have at most {readable} tokens, the model's max_length, the end counted; number "
            f"{longest} has {lengths[longest]}, and {over} of {len(lengths)} are longer"
        )


def most_tokens(
    model: Transformer, lengths: NDArray[np.int64], max_new_tokens: int | None
) -> NDArray[np.int64]:
    """Tokens that may be generated after each sequence, [B], from the lengths of what is given, [B]."""
    if max_new_tokens is not None:
        max_new_tokens = check_integer("max_new_tokens", max_new_tokens, 1)
    readable = model.config.max_length
    if model.config.kind == "language_model":
        if max_new_tokens is None:
            return np.maximum(readable - lengths, AT_LEAST)
        return np.full(lengths.shape, max_new_tokens)  # it reads the last tokens, however many there are
    wanted = PER_SOURCE_TOKEN * lengths + BESIDES if max_new_tokens is None else max_new_tokens
    # The last token is not read, but bos is.
    return np.minimum(np.broadcast_to(wanted, lengths.shape), readable)


def line(name: str, given: Any, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """floor(a n + b) for the length n of each sequence, from a pair (a, b) or from b alone."""
    pair = given if isinstance(given, tuple) else (0.0, given)
    if len(pair) != 2:
        raise ValueError(f"{name} must be a pair (a, b), for a n + b tokens, or b alone, got {shown(given)}")
    a, b = (_from_zero(name, part) for part in pair)
    return np.floor(a * lengths + b).astype(np.int64)


def _from_zero(name: str, value: Any) -> float:
    number = check_number(name, value)
    if not 0 <= number <= MAX_COUNT:
        raise ValueError(f"{name} must be from 0 to {MAX_COUNT}, got {shown(value)}")
    return number


def by_length(lengths: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Numbers of the sequences of each batch, the longest first, so that those of a batch end together."""
    order = np.argsort(-lengths, kind="stable")
    return [order[start : start + batch_size] for start in range(0, order.size, batch_size)]
