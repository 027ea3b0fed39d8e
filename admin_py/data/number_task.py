"""A task that needs no files: numbers in words, from English to German."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from admin_py.base.arguments import door
from admin_py.base.checks import check_integer
from admin_py.data.batching import random_bits, random_order
from admin_py.data.dataset import Dataset
from admin_py.data.pairs import encode_pairs
from admin_py.data.reading import LinePairs
from admin_py.data.sequences import Sequences, offsets_of
from admin_py.data.spelling import (
    ENGLISH_ONES,
    ENGLISH_TENS,
    GERMAN_ONE,
    GERMAN_ONES,
    GERMAN_TENS,
    LIMIT,
    english,
    german,
)
from admin_py.data.tokenizer import NUM_SPECIAL, UNK, Tokenizer

ENGLISH_PIECES = (*ENGLISH_ONES, *ENGLISH_TENS, "hundred", "thousand", "and")
GERMAN_PIECES = (GERMAN_ONE, *GERMAN_ONES, *GERMAN_TENS, "hundert", "tausend", "und")


@door
def number_words(
    *, train: int = 20_000, valid: int = 500, test: int = 0, limit: int = LIMIT, seed: int = 0
) -> Dataset:
    """Numbers spelled out, English to German: "four hundred and twelve" -> "vierhundertzwölf".

    German says the ones before the tens and writes one word, so the task needs attention over some distance;
    a few hundred steps of a small model solve it.

    Parameters
    ----------
    train, valid, test : int
        Numbers to learn from, held out to look at during a training, and held out until its end; all
        different. valid and test may be 0, and those of test take nothing from the others.
    limit : int
        Numbers are drawn evenly from 1 to limit - 1; at most a million.
    seed : int
        Of the draw.

    Returns
    -------
    Dataset
        Its vocabulary is the words and word parts of which the numbers consist, not learned: 65 ids.

    Raises
    ------
    ValueError
        If limit has not so many numbers, or an argument is out of range.

    Examples
    --------
    >>> data = number_words(train=100, valid=10)
    >>> data
    Dataset('number_words', translation, vocab_size=65, train 100, valid 10)
    >>> ids = data.encode("vierhundertzwölf", side="target")
    >>> ids
    array([ 1, 38, 62, 46,  2], dtype=int32)
    >>> data.decode(ids)
    'vierhundertzwölf'
    """
    train = check_integer("train", train, 1)
    valid = check_integer("valid", valid, 0)
    test = check_integer("test", test, 0)
    limit = check_integer("limit", limit, 2)
    if limit > LIMIT:
        raise ValueError(f"limit must be at most {LIMIT:,}, got {limit:,}")
    wanted = train + valid + test
    if wanted > limit - 1:
        raise ValueError(
            f"train + valid + test is {wanted:,}, but only {limit - 1:,} numbers lie below limit"
        )
    numbers = 1 + random_order(limit - 1, random_bits(seed))
    parts = {
        "train": numbers[:train],
        "valid": numbers[train : train + valid],
        "test": numbers[train + valid : wanted],
    }
    tokenizer = NumberTokenizer()
    splits = {
        key: encode_pairs(key, _spelled(chosen), tokenizer) for key, chosen in parts.items() if chosen.size
    }
    return Dataset("number_words", "translation", tokenizer, splits)


def _spelled(numbers: Iterable[Any]) -> LinePairs:
    chosen = [int(number) for number in numbers]
    return LinePairs([english(number) for number in chosen], [german(number) for number in chosen])


@door
class NumberTokenizer(Tokenizer):
    """The words and word parts of numbers in English (30) and German (31) as pieces.

    An English number is cut at spaces and hyphens, a German one into the longest parts that fit from the
    left. Decoding writes German parts together and English words apart, with a hyphen after twenty to ninety.
    What is no part of a number becomes the unknown id.

    Examples
    --------
    >>> tokenizer = NumberTokenizer()
    >>> for ids in tokenizer.encode_lines(["twenty-one thousand", "einundzwanzigtausend"]):
    ...     print([tokenizer.pieces[i - 4] for i in ids], tokenizer.decode(ids))
    ['twenty', 'one', 'thousand'] twenty-one thousand
    ['ein', 'und', 'zwanzig', 'tausend'] einundzwanzigtausend
    """

    kind = "numbers"
    pieces = (*ENGLISH_PIECES, *GERMAN_PIECES)

    _ids: ClassVar[dict[str, int]] = {piece: NUM_SPECIAL + i for i, piece in enumerate(pieces)}
    _english = frozenset(ENGLISH_PIECES)
    _german = frozenset(GERMAN_PIECES)
    # Pieces, longer ones first; else one character, which is unknown.
    _pattern = re.compile("|".join(sorted(GERMAN_PIECES, key=len, reverse=True)) + "|.", re.DOTALL)

    @property
    def num_pieces(self) -> int:
        return len(self.pieces)

    def encode_lines(self, lines: Sequence[str]) -> Sequences:
        ids = [self._encode(line) for line in lines]
        tokens = np.fromiter((i for line in ids for i in line), np.int32)
        return Sequences(tokens, offsets_of([len(line) for line in ids]))

    def _encode(self, line: str) -> list[int]:
        ids: list[int] = []
        for word in line.replace("-", " ").split():
            parts = [word] if word in self._english else self._pattern.findall(word)
            ids += [self._ids.get(part, UNK) for part in parts]
        return ids

    def _join(self, ids: list[int]) -> str:
        text, last = "", ""
        for i in ids:
            piece = "<unk>" if i == UNK else self.pieces[i - NUM_SPECIAL]
            text += self._between(last, piece) + piece
            last = piece
        return text

    def _between(self, left: str, right: str) -> str:
        if not left or (left in self._german and right in self._german):
            return ""
        return "-" if left in ENGLISH_TENS and right in ENGLISH_ONES[:9] else " "

    file_types: ClassVar[Mapping[str, Any]] = {"pieces": list[str]}

    def _all_pieces(self) -> list[str]:
        return list(self.pieces)

    def _to_dict(self) -> dict[str, Any]:
        return {"pieces": list(self.pieces)}

    @classmethod
    def _from_dict(cls, values: dict[str, Any]) -> NumberTokenizer:
        if values["pieces"] != list(cls.pieces):
            raise ValueError("its pieces are not those of this version")
        return cls()
