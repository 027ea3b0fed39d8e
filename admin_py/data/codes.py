"""Byte-pair encoding as subword-nmt has it: codes that are learned, kept in its files, applied and undone."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from functools import cached_property
from typing import Any, overload

from admin_py.base.arguments import door
from admin_py.base.checks import check_integer, check_listed, check_mapping, check_text, check_unicode, shown
from admin_py.base.extras import installed_by
from admin_py.base.whole_files import write_whole
from admin_py.data.moses import Lines, each_line
from admin_py.data.reading import Path, read_lines
from admin_py.data.words import CONTINUED

VERSIONS = ("0.1", "0.2")
"""Of the files: from 0.2 on the last letter of a word and its end are one symbol."""

_HEAD = "#version: "
_MARK = re.compile(rf"{CONTINUED}(?: |$)")
_LINE_END = re.compile(r"[\r\n]")
MERGES = 10_000


@door
class SubwordCodes:
    """Merges of byte-pair encoding, in the order in which they were learned; by subword-nmt.

    Parameters
    ----------
    merges : list of str
        Each the two pieces that become one, with a space between them, such as ``"t h"``; ``</w>`` is the end
        of a word.
    version : {"0.2", "0.1"}
        Of the file that they are from.
    vocabulary : mapping of str to int, optional
        Piece, as it stands in cut text, -> how often it was seen in text of the language. Merges whose piece
        is not among them are undone, so that a language is cut into pieces that its text has.
    threshold : int, optional
        Only pieces that were seen so often count as those of the vocabulary.

    Raises
    ------
    TypeError, ValueError
        Naming the merge that is none, or the argument.

    Notes
    -----
    Sennrich, Haddow and Birch, "Neural Machine Translation of Rare Words with Subword Units", ACL 2016.

    Examples
    --------
    >>> codes = SubwordCodes.learn(["low lower lowest", "new newer newest"], merges=6)
    >>> codes.segment("newest lower")
    'ne@@ west lo@@ wer'
    >>> remove_bpe("ne@@ west lo@@ wer")
    'newest lower'
    """

    def __init__(
        self,
        merges: Sequence[str],
        *,
        version: str = "0.2",
        vocabulary: Mapping[str, int] | None = None,
        threshold: int | None = None,
    ) -> None:
        if version not in VERSIONS:
            raise ValueError(f"version must be one of {', '.join(VERSIONS)}, got {shown(version)}")
        if threshold is not None and vocabulary is None:
            raise ValueError("threshold goes with a vocabulary")
        self.version = version
        self.merges = tuple(_merge(i, one) for i, one in enumerate(check_listed("merges", merges, "strings")))
        if not self.merges:
            raise ValueError("merges must have at least one, got none")
        self.kept = None if vocabulary is None else _kept(vocabulary, threshold)

    @classmethod
    def load(
        cls, path: Path, *, vocabulary: Mapping[str, int] | None = None, threshold: int | None = None
    ) -> SubwordCodes:
        """Read a file of codes that subword-nmt, or `save`, has written; plain or compressed with gzip.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it holds something else, with the line.
        """
        lines = list(read_lines(path))
        while lines and not lines[-1]:
            lines.pop()
        version, begin = "0.1", 0
        if lines and lines[0].startswith("#version:"):
            version, begin = lines[0].removeprefix("#version:").strip(), 1
        if version not in VERSIONS:
            known = ", ".join(VERSIONS)
            raise ValueError(f"path: {str(path)!r} has codes of version {version!r:.40}, expected {known}")
        try:
            return cls(lines[begin:], version=version, vocabulary=vocabulary, threshold=threshold)
        except ValueError as error:
            raise ValueError(f"path: {str(path)!r} is no file of codes: {error}") from None

    @classmethod
    def learn(cls, lines: Iterable[str], *, merges: int = MERGES, min_frequency: int = 2) -> SubwordCodes:
        """Learn codes from text whose words stand between spaces.

        Parameters
        ----------
        lines : iterable of str
            Of all languages that shall share their pieces.
        merges : int
            At most so many.
        min_frequency : int
            Pairs that are seen less often are not merged.

        Raises
        ------
        ValueError
            If the text has no pair that is seen so often.
        """
        merges = check_integer("merges", merges, 1)
        min_frequency = check_integer("min_frequency", min_frequency, 1)
        # Line ends inside a line would become pieces, which no file of codes can hold.
        parted = (_LINE_END.sub(" ", line) for line in each_line(lines))
        kept = [line for line in parted if any(len(word) > 1 for word in line.split(" "))]
        written = io.StringIO()
        if kept:
            with installed_by("translation"):
                from subword_nmt.learn_bpe import learn_bpe
            with redirect_stderr(io.StringIO()):  # its bar, and that there are fewer
                learn_bpe(kept, written, merges, min_frequency)
        found = written.getvalue().split("\n")[1:-1]
        if not found:
            raise ValueError(f"lines have no pair of letters that is seen {min_frequency} times")
        return cls(found)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the merges as subword-nmt reads them; a vocabulary stays where it was."""
        write_whole(path, "\n".join([f"{_HEAD}{self.version}", *self.merges, ""]).encode("utf-8"))

    def segment(self, line: str) -> str:
        """A line cut into pieces; those that the next one continues end in ``@@``."""
        return self._library.process_line(check_unicode("line", line))

    def segment_lines(self, lines: Lines) -> Iterator[str]:
        """Each line cut into pieces, one line read for one given."""
        return (self.segment(line) for line in each_line(lines))

    @cached_property
    def _library(self) -> Any:
        """What subword-nmt makes of the codes; it remembers words."""
        head = [] if self.version == "0.1" else [f"{_HEAD}{self.version}"]
        text = io.StringIO("\n".join([*head, *self.merges]))
        with installed_by("translation"):
            from subword_nmt.apply_bpe import BPE
        return BPE(text, vocab=self.kept)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.merges, self.version, self.kept)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SubwordCodes):
            return NotImplemented
        return (self.version, self.merges, self.kept) == (other.version, other.merges, other.kept)

    def __hash__(self) -> int:
        return hash((self.version, self.merges))

    def __repr__(self) -> str:
        kept = "" if self.kept is None else f", {len(self.kept):,} pieces known"
        return f"SubwordCodes({len(self.merges):,} merges{kept})"


@overload
def remove_bpe(text: str) -> str: ...  # type: ignore[overload-overlap]  # a str is one line
@overload
def remove_bpe(text: Iterable[str]) -> list[str]: ...
@door
def remove_bpe(text: str | Iterable[str]) -> str | list[str]:
    """Text whose pieces ending in ``@@`` are joined with what follows them: a line, or each of several.

    Examples
    --------
    >>> remove_bpe(["viel@@ er bü@@ sche", "an@@ trie@@ b@@"])
    ['vieler büsche', 'antrieb']
    """
    return _MARK.sub("", text) if isinstance(text, str) else [_MARK.sub("", line) for line in text]


def _rebuild(merges: Sequence[str], version: str, kept: frozenset[str] | None) -> SubwordCodes:
    """Codes out of what was pickled, or as a copy, checked."""
    vocabulary = None if kept is None else dict.fromkeys(kept, 1)
    return SubwordCodes(merges, version=version, vocabulary=vocabulary)


def _merge(number: int, one: Any) -> str:
    name = f"merges: number {number}"
    parts = check_unicode(name, check_text(name, one)).strip("\r\n ").split(" ")
    if len(parts) != 2 or not all(parts) or "\n" in one:
        raise ValueError(f"{name} must be two pieces with a space between them, got {shown(one)}")
    return " ".join(parts)


def _kept(vocabulary: Any, threshold: int | None) -> frozenset[str]:
    """The pieces of a vocabulary that were seen often enough."""
    least = 0 if threshold is None else check_integer("threshold", threshold, 0)
    counts = {
        check_text("vocabulary: a piece", piece): check_integer("vocabulary: a count", count, 0)
        for piece, count in check_mapping("vocabulary", vocabulary).items()
    }
    found = frozenset(piece for piece, count in counts.items() if count >= least)
    if not found:
        raise ValueError(f"vocabulary has no piece that was seen {least} times")
    return found
