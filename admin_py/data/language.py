"""One text as a dataset for language models."""

from __future__ import annotations

import os
from typing import Literal

import numpy as np
import tokenizers

from admin_py.base.checks import checked_integer
from admin_py.data.characters import CharacterTokenizer
from admin_py.data.dataset import Dataset, Split
from admin_py.data.reading import Path, read_lines
from admin_py.data.sequences import Sequences
from admin_py.data.subwords import SubwordTokenizer
from admin_py.data.tokenizer import Tokenizer, as_tokenizer

VOCAB_SIZE = 8000


def text(
    path: Path,
    *,
    level: Literal["char", "subword"] | None = None,
    vocab_size: int | None = None,
    tokenizer: Tokenizer | tokenizers.Tokenizer | Path | None = None,
    context: int = 256,
    valid: float | Path = 0.1,
    name: str | None = None,
) -> Dataset:
    """One text, cut into windows, for language models.

    Parameters
    ----------
    path : path
        UTF-8 text, plain or compressed with gzip.
    level : {"char", "subword"}, optional
        One id a character (the default), or byte-level subwords (the default if vocab_size or tokenizer is
        given).
    vocab_size : int, optional
        Of subwords: ids of the vocabulary, 8,000 by default, at least 260.
    tokenizer : Tokenizer, tokenizers.Tokenizer or path, optional
        Use this vocabulary instead of learning one.
    context : int
        Tokens that a model reads at once. A window has one more (the last is only predicted) and shares its
        first with the end of the window before, so every token but the text's first is predicted once.
    valid : float or path
        Share of the text, at its end, that is held out, 0 for none; or another file.
    name : str, optional
        Of the dataset; by default the name of the file.

    Returns
    -------
    Dataset
        Of kind "language_model". Its sequences hold text alone, no `bos` or `eos`. Characters are taken from
        the held-out text too, so that none is unknown; subwords are learned from the training text alone.

    Raises
    ------
    OSError
        If a file is missing, a directory, or cannot be read.
    ValueError
        If a file is empty or not UTF-8 (with the line), too short, or an argument is out of range.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name) / "rhyme.txt"
    >>> _ = path.write_text("row, row, row your boat\\n" * 10)
    >>> data = text(path, context=16)
    >>> data
    Dataset('rhyme.txt', language_model, vocab_size=15, train 14, valid 2)
    >>> data.decode(data.encode("our boat\\n"))
    'our boat\\n'
    >>> folder.cleanup()
    """
    context = checked_integer("context", context, minimum=1)
    unit = _checked_level(level, vocab_size, tokenizer)
    parts = {"train": "".join(_read(path, "path"))}
    if isinstance(valid, (str, os.PathLike)):
        parts["valid"] = "".join(_read(valid, "valid"))
    elif isinstance(valid, bool) or not isinstance(valid, (float, int)):
        raise TypeError(f"valid must be a share of the text or a file, got {valid!r}")
    elif not 0 <= valid < 1:
        raise ValueError(f"valid as a share of the text must be at least 0 and below 1, got {valid}")
    elif valid:
        whole = parts["train"]
        cut = round(len(whole) * (1 - valid))
        parts = {"train": whole[:cut], "valid": whole[cut:]}
    if tokenizer is not None:
        ready = as_tokenizer(tokenizer)
    elif unit == "char":
        ready = CharacterTokenizer("".join(parts.values()))
    else:
        lines = parts["train"].splitlines(keepends=True)
        size = VOCAB_SIZE if vocab_size is None else vocab_size
        ready = SubwordTokenizer.train(lines, vocab_size=size, prefix_space=False)
    splits = {key: Split(_windows(key, part, ready, context)) for key, part in parts.items()}
    return Dataset(name or os.path.basename(os.fspath(path)), "language_model", ready, splits)


def _checked_level(level: object, vocab_size: int | None, tokenizer: object) -> str:
    if level is None:
        level = "char" if vocab_size is None and tokenizer is None else "subword"
    if level not in ("char", "subword"):
        raise ValueError(f"level must be 'char' or 'subword', got {level!r}")
    if level == "char" and vocab_size is not None:
        raise ValueError("vocab_size is of subwords; level='char' has one id for each character of the text")
    if tokenizer is not None and vocab_size is not None:
        raise ValueError("vocab_size and tokenizer exclude each other: a tokenizer has its own vocabulary")
    return level


def _read(path: Path, name: str) -> list[str]:
    """Lines with their ends, always one line feed."""
    lines = [line + "\n" for line in read_lines(path, name)]
    if not lines or not any(line.strip() for line in lines):
        raise ValueError(f"{name}: {os.fspath(path)!r} has no text")
    return lines


def _windows(name: str, part: str, tokenizer: Tokenizer, context: int) -> Sequences:
    """Windows of context + 1 tokens, each beginning with the last token of the one before."""
    tokens = tokenizer.encode_lines(part.splitlines(keepends=True)).tokens
    predicted = tokens.size - 1
    if predicted < 1:
        raise ValueError(f"the {name} text has {tokens.size} tokens; a model needs at least 2")
    starts = np.arange(0, predicted, context)
    ends = np.minimum(starts + context + 1, tokens.size)
    return Sequences.from_lists([tokens[a:b] for a, b in zip(starts, ends, strict=True)])
