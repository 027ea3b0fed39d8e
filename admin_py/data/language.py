"""One text as a dataset for language models."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Literal

import tokenizers

from admin_py.data.dataset import Dataset
from admin_py.data.held_out import check_share, is_share
from admin_py.data.reading import Path, read_lines
from admin_py.data.tokenizer import Tokenizer
from admin_py.data.windows import CONTEXT, VALID, TextOptions, cut


def text(
    path: Path,
    *,
    level: Literal["char", "subword"] | None = None,
    vocab_size: int | None = None,
    tokenizer: Tokenizer | tokenizers.Tokenizer | Path | None = None,
    context: int = CONTEXT,
    valid: float | Path = VALID,
    test: float | Path = 0.0,
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
    valid, test : float or path
        Shares of the text that are held out, 0 for none; or other files. The text's end is for "test", what
        stands before it for "valid".
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

    See Also
    --------
    from_texts : The same of texts in memory.

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
    options = TextOptions.checked(level=level, vocab_size=vocab_size, tokenizer=tokenizer, context=context)
    whole = _read(path, "path")
    files: dict[str, str] = {}
    shares: dict[str, float] = {}
    for key, given in (("valid", valid), ("test", test)):
        if isinstance(given, (str, os.PathLike)):
            files[key] = _read(given, key)
        elif is_share(given) or (isinstance(given, Integral) and not isinstance(given, bool)):
            shares[key] = check_share(key, given, "the text")
        else:
            raise TypeError(f"{key} must be a share of the text or a file, got {given!r:.80}")
    parts = cut(whole, shares) | files
    return options.dataset(
        name or os.path.basename(os.fspath(path)), {key: [part] for key, part in parts.items()}
    )


def _read(path: Path, name: str) -> str:
    """The text of a file, line ends always one line feed."""
    whole = "".join(line + "\n" for line in read_lines(path, name))
    if not whole.strip():
        raise ValueError(f"{name}: {os.fspath(path)!r} has no text")
    return whole
