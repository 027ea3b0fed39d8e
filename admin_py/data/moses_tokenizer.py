"""Plain text of two languages to ids and back, by way of Moses's tokens and subword-nmt's codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from admin_py.base.arguments import door
from admin_py.base.checks import check_bool, check_listed, shown
from admin_py.base.paths import is_path, path_of
from admin_py.data.codes import SubwordCodes
from admin_py.data.moses import Moses, each_line
from admin_py.data.reading import Path
from admin_py.data.sequences import Sequences
from admin_py.data.tokenizer import NUM_SPECIAL, Tokenizer
from admin_py.data.words import WordTokenizer


@door
class MosesTokenizer(Tokenizer):
    """Takes and gives plain text: `Moses` cuts it into tokens, codes into pieces, and each piece has an id.

    Decoding joins pieces and tokens again. With ``lowercase`` capitals do not come back.

    Parameters
    ----------
    words : iterable of str
        The pieces that have ids; others become the unknown id.
    languages : pair of str
        Codes of the languages of sources and of targets, see `Moses`.
    codes : SubwordCodes or path, optional
        Of both languages, learned from text that was tokenised in the same way. Without them words are whole.
    normalize, lowercase : bool
        As of `Moses`.

    Examples
    --------
    >>> english, german = ["A house.", "Two houses."], ["Ein Haus.", "Zwei Häuser."]
    >>> text = [*Moses("en").tokenize_lines(english), *Moses("de").tokenize_lines(german)]
    >>> codes = SubwordCodes.learn(text)
    >>> tokenizer = MosesTokenizer.train(english, german, languages=("en", "de"), codes=codes)
    >>> tokenizer.decode(tokenizer.encode_targets(["Zwei Häuser."])[0])
    'zwei häuser.'
    """

    kind = "moses"

    def __init__(
        self,
        words: Iterable[str],
        languages: tuple[str, str],
        *,
        codes: SubwordCodes | Path | None = None,
        normalize: bool = True,
        lowercase: bool = True,
    ) -> None:
        self.source, self.target = _both(languages, normalize, lowercase)
        self.codes = as_codes(codes)
        self._words = WordTokenizer(words)

    @classmethod
    def train(
        cls,
        sources: Iterable[str],
        targets: Iterable[str],
        *,
        languages: tuple[str, str],
        codes: SubwordCodes | Path | None = None,
        vocab_size: int | None = None,
    ) -> MosesTokenizer:
        """The pieces of plain text as its vocabulary: the most frequent ones, equals in alphabetical order.

        Parameters
        ----------
        sources, targets : iterable of str
            The text to learn from, a sentence a line.
        languages : pair of str
        codes : SubwordCodes or path, optional
        vocab_size : int, optional
            Ids, the 4 special ones included; by default every piece has one.
        """
        made = cls([], languages, codes=codes)
        text = ((made.source, each_line(sources, "sources")), (made.target, each_line(targets, "targets")))
        cut = [line for moses, lines in text for line in made._cut(moses, lines)]
        made._words = WordTokenizer.train(cut, vocab_size=vocab_size)
        return made

    @property
    def languages(self) -> tuple[str, str]:
        """Codes of the languages of sources and of targets."""
        return self.source.language, self.target.language

    @property
    def words(self) -> tuple[str, ...]:
        """The pieces that have ids, in their order."""
        return self._words.words

    @property
    def num_pieces(self) -> int:
        return self._words.num_pieces

    def encode_lines(self, lines: Sequence[str]) -> Sequences:
        return self._words.encode_lines(self._cut(self.source, lines))

    def encode_targets(self, lines: Sequence[str]) -> Sequences:
        """Ids of every line of the target's language."""
        return self._words.encode_lines(self._cut(self.target, lines))

    def _cut(self, moses: Moses, lines: Iterable[str]) -> list[str]:
        tokens = moses.tokenize_lines(lines)
        return list(tokens if self.codes is None else self.codes.segment_lines(tokens))

    def _join(self, ids: list[int]) -> str:
        return self.target.detokenize(self._words._join(ids))

    def _piece(self, i: int) -> str:
        return self.words[i - NUM_SPECIAL]

    file_types: ClassVar[Mapping[str, Any]] = {
        "words": list[str],
        "languages": list[str],
        "normalize": bool,
        "lowercase": bool,
        "version": str | None,
        "merges": list[str] | None,
        "kept": list[str] | None,
    }

    def _to_dict(self) -> dict[str, Any]:
        codes = self.codes
        return {
            "words": list(self.words),
            "languages": list(self.languages),
            "normalize": self.target.normalize,
            "lowercase": self.target.lowercase,
            "version": None if codes is None else codes.version,
            "merges": None if codes is None else list(codes.merges),
            "kept": None if codes is None or codes.kept is None else sorted(codes.kept),
        }

    @classmethod
    def _from_dict(cls, values: dict[str, Any]) -> MosesTokenizer:
        codes = None
        if values["merges"] is not None:
            kept = values["kept"]
            vocabulary = None if kept is None else dict.fromkeys(kept, 1)
            codes = SubwordCodes(values["merges"], version=values["version"], vocabulary=vocabulary)
        options = {name: values[name] for name in ("normalize", "lowercase")}
        return cls(values["words"], values["languages"], codes=codes, **options)


def as_codes(value: Any) -> SubwordCodes | None:
    """Codes from what a user may give: codes, the path of their file, or None."""
    if value is None or isinstance(value, SubwordCodes):
        return value
    if is_path(value):
        return SubwordCodes.load(path_of(value, "codes"))
    raise TypeError(f"codes must be SubwordCodes or the path of a file of them, got {shown(value)}")


def _both(languages: Any, normalize: bool, lowercase: bool) -> tuple[Moses, Moses]:
    """What cuts sources, and what cuts and joins targets."""
    codes = check_listed("languages", languages, "two codes")
    if len(codes) != 2:
        raise ValueError(f"languages must be two codes, of sources and of targets, got {len(codes)} of them")
    options = {
        "normalize": check_bool("normalize", normalize),
        "lowercase": check_bool("lowercase", lowercase),
    }
    source, target = (_moses(code, options) for code in codes)
    return source, target


def _moses(code: Any, options: Mapping[str, bool]) -> Moses:
    try:
        return Moses(code, **options)
    except (TypeError, ValueError) as error:
        raise type(error)(f"languages: {error}") from None
