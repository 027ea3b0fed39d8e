"""Texts as a dataset for language models, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import tokenizers
from numpy.typing import NDArray

from admin_py.base.checks import MAX_COUNT, check_integer, shown
from admin_py.data.characters import CharacterTokenizer
from admin_py.data.dataset import Dataset, Split
from admin_py.data.held_out import HELD_OUT, check_part
from admin_py.data.reading import Path
from admin_py.data.sequences import Sequences
from admin_py.data.subwords import SubwordTokenizer
from admin_py.data.tokenizer import Tokenizer, as_tokenizer

VOCAB_SIZE = 8000
CONTEXT = 256
VALID = 0.1
"""Share of one text that is held out by default."""


@dataclass(frozen=True)
class TextOptions:
    """How texts become windows of ids; see `admin_py.data.text` for what the options mean."""

    unit: str
    vocab_size: int
    tokenizer: Tokenizer | None
    context: int

    @classmethod
    def checked(
        cls,
        *,
        level: str | None,
        vocab_size: int | None,
        tokenizer: Tokenizer | tokenizers.Tokenizer | Path | None,
        context: int,
    ) -> TextOptions:
        """The options, or the error that one of them deserves, before any text is read."""
        context = check_integer("context", context, 1, MAX_COUNT)
        if level is None:
            level = "char" if vocab_size is None and tokenizer is None else "subword"
        if not isinstance(level, str) or level not in ("char", "subword"):
            raise ValueError(f"level must be 'char' or 'subword', got {shown(level)}")
        if level == "char" and vocab_size is not None:
            raise ValueError(
                "vocab_size is of subwords; level='char' has one id for each character of the text"
            )
        if tokenizer is not None and vocab_size is not None:
            raise ValueError(
                "vocab_size and tokenizer exclude each other: a tokenizer has its own vocabulary"
            )
        ready = None if tokenizer is None else as_tokenizer(tokenizer)
        return cls(level, VOCAB_SIZE if vocab_size is None else vocab_size, ready, context)

    def dataset(
        self, name: str, parts: Mapping[str, Sequence[str]], *, blank: Mapping[str, int] | None = None
    ) -> Dataset:
        """A dataset of the texts of each split, and how many blank ones were left out before."""
        tokenizer = self._tokenizer(parts)
        splits = {
            key: _windows(key, parts[key], tokenizer, self.context, (blank or {}).get(key, 0))
            for key in ("train", *HELD_OUT)
            if key in parts
        }
        asked = self.vocab_size if self.tokenizer is None and self.unit != "char" else None
        return Dataset(name, "language_model", tokenizer, splits, asked)

    def _tokenizer(self, parts: Mapping[str, Sequence[str]]) -> Tokenizer:
        if self.tokenizer is not None:
            return self.tokenizer
        if self.unit == "char":
            return CharacterTokenizer(set().union(*chain.from_iterable(parts.values())))
        lines = (line for one in parts["train"] for line in one.splitlines(keepends=True))
        return SubwordTokenizer.train(lines, vocab_size=self.vocab_size, prefix_space=False)


def cut(text: str, shares: Mapping[str, float]) -> dict[str, str]:
    """One text cut into a beginning to train on and what is held out at its end, "valid" before "test".

    Examples
    --------
    >>> cut("abcdefghij", {"valid": 0.2, "test": 0.1})
    {'train': 'abcdefg', 'valid': 'hi', 'test': 'j'}
    """
    checked = {key: check_part(key, share, "the text") for key, share in shares.items()}
    if sum(checked.values()) >= 1:
        raise ValueError(
            f"{' + '.join(checked)} as shares of the text must be below 1, got {sum(checked.values()):g}"
        )
    parts: dict[str, str] = {}
    left, end = 1.0, len(text)
    for key in reversed(HELD_OUT):
        if checked.get(key):
            left -= checked[key]
            begin = round(len(text) * left)
            parts[key] = text[begin:end]
            end = begin
    return {"train": text[:end], **dict(reversed(parts.items()))}


def _windows(name: str, texts: Sequence[str], tokenizer: Tokenizer, context: int, blank: int) -> Split:
    """Windows of context + 1 tokens, each beginning with the last token of the one before."""
    windows: list[NDArray[np.int32]] = []
    kept = []
    for one, tokens in zip(texts, _encoded(texts, tokenizer), strict=True):
        if tokens.size < 2 and len(texts) > 1:
            continue  # nothing to predict
        if tokens.size < 2:
            raise ValueError(f"{name}: the texts have {tokens.size} tokens; a model needs at least 2")
        kept.append(one)
        starts = range(0, tokens.size - 1, context)
        windows += [tokens[start : start + context + 1] for start in starts]
    if not kept:
        raise ValueError(f"none of the {len(texts)} texts of {name} has 2 tokens, which a model needs")
    return Split(Sequences.from_lists(windows), texts=kept, blank=blank + len(texts) - len(kept))


def _encoded(texts: Sequence[str], tokenizer: Tokenizer) -> Iterator[NDArray[np.int32]]:
    """The ids of each text. Lines go to the tokenizer all at once: it is faster with many."""
    lines = [one.splitlines(keepends=True) for one in texts]
    encoded = tokenizer.encode_lines(list(chain.from_iterable(lines)))
    first = 0
    for own in lines:
        last = first + len(own)
        yield encoded.tokens[encoded.offsets[first] : encoded.offsets[last]]
        first = last
