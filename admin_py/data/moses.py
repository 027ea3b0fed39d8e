"""Text before and after a model, as the scripts of Moses treat it: punctuation, tokens and case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from admin_py.base.arguments import door
from admin_py.base.checks import check_bool, check_text, check_unicode, shown
from admin_py.base.extras import installed_by
from admin_py.data.reading import Path, read_lines

Lines = Iterable[str]
"""Read one after the other, a file or what another function yields."""

_CODE = re.compile(r"[a-z]{2,3}")


@door
@dataclass(frozen=True)
class Moses:
    """Cuts plain text of a language into tokens between spaces, and joins them again; by sacremoses.

    Parameters
    ----------
    language : str
        Its code, such as "en" or "de": of abbreviations whose dot is no stop, and of apostrophes. Codes that
        Moses has no list of are treated as English, as it does.
    normalize : bool
        Write quotation marks, dashes, apostrophes and spaces alike first, as its normalize-punctuation does.
    lowercase : bool
        In lower case, before anything else. Joining does not bring capitals back.

    Raises
    ------
    TypeError, ValueError
        If language is no code of two or three small letters, or an option no bool.
    ModuleNotFoundError
        When text is cut or joined without sacremoses: ``pip install admin-py[translation]``.

    Notes
    -----
    Koehn and others, "Moses: Open Source Toolkit for Statistical Machine Translation", ACL 2007. Signs that
    Moses's files give a meaning (``&``, ``|``, ``<``, ``>``, ``'``, ``"``, ``[``, ``]``) become ``&amp;`` and
    the like, and are signs again when joined.

    Examples
    --------
    >>> moses = Moses("en")
    >>> moses.tokenize("It's a Man, isn't he?")
    'it &apos;s a man , isn &apos;t he ?'
    >>> moses.detokenize('it &apos;s a man , isn &apos;t he ?')
    "it's a man, isn't he?"
    >>> list(Moses("de").tokenize_lines(["Ein Haus.", "Ein Baum."]))
    ['ein haus .', 'ein baum .']
    """

    language: str
    normalize: bool = True
    lowercase: bool = True

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(check_text("language", self.language)):
            raise ValueError(
                f"language must be a code of two or three small letters, such as 'de', got "
                f"{shown(self.language)}"
            )
        check_bool("normalize", self.normalize)
        check_bool("lowercase", self.lowercase)

    def tokenize(self, line: str) -> str:
        """The tokens of a line, a space between each two."""
        line = check_unicode("line", line)
        if self.lowercase:
            line = line.lower()
        if self.normalize:
            # As Perl reads lines, with their ends: before one, too, a full stop leaves quotation marks.
            line = _normalizer(self.language).normalize(f"{line}\n")
        return _tokenizer(self.language).tokenize(line, return_str=True)

    def detokenize(self, line: str) -> str:
        """Plain text of tokens with spaces between them."""
        return _detokenizer(self.language).detokenize(check_unicode("line", line).split(" "))

    def tokenize_lines(self, lines: Lines) -> Iterator[str]:
        """The tokens of each line, one line read for one given."""
        return (self.tokenize(line) for line in each_line(lines))

    def detokenize_lines(self, lines: Lines) -> Iterator[str]:
        """Plain text of each line of tokens, one line read for one given."""
        return (self.detokenize(line) for line in each_line(lines))

    def tokenize_file(self, path: Path) -> Iterator[str]:
        """The tokens of each line of a file, plain or compressed with gzip, one line read for one given.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is not UTF-8.
        """
        return self.tokenize_lines(read_lines(path))


def each_line(lines: Any, name: str = "lines") -> Iterator[str]:
    """What an iterable of strings gives, checked one by one.

    Raises
    ------
    TypeError
        If it is none, or a string itself.
    """
    wrong = f"{name} must be a list of strings, or what gives them, got {shown(lines)}"
    if isinstance(lines, (str, bytes)) or not isinstance(lines, Iterable):
        raise TypeError(wrong)
    try:
        given = iter(lines)
    except Exception:  # of any class: the value's own code has raised it
        raise TypeError(wrong) from None
    for i, line in enumerate(given):
        yield check_unicode(f"{name}: number {i}", check_text(f"{name}: number {i}", line))


@cache
def _normalizer(language: str) -> Any:
    with installed_by("translation"):
        from sacremoses import MosesPunctNormalizer
    return MosesPunctNormalizer(lang=language, perl_parity=True)


@cache
def _tokenizer(language: str) -> Any:
    with installed_by("translation"):
        from sacremoses import MosesTokenizer
    return MosesTokenizer(lang=language)


@cache
def _detokenizer(language: str) -> Any:
    with installed_by("translation"):
        from sacremoses import MosesDetokenizer
    return MosesDetokenizer(lang=language)
