"""Two line-aligned text files as a dataset for translation."""

from __future__ import annotations

import tokenizers

from admin_py.base.arguments import door
from admin_py.base.checks import check_integer
from admin_py.data.codes import SubwordCodes
from admin_py.data.dataset import Dataset
from admin_py.data.pairs import MAX_LENGTH, PairOptions
from admin_py.data.reading import Path, name_of, read_pairs
from admin_py.data.tokenizer import Tokenizer


@door
def parallel_text(
    source: Path,
    target: Path,
    *,
    vocab_size: int | None = None,
    valid: tuple[Path, Path] | float | int | None = None,
    test: tuple[Path, Path] | float | int | None = None,
    max_length: int = MAX_LENGTH,
    tokenizer: Tokenizer | tokenizers.Tokenizer | Path | None = None,
    pretokenized: bool = False,
    moses: tuple[str, str] | None = None,
    codes: SubwordCodes | Path | None = None,
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
        subwords, or all words of pretokenized text or with moses.
    valid : pair of paths, float, or int, optional
        Held-out text: two further files, or a share (below 1) or number of lines taken from the files at
        random; 0 for none. By default 5 % of the lines, at most 1,000.
    test : pair of paths, float, or int, optional
        The same for a split "test", which no training looks at; by default there is none. The lines of
        "valid" are the same with it and without.
    max_length : int
        Tokens that a model can read; pairs with a longer side are left out and counted in `describe()`.
    tokenizer : Tokenizer, tokenizers.Tokenizer or path, optional
        Use this vocabulary instead of learning one.
    pretokenized : bool
        Split lines on spaces, one id a word. Pieces that end in ``@@`` are joined again by `decode`.
    moses : pair of str, optional
        Codes of the languages, such as ("en", "de"): lines are cut into tokens in lower case as Moses does,
        and `decode` gives plain text, see `MosesTokenizer`.
    codes : SubwordCodes or path, optional
        With moses: cut tokens into subwords by these, such as the file that subword-nmt has written.
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

    See Also
    --------
    from_texts : The same of pairs in memory.

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
    options = PairOptions.checked(
        vocab_size=vocab_size,
        tokenizer=tokenizer,
        pretokenized=pretokenized,
        moses=moses,
        codes=codes,
        max_length=max_length,
        seed=seed,
    )
    if max_lines is not None:
        max_lines = check_integer("max_lines", max_lines, 1)
    pairs = read_pairs(source, target, max_lines=max_lines)
    held_out = {key: _read(key, value) for key, value in (("valid", valid), ("test", test))}
    if name is None:
        name = f"{name_of(source)} - {name_of(target)}"
    return options.dataset(name, pairs, held_out)


def _read(name: str, given: object) -> object:
    """The lines of a pair of files; what is no pair is as it was."""
    if not isinstance(given, (tuple, list)):
        return given
    if len(given) != 2:
        raise ValueError(f"{name} must be a pair of files, (source, target), got {len(given)} of them")
    return read_pairs(*given, names=f"{name} ")
