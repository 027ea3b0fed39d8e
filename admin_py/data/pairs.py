"""Pairs of lines as a dataset for translation, wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import tokenizers

from admin_py.base.checks import MAX_COUNT, MAX_DRAW_SEED, check_bool, check_integer
from admin_py.data.codes import SubwordCodes
from admin_py.data.dataset import Dataset, Split
from admin_py.data.held_out import counts_of, parted
from admin_py.data.moses_tokenizer import MosesTokenizer, as_codes
from admin_py.data.reading import LinePairs, Path
from admin_py.data.subwords import SubwordTokenizer
from admin_py.data.tokenizer import BOS, EOS, Tokenizer, as_tokenizer
from admin_py.data.words import WordTokenizer

VOCAB_SIZE = 8000
MAX_LENGTH = 256


@dataclass(frozen=True)
class PairOptions:
    """How pairs become ids; see `admin_py.data.parallel_text` for what the options mean."""

    vocab_size: int | None
    tokenizer: Tokenizer | None
    pretokenized: bool
    max_length: int
    seed: int
    moses: MosesTokenizer | None = None
    """Without a vocabulary: how text is cut from which one is to be learned."""

    @classmethod
    def checked(
        cls,
        *,
        vocab_size: int | None,
        tokenizer: Tokenizer | tokenizers.Tokenizer | Path | None,
        pretokenized: bool,
        max_length: int,
        seed: int,
        moses: tuple[str, str] | None = None,
        codes: SubwordCodes | Path | None = None,
    ) -> PairOptions:
        """The options, or the error that one of them deserves, before any text is read."""
        max_length = check_integer("max_length", max_length, 1, MAX_COUNT)
        pretokenized = check_bool("pretokenized", pretokenized)
        seed = check_integer("seed", seed, 0, MAX_DRAW_SEED)
        if tokenizer is not None and vocab_size is not None:
            raise ValueError(
                "vocab_size and tokenizer exclude each other: a tokenizer has its own vocabulary"
            )
        if codes is not None and moses is None:
            raise ValueError("codes goes with moses, the languages of source and target")
        for name, given in {"tokenizer": tokenizer, "pretokenized": pretokenized or None}.items():
            if moses is not None and given is not None:
                raise ValueError(f"moses and {name} exclude each other: each says how text is cut")
        cut = None if moses is None else _cut(moses, as_codes(codes))
        ready = None if tokenizer is None else as_tokenizer(tokenizer)
        if pretokenized and ready is not None and not isinstance(ready, WordTokenizer):
            raise ValueError(f"pretokenized text needs a WordTokenizer, got a {type(ready).__name__}")
        return cls(vocab_size, ready, pretokenized, max_length, seed, cut)

    def dataset(
        self, name: str, pairs: LinePairs, held_out: Mapping[str, object], *, ready: str = "a pair of files"
    ) -> Dataset:
        """A dataset of pairs.

        Parameters
        ----------
        name : str
        pairs : LinePairs
            To train on, and to take from what is held out.
        held_out : mapping of str to object
            Split to its `LinePairs`, or to a share or number of the pairs, or None.
        ready : str
            What the user gives for `LinePairs`, for errors.
        """
        found = {key: value for key, value in held_out.items() if isinstance(value, LinePairs)}
        asked = {key: value for key, value in held_out.items() if key not in found}
        count = len(pairs.sources)
        parts = _parted(pairs, counts_of(asked, count, ready=ready, unit="pairs"), self.seed)
        parts |= found
        tokenizer = self._tokenizer(parts["train"])
        order = ("train", *held_out)
        splits = {
            key: encode_pairs(key, parts[key], tokenizer, self.max_length) for key in order if key in parts
        }
        return Dataset(name, "translation", tokenizer, splits, self._asked())

    def _asked(self) -> int | None:
        """Ids that a vocabulary which is learned shall have; None where all words are taken."""
        takes_all = self.vocab_size is None and (self.pretokenized or self.moses is not None)
        if self.tokenizer is not None or takes_all:
            return None
        return VOCAB_SIZE if self.vocab_size is None else self.vocab_size

    def _tokenizer(self, pairs: LinePairs) -> Tokenizer:
        if self.tokenizer is not None:
            return self.tokenizer
        if self.moses is not None:
            return MosesTokenizer.train(
                pairs.sources,
                pairs.targets,
                languages=self.moses.languages,
                codes=self.moses.codes,
                vocab_size=self.vocab_size,
            )
        text = chain(pairs.sources, pairs.targets)
        if self.pretokenized:
            return WordTokenizer.train(text, vocab_size=self.vocab_size)
        return SubwordTokenizer.train(
            text, vocab_size=VOCAB_SIZE if self.vocab_size is None else self.vocab_size
        )


def encode_pairs(name: str, pairs: LinePairs, tokenizer: Tokenizer, max_length: int | None = None) -> Split:
    """Token ids of pairs of lines, without those of which a model could learn nothing.

    Left out and counted are pairs with a side of which the tokenizer leaves nothing, as blank ones, and pairs
    that a model of max_length cannot read.

    Raises
    ------
    ValueError
        If none is left.
    """
    source, target = tokenizer.encode_lines(pairs.sources), tokenizer.encode_targets(pairs.targets)
    full = (source.lengths > 0) & (target.lengths > 0)
    # A source is given an end. The decoder reads all of its target but the last token, and a beginning.
    most = np.inf if max_length is None else max_length - 1
    fits = (source.lengths <= most) & (target.lengths <= most)
    kept, empty, too_long = np.flatnonzero(full & fits), int((~full).sum()), int((full & ~fits).sum())
    if kept.size == 0 and too_long:
        raise ValueError(f"max_length is {max_length}, and all {too_long} pairs of {name} are longer")
    if kept.size == 0:
        raise ValueError(f"tokenizer leaves nothing of a side of each of the {empty} pairs of {name}")
    lines = (pairs.sources, pairs.targets)
    if kept.size < len(source):
        source, target = source.take(kept), target.take(kept)
        lines = ([pairs.sources[i] for i in kept], [pairs.targets[i] for i in kept])
    source, target = source.affixed(last=EOS), target.affixed(first=BOS, last=EOS)
    return Split(source, target, lines, blank=pairs.blank + empty, too_long=too_long)


def _cut(moses: tuple[str, str], codes: SubwordCodes | None) -> MosesTokenizer:
    """How text of two languages is cut, without a vocabulary."""
    try:
        return MosesTokenizer([], moses, codes=codes)
    except (TypeError, ValueError) as error:
        raise type(error)(f"moses: {error}") from None


def _parted(pairs: LinePairs, counts: Mapping[str, int], seed: int) -> dict[str, LinePairs]:
    """Parts pairs at random; all parts keep the order of the file."""
    if not counts:
        return {"train": pairs}
    return {
        key: LinePairs(
            [pairs.sources[i] for i in indices],
            [pairs.targets[i] for i in indices],
            blank=pairs.blank if key == "train" else 0,
        )
        for key, indices in parted(len(pairs.sources), counts, seed).items()
    }
