"""Translating the held-out sentences of a training and scoring them: how it is asked for, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from admin_py.base.checks import check_choice, check_integer, check_mapping, check_number, shown
from admin_py.data import MosesTokenizer, NumberTokenizer, WordTokenizer, remove_bpe
from admin_py.data.tokenizer import BOS, EOS, PAD, UNK, Tokenizer
from admin_py.data.words import UNKNOWN_WORD
from admin_py.experiments.translations import Translations
from admin_py.generation import beam_search
from admin_py.generation.beam import PENALTIES, STOPS
from admin_py.generation.limits import BESIDES, PER_SOURCE_TOKEN, line
from admin_py.results import run_metadata
from admin_py.scores import CONVENTIONS, bleu
from admin_py.scores.conventions import metric_of

if TYPE_CHECKING:
    from admin_py.data import Dataset
    from admin_py.model.transformer import Transformer

SEARCH: Mapping[str, Any] = {
    "beam": 5,
    "length_penalty": 1.0,
    "penalty": "power",
    "min_length": 0,
    "max_length": (PER_SOURCE_TOKEN, BESIDES),
    "no_repeat_ngram": 0,
    "stop": "bound",
}
"""Options of the search, and what they are where nothing is said."""

OPTIONS = ("split", "convention", *SEARCH)

CUT = (WordTokenizer, MosesTokenizer, NumberTokenizer)
"""Whose text is scored as tokens: it was cut before, or is one word a sentence."""


@dataclass(frozen=True)
class Translating:
    """How held-out sentences are translated and scored.

    Attributes
    ----------
    split : str
        Of the data.
    convention : {"detokenised", "published"}
    search : mapping
        Options of `beam_search`, all of `SEARCH`.
    """

    split: str
    convention: str
    search: Mapping[str, Any]

    @classmethod
    def checked(cls, given: Any, data: Dataset) -> Translating | None:
        """From what was given as ``bleu=``; None where nothing is asked for.

        Raises
        ------
        TypeError, ValueError
            Naming the option, what was given and what was expected, or why these data have no BLEU.
        ModuleNotFoundError
            Without sacreBLEU: ``pip install admin-py[translation]``.
        """
        if given is None or given is False:
            return None
        if given is not True and not isinstance(given, Mapping):
            raise TypeError(f"bleu must be True, False or a mapping of options, got {shown(given)}")
        asked = {} if given is True else check_mapping("bleu", given)
        for name in asked:
            check_choice("bleu: an option", name, OPTIONS)
        if data.kind != "translation":
            raise ValueError(
                f"bleu is of translations, and {data.name} is of {data.kind.replace('_', ' ')}s: leave it out"
            )
        split = asked.get("split", "test" if "test" in data.splits else "valid")
        check_choice("bleu: split", split, data.splits)
        if data.split(split).lines is None:
            raise ValueError(f"bleu compares texts, and {data.name} was made of ids: leave it out")
        usual = "published" if isinstance(data.tokenizer, CUT) else "detokenised"
        convention = check_choice("bleu: convention", asked.get("convention", usual), CONVENTIONS)
        metric_of("bleu", convention)
        return cls(split, convention, _search(asked, data))

    @property
    def options(self) -> dict[str, Any]:
        """All of it, as translations tell how they were made."""
        return {"split": self.split, "convention": self.convention, **self.search}

    def __call__(
        self, model: Transformer, data: Dataset, progress: Callable[[int], object] | None = None
    ) -> Translations:
        """Translate the split and score it.

        Parameters
        ----------
        model : Transformer
        data : Dataset
        progress : callable, optional
            As of `beam_search`; what it raises ends the search.
        """
        sources, targets = zip(*data.pairs(self.split), strict=True)
        found = beam_search(
            model,
            data.split(self.split).source,
            bos=data.bos,
            eos=data.eos,
            progress=progress,
            **self.search,
        )
        ids = [best.ids for best, *_ in found]
        hypotheses = _hypotheses(data.tokenizer, ids, self.convention)
        references = _references(data.tokenizer, targets, self.convention)
        return Translations(
            split=self.split,
            sources=sources,
            references=tuple(references),
            hypotheses=tuple(hypotheses),
            score=bleu(hypotheses, references, convention=self.convention),  # type: ignore[arg-type]
            search=dict(self.search),
            metadata=run_metadata(dtype=model.dtype),
        )


def _search(asked: Mapping[str, Any], data: Dataset) -> dict[str, Any]:
    """All options of the search, checked as the search would."""
    found = {name: asked.get(name, usual) for name, usual in SEARCH.items()}
    found["beam"] = check_integer("bleu: beam", found["beam"], 1, data.vocab_size)
    found["length_penalty"] = check_number("bleu: length_penalty", found["length_penalty"])
    check_choice("bleu: penalty", found["penalty"], PENALTIES)
    check_choice("bleu: stop", found["stop"], STOPS)
    found["no_repeat_ngram"] = check_integer("bleu: no_repeat_ngram", found["no_repeat_ngram"], 0, 2**31 - 1)
    for name in ("min_length", "max_length"):
        line(f"bleu: {name}", found[name], np.ones(1, np.int64))
        found[name] = _plain(found[name])
    return found


def _plain(bound: Any) -> Any:
    """A bound of lengths by numbers that come back from a file as they were."""
    return tuple(map(float, bound)) if isinstance(bound, tuple) else float(bound)


def _hypotheses(tokenizer: Tokenizer, ids: Sequence[Any], convention: str) -> list[str]:
    """Translations as text of the convention."""
    if convention == "published" and isinstance(tokenizer, (MosesTokenizer, NumberTokenizer)):
        return [_pieces(tokenizer, one) for one in ids]
    return [tokenizer.decode(one) for one in ids]


def _references(tokenizer: Tokenizer, lines: Sequence[str], convention: str) -> list[str]:
    """What they should be, cut and written as the data are."""
    if isinstance(tokenizer, MosesTokenizer):
        if convention == "published":
            return list(tokenizer.target.tokenize_lines(lines))
        return [one.lower() for one in lines] if tokenizer.target.lowercase else list(lines)
    if isinstance(tokenizer, NumberTokenizer) and convention == "published":
        return [_pieces(tokenizer, one) for one in tokenizer.encode_targets(lines)]
    return remove_bpe(lines) if isinstance(tokenizer, WordTokenizer) else list(lines)


def _pieces(tokenizer: Tokenizer, ids: Any) -> str:
    """Tokens with a space between them: pieces up to the end, those that belong together joined."""
    kept = []
    for i in ids:
        if i == EOS:
            break
        if i not in (PAD, BOS):
            kept.append(UNKNOWN_WORD if i == UNK else tokenizer.piece(int(i)))
    return remove_bpe(" ".join(kept))
