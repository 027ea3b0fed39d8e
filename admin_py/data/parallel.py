"""Two line-aligned text files as a dataset for translation."""

from __future__ import annotations

import os
from itertools import chain

import numpy as np
import tokenizers

from admin_py.base.checks import check_bool, checked_integer
from admin_py.data.batching import random_bits, random_order
from admin_py.data.dataset import Dataset, Split
from admin_py.data.reading import LinePairs, Path, read_pairs
from admin_py.data.subwords import SubwordTokenizer
from admin_py.data.tokenizer import BOS, EOS, Tokenizer, as_tokenizer
from admin_py.data.words import WordTokenizer

VOCAB_SIZE = 8000
# Held out by default: this share of the lines, but no more than so many.
HELD_OUT_SHARE, HELD_OUT_MOST = 0.05, 1000


def parallel_text(
    source: Path,
    target: Path,
    *,
    vocab_size: int | None = None,
    valid: tuple[Path, Path] | float | int | None = None,
    max_length: int = 256,
    tokenizer: Tokenizer | tokenizers.Tokenizer | Path | None = None,
    pretokenized: bool = False,
    max_lines: int | None = None,
    seed: int = 0,
    name: str | None = None,
) -> Dataset:
    """Sentences and their translations, from two files that match line by line.

    Parameters
    ----------
    source, target : path
        UTF-8 text, plain or compressed with gzip.
    vocab_size : int, optional
        Ids of the joint vocabulary, special ones included; at least 260 for subwords. By default 8,000
        subwords, or all words of pretokenized text.
    valid : pair of paths, float, or int, optional
        Held-out text: two further files, or a share (below 1) or number of lines taken from the files at
        random; 0 for none. By default 5 % of the lines, at most 1,000.
    max_length : int
        Tokens that a model can read; pairs with a longer side are left out and counted in `describe()`.
    tokenizer : Tokenizer, tokenizers.Tokenizer or path, optional
        Use this vocabulary instead of learning one.
    pretokenized : bool
        Split lines on spaces, one id a word. Pieces that end in ``@@`` are joined again by `decode`.
    max_lines : int, optional
        Read only so many lines of the training files.
    seed : int
        Of the choice of held-out lines.
    name : str, optional
        Of the dataset; by default the names of the files.

    Returns
    -------
    Dataset
        The vocabulary is learned from the training lines of both files alone. Pairs in which a side is blank
        are left out and counted in `describe()`.

    Raises
    ------
    OSError
        If a file is missing, a directory, or cannot be read.
    ValueError
        If the files differ in their number of lines, are empty, or not UTF-8 (with file and line); if nothing
        is left to train on; if an argument is out of range.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> english, german = (pathlib.Path(folder.name) / f"train.{code}" for code in ("en", "de"))
    >>> _ = english.write_text("a house\\na tree\\n"), german.write_text("ein Haus\\nein Baum\\n")
    >>> data = parallel_text(english, german, vocab_size=270, valid=0)
    >>> data
    Dataset('train.en - train.de', translation, vocab_size=270, train 2)
    >>> data.decode(data.encode("ein Haus im Grünen"))
    'ein Haus im Grünen'
    >>> folder.cleanup()
    """
    max_length = checked_integer("max_length", max_length, minimum=1)
    pretokenized = check_bool("pretokenized", pretokenized)
    if max_lines is not None:
        max_lines = checked_integer("max_lines", max_lines, minimum=1)
    if tokenizer is not None and vocab_size is not None:
        raise ValueError("vocab_size and tokenizer exclude each other: a tokenizer has its own vocabulary")
    ready = None if tokenizer is None else as_tokenizer(tokenizer)
    if pretokenized and ready is not None and not isinstance(ready, WordTokenizer):
        raise ValueError(f"pretokenized text needs a WordTokenizer, got a {type(ready).__name__}")

    lines = {"train": read_pairs(source, target, max_lines=max_lines)}
    if isinstance(valid, (tuple, list)):
        if len(valid) != 2:
            raise ValueError(f"valid must be a pair of files, (source, target), got {len(valid)} of them")
        lines["valid"] = read_pairs(*valid, names="valid ")
    else:
        lines = _hold_out(lines["train"], _num_held_out(valid, len(lines["train"].sources)), seed)
    if ready is None:
        text = chain(lines["train"].sources, lines["train"].targets)
        if pretokenized:
            ready = WordTokenizer.train(text, vocab_size=vocab_size)
        else:
            ready = SubwordTokenizer.train(text, vocab_size=VOCAB_SIZE if vocab_size is None else vocab_size)
    splits = {key: encode_pairs(key, pairs, ready, max_length) for key, pairs in lines.items()}
    if name is None:
        name = f"{os.path.basename(os.fspath(source))} - {os.path.basename(os.fspath(target))}"
    return Dataset(name, "translation", ready, splits)


def encode_pairs(name: str, pairs: LinePairs, tokenizer: Tokenizer, max_length: int | None = None) -> Split:
    """Token ids of pairs of lines; pairs that a model of max_length cannot read are left out."""
    source = tokenizer.encode_lines(pairs.sources).affixed(last=EOS)
    target = tokenizer.encode_lines(pairs.targets).affixed(first=BOS, last=EOS)
    lines = (pairs.sources, pairs.targets)
    too_long = 0
    if max_length is not None:
        # The decoder reads all of its target but the last token.
        fits = (source.lengths <= max_length) & (target.lengths - 1 <= max_length)
        kept = np.flatnonzero(fits)
        too_long = len(source) - kept.size
        if kept.size == 0:
            raise ValueError(f"max_length is {max_length}, and all {too_long} pairs of {name} are longer")
        if too_long:
            source, target = source.take(kept), target.take(kept)
            lines = ([pairs.sources[i] for i in kept], [pairs.targets[i] for i in kept])
    return Split(source, target, lines, blank=pairs.blank, too_long=too_long)


def _num_held_out(valid: object, count: int) -> int:
    """How many of count lines to hold out."""
    if valid is None:
        held_out = min(HELD_OUT_MOST, max(1, int(HELD_OUT_SHARE * count))) if count > 1 else 0
    elif isinstance(valid, float):
        if not 0 <= valid < 1:
            raise ValueError(f"valid as a share of the lines must be at least 0 and below 1, got {valid}")
        held_out = min(max(1, round(valid * count)), count - 1) if valid else 0
    elif isinstance(valid, bool) or not hasattr(valid, "__index__"):
        raise TypeError(f"valid must be a pair of files, a share or a number of lines, got {valid!r}")
    else:
        held_out = checked_integer("valid", valid, minimum=0)
    if held_out >= count:
        raise ValueError(f"valid is {held_out}, but only {count} pairs have text: none is left to train on")
    return held_out


def _hold_out(pairs: LinePairs, held_out: int, seed: int) -> dict[str, LinePairs]:
    """Parts pairs at random; both parts keep the order of the file."""
    if held_out == 0:
        return {"train": pairs}
    order = random_order(len(pairs.sources), random_bits(seed))
    parts = {"train": np.sort(order[held_out:]), "valid": np.sort(order[:held_out])}
    return {
        key: LinePairs(
            [pairs.sources[i] for i in indices],
            [pairs.targets[i] for i in indices],
            blank=pairs.blank if key == "train" else 0,
        )
        for key, indices in parts.items()
    }
