"""Beam search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admin_py.base.arguments import door
from admin_py.base.checks import check_choice, check_integer, check_number
from admin_py.data.batch import Batch
from admin_py.generation.limits import (
    BATCH_SIZE,
    BESIDES,
    PER_SOURCE_TOKEN,
    Asked,
    check_asked,
    line,
)
from admin_py.model.decoder import Decoder
from admin_py.model.transformer import Transformer

PENALTIES = ("power", "gnmt")
STOPS = ("bound", "count")


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A sequence that a search has found.

    Attributes
    ----------
    ids : int32 array
        What the model was given to begin with (bos, or the prompt), what follows, and the end.
    score : float
        `log_probability` over the penalty of the length.
    log_probability : float
        Sum of log p of the tokens that follow, in nats, the end included.
    """

    ids: NDArray[np.int32]
    score: float
    log_probability: float


@door
def beam_search(
    model: Transformer,
    sequences: Any,
    *,
    beam: int = 5,
    n_best: int = 1,
    length_penalty: float = 1.0,
    penalty: str = "power",
    min_length: Any = 1,
    max_length: Any = (PER_SOURCE_TOKEN, BESIDES),
    no_repeat_ngram: int = 0,
    stop: str = "bound",
    bos: int = 1,
    eos: int = 2,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], object] | None = None,
) -> list[list[Hypothesis]]:
    """The continuations with the best scores that a search with `beam` open hypotheses finds.

    At every step the 2 `beam` likeliest continuations of a sequence's open hypotheses are looked at in order:
    those among the first `beam` that end are finished, and the first `beam` of the others go on.

    Parameters
    ----------
    model : Transformer
        An encoder-decoder, which translates, or a language model, which continues.
    sequences : list of sequences of int, Sequences or Batch
        Sources, or prompts.
    beam : int
        Hypotheses that are open at once; 1 is greedy, but for where it ends.
    n_best : int
        Hypotheses wanted for each sequence, at most `beam`; there may be fewer where few tokens are possible.
    length_penalty, penalty : float, {"power", "gnmt"}
        Of a hypothesis of n tokens, the end included: n^length_penalty, as in fairseq, or
        ((5 + n) / 6)^length_penalty (Wu et al. 2016, equation 14). 0 is none.
    min_length, max_length : int or pair (a, b)
        Tokens before the end, at least and at most: a n + b, rounded down, for a source or a prompt of n, the
        end counted. Nothing is longer than the model reads. What is as long as it may be ends there. By
        default one token, as in fairseq and CTranslate2: no translation is empty.
    no_repeat_ngram : int
        No hypothesis has the same so many tokens twice in a row of them; 0: it may.
    stop : {"bound", "count"}
        When no open hypothesis can still be better than the `n_best` finished ones, log p being below 0;
        or when `beam` hypotheses have finished, as in fairseq and CTranslate2.
    bos, eos : int
        With what translations begin; the end.
    batch_size : int
        Sequences that are searched at once; those of a length are beside each other.
    progress : callable, optional
        Told the number of sequences after each batch.

    Returns
    -------
    list of lists of Hypothesis
        For each sequence, the best first. Ties go to the continuation of the better hypothesis, and then to
        the smaller id: results depend on nothing but the arguments.

    Raises
    ------
    ValueError, IndexError, TypeError
        As `greedy`, and naming the argument that is out of range.

    Examples
    --------
    >>> from admin_py.model.config import TransformerConfig
    >>> config = TransformerConfig(
    ...     vocab_size=9, encoder_layers=1, decoder_layers=1, d_model=8, heads=2, d_ff=16
    ... )
    >>> found = beam_search(Transformer(config, seed=1), [[4, 5, 2]], beam=3, n_best=2, max_length=4)
    >>> [one.ids[-1].item() for one in found[0]], found[0][0].score >= found[0][1].score
    ([2, 2], True)
    """
    asked = check_asked(model, sequences, bos=bos, eos=eos, batch_size=batch_size)
    beam = check_integer("beam", beam, 1, model.config.vocab_size)
    options = {
        "beam": beam,
        "best": check_integer("n_best", n_best, 1, beam),
        "penalty": check_choice("penalty", penalty, PENALTIES),
        "alpha": check_number("length_penalty", length_penalty),
        "end": check_choice("stop", stop, STOPS),
        "no_repeat": check_integer("no_repeat_ngram", no_repeat_ngram, 0, 2**31 - 1),
        "eos": int(eos),
    }
    least = line("min_length", min_length, asked.given.lengths)
    most = _longest(asked, line("max_length", max_length, asked.given.lengths), model.config.max_length)
    decoder = Decoder(model, bos=int(bos))
    results: list[list[Hypothesis]] = [[] for _ in range(len(asked.given))]
    for numbers in asked.batches(np.arange(len(asked.given))):
        bounds = np.minimum(least[numbers], most[numbers]), most[numbers]
        for b, score, total, ids in search(decoder, asked.batch(numbers), *bounds, options):
            begun = asked.begun[numbers[b]]
            results[numbers[b]].append(Hypothesis(np.concatenate([begun, ids]), score, total))
        if progress is not None:
            progress(numbers.size)
    return results


def _longest(asked: Asked, wanted: NDArray[np.int64], readable: int) -> NDArray[np.int64]:
    """What is asked for, as far as the model reads it after what it begins with."""
    room = readable - asked.begun.lengths
    if (room < 1).any():
        number = int(np.argmax(room < 1))
        raise ValueError(
            f"sequences must leave room for a token: number {number} has {asked.begun.lengths[number]} "
            f"tokens, and the model reads {readable}"
        )
    return np.maximum(np.minimum(wanted, room), 1)


def search(
    decoder: Decoder,
    batch: Batch,
    least: NDArray[np.int64],
    most: NDArray[np.int64],
    options: dict[str, Any],
) -> list[tuple[int, float, float, NDArray[np.int32]]]:
    """(number in the batch, score, sum of log p, what follows) of what the core finds.

    The weights are those of the decoder's first batch.
    """
    core = batch.core(decoder.model.dtype)
    return decoder._core.beam_search(core, least, most, pack=False, **options)
