"""How a trained model finds text: by beam search, drawn, or the likeliest token after each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from admin_py.base.progress import Bar, shows_bars
from admin_py.data.sequences import Sequences
from admin_py.data.tokenizer import BOS, EOS, Tokenizer
from admin_py.generation import BATCH_SIZE, beam_search, greedy, sample
from admin_py.generation.beam import Hypothesis
from admin_py.model.transformer import Transformer

SEARCH = ("beam", "length_penalty", "penalty", "min_length", "max_length", "no_repeat_ngram", "stop")
"""Options of a search, as `beam_search` has them: what a recipe says of them holds where nothing is given."""

DRAW = ("top_k", "top_p", "seed")
"""Options of a draw, besides the temperature, which makes one."""

LENGTHS = ("min_length", "max_length")
"""Options that may be pairs, which are lists in files."""


@dataclass(frozen=True)
class Translation:
    """A text that a model has found for another one.

    Attributes
    ----------
    text : str
    score, log_probability : float
        As of `admin_py.generation.beam.Hypothesis`; nan where no search has found it.
    """

    text: str
    score: float
    log_probability: float


@dataclass(frozen=True)
class Decoding:
    """How text is found; `decoding_of` makes one.

    Attributes
    ----------
    search : mapping or None
        Options of `beam_search`, if it is to search.
    draw : mapping or None
        Options of `sample`, if it is to draw.
    max_new_tokens : int or None
        Of `greedy` and `sample`.
    """

    search: Mapping[str, Any] | None
    draw: Mapping[str, Any] | None
    max_new_tokens: int | None

    def find(
        self,
        model: Transformer,
        given: Sequences,
        *,
        numbers: Any = None,
        batch_size: int = BATCH_SIZE,
        progress: Callable[[int], object] | None = None,
    ) -> list[list[Hypothesis]]:
        """What it finds for sources or prompts, the best first; numbers are those of `sample`."""
        every: dict[str, Any] = {"bos": BOS, "eos": EOS, "batch_size": batch_size, "progress": progress}
        if self.search is not None:
            return beam_search(model, given, **self.search, **every)
        every["max_new_tokens"] = self.max_new_tokens
        if self.draw is not None:
            found = sample(model, given, **self.draw, numbers=numbers, **every)
        else:
            found = greedy(model, given, **every)
        return [[Hypothesis(ids, math.nan, math.nan)] for ids in found]


def translations(tokenizer: Tokenizer, hypotheses: list[Hypothesis]) -> list[Translation]:
    """What was found, as text."""
    return [Translation(tokenizer.decode(one.ids), one.score, one.log_probability) for one in hypotheses]


def told_search(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a search that the settings of a training tell, such as its recipe's; {} for none.

    Examples
    --------
    >>> told_search({"lr": 1e-3}), told_search({"decoding": {"beam": 5, "max_length": [1.2, 10]}})
    ({}, {'beam': 5, 'max_length': (1.2, 10)})
    """
    told = settings.get("decoding")
    if not isinstance(told, Mapping) or told.get("beam") is None:
        return {}
    found = {name: told[name] for name in SEARCH if told.get(name) is not None}
    return found | {name: tuple(found[name]) for name in LENGTHS if _is_pair(found.get(name))}


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def decoding_of(settings: Mapping[str, Any], asked: Mapping[str, Any]) -> Decoding:
    """How text is found.

    Parameters
    ----------
    settings : mapping
        Of the training.
    asked : mapping
        Arguments of `TrainedModel.generate` by their names; None is as not given.

    Raises
    ------
    ValueError
        If the longest is given in two ways.

    Examples
    --------
    >>> decoding_of({}, {}), decoding_of({"decoding": {"beam": 5}}, {"beam": 2, "n_best": 2})
    (Decoding(search=None, draw=None, max_new_tokens=None),
     Decoding(search={'beam': 2, 'n_best': 2}, draw=None, max_new_tokens=None))
    """
    given = {name: value for name, value in asked.items() if value is not None}
    longest = given.get("max_new_tokens")
    if "temperature" in given:
        draw = {name: given[name] for name in ("temperature", *DRAW) if name in given}
        return Decoding(None, draw, longest)
    search = told_search(settings) | {name: given[name] for name in (*SEARCH, "n_best") if name in given}
    if "beam" not in search:
        return Decoding(None, None, longest)
    if longest is not None:
        if "max_length" in given:
            raise ValueError("max_new_tokens and max_length both say how long it may be, give one of them")
        search["max_length"] = longest
    return Decoding(search, None, None)


@contextmanager
def telling(progress: bool, total: int, what: str) -> Iterator[Callable[[int], None] | None]:
    """What is told how many are done, for a bar where one can be seen."""
    if not progress or not shows_bars():
        yield None
        return
    bar = Bar(total, 0, what=what, unit="line")
    try:
        yield lambda count: bar.update(count=count)
    finally:
        bar.close()
