"""Words separated by spaces, for text that was tokenised elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from admin_py.base.arguments import door
from admin_py.base.checks import is_unicode, shown
from admin_py.data.sequences import Sequences, offsets_of
from admin_py.data.tokenizer import NUM_SPECIAL, UNK, Tokenizer, check_vocab_size

UNKNOWN_WORD = "<unk>"
# Ends a piece that the next one continues, in text written by subword-nmt.
CONTINUED = "@@"


@door
class WordTokenizer(Tokenizer):
    """One id a word; words are what stands between spaces.

    Words that are not in the vocabulary, and the word ``<unk>``, become the unknown id. Decoding joins pieces
    that end in ``@@`` with what follows them, as text cut by subword-nmt wants it.

    Parameters
    ----------
    words : iterable of str
        All different, none empty or with a space inside.

    Examples
    --------
    >>> tokenizer = WordTokenizer.train(["ein Haus boot@@ s", "ein Baum"])
    >>> ids = tokenizer.encode_lines(["ein boot@@ s Haus", "ein Kind"])
    >>> tokenizer.decode(ids[0]), tokenizer.decode(ids[1])
    ('ein boots Haus', 'ein <unk>')
    """

    kind = "words"

    def __init__(self, words: Iterable[str]) -> None:
        if isinstance(words, str) or not isinstance(words, Iterable):
            raise TypeError(f"words must be a list of strings, got {shown(words)}")
        self.words = tuple(words)
        for word in self.words:
            if not isinstance(word, str) or not word or " " in word or not is_unicode(word):
                raise ValueError(f"words must be strings without spaces, got {shown(word)}")
        self._ids = {word: NUM_SPECIAL + i for i, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            raise ValueError("words must be all different")

    @classmethod
    def train(cls, lines: Iterable[str], *, vocab_size: int | None = None) -> WordTokenizer:
        """The vocabulary of some lines: the most frequent words, equals in alphabetical order.

        vocab_size counts the 4 special ids; None keeps every word.
        """
        counts = Counter(word for line in lines for word in _split(line))
        counts.pop(UNKNOWN_WORD, None)
        words = sorted(counts, key=lambda word: (-counts[word], word))
        if vocab_size is not None:
            vocab_size = check_vocab_size(vocab_size, NUM_SPECIAL + 1)
            words = words[: vocab_size - NUM_SPECIAL]
        return cls(words)

    @property
    def num_pieces(self) -> int:
        return len(self.words)

    def encode_lines(self, lines: Sequence[str]) -> Sequences:
        find = self._ids.get
        ids = [[find(word, UNK) for word in _split(line)] for line in lines]
        offsets = offsets_of([len(line) for line in ids])
        tokens = np.fromiter((i for line in ids for i in line), np.int32, count=int(offsets[-1]))
        return Sequences(tokens, offsets)

    def _join(self, ids: list[int]) -> str:
        words = [UNKNOWN_WORD if i == UNK else self.words[i - NUM_SPECIAL] for i in ids]
        text = "".join(
            word.removesuffix(CONTINUED) if word.endswith(CONTINUED) else word + " " for word in words
        )
        return text.removesuffix(" ")

    file_types: ClassVar[Mapping[str, Any]] = {"words": list[str]}

    def _all_pieces(self) -> list[str]:
        return list(self.words)

    def _to_dict(self) -> dict[str, Any]:
        return {"words": list(self.words)}

    @classmethod
    def _from_dict(cls, values: dict[str, Any]) -> WordTokenizer:
        return cls(values["words"])


def _split(line: str) -> list[str]:
    return [word for word in line.split(" ") if word]
